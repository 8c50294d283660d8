"""The values of attributes and parameters: evaluate expressions, check types and bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.expression_env import ExpressionEnv
from specbuild.elaborate.free_sizes import read_example
from specbuild.expressions import (
    Expression,
    ExpressionError,
    concrete,
    evaluate_expression,
    parse_expression,
    rewrite_expression,
)
from specbuild.frontend.document import PARAM_TYPES, BlockDef, ParamDef, RawArgument, StepDef
from specbuild.frontend.foreign_names import suggest_attribute
from specbuild.frontend.foreign_steps import suggest_variant
from specbuild.frontend.habits import suggest_attribute_habit
from specbuild.frontend.names import check_expression_name, check_name
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import BlockArgument
from specbuild.ops.attribute_kinds import AttributeKind, AttributeValueError, Boolean, Integer, Real, Text
from specbuild.ops.types import ShapeError, TensorType

PRESENCE = re.compile(r"(not +)?given\( *[A-Za-z]\w* *\)")  # whether an optional input is given
BATCH_AXES = (
    "B",
    "batch",
    "Batch",
    "batch_size",
)  # a model gets any number of samples, without an axis for it


def variant_arguments(
    definition: BlockDef, given: dict[str, RawArgument], variant: str | None, at: SourceAddress
) -> dict[str, RawArgument]:
    """Return the arguments of a variant, overridden by those given. Raises SB202 if it is unknown."""
    if variant is None:
        return given
    spec = definition.model
    variants = spec.variants if spec else {}
    if spec is None or variant not in variants:
        otherwise = "it has none: a spec lists them under `variants`" if spec is not None else ""
        hint = suggest_name(variant, variants, "its variants are", otherwise)
        raise at.error("SB202", f"{definition.name} has no variant {variant!r}", hint)
    variant_at = spec.source.address_of(("variants", variant))
    arguments = {name: RawArgument(raw, variant_at.child(name)) for name, raw in variants[variant].items()}
    return {**arguments, **given}


def bind_call(definition: BlockDef, given: dict[str, RawArgument], at: SourceAddress) -> dict[str, Any]:
    """Return the values of all parameters for one use of a block or model; a model may get a `variant`."""
    argument = given.pop("variant", None) if definition.model is not None else None
    if argument is None:
        return bind_parameters(definition, given, at)
    variant = read_attribute(Text(), argument.raw, argument.at, argument.env or {})
    return bind_parameters(definition, variant_arguments(definition, given, variant, argument.at), at)


def declared_type(
    raw: Any, at: SourceAddress, env: Mapping[str, Any], has_free_sizes: bool = False
) -> TensorType:
    """Return the type of a model input: {C: 3, H: 224, W: 224}, or {axes: {T: 64}, dtype: int32}."""
    dtype = "float"
    if not isinstance(raw, Mapping):
        hint = "for example, write {C: 3, H: 224, W: 224}"
        raise at.error("SB102", "an input of a model needs its sizes", hint)
    if "axes" in raw:
        dtype, raw, at = raw.get("dtype", "float"), raw["axes"], at.child("axes")
    sizes = {}
    for axis, size in raw.items():
        check_name(axis, at.child(axis), "an axis")
        size_at = at.child(axis)
        if has_free_sizes:
            sizes[axis] = read_input_size(axis, size, size_at, env)
        else:
            sizes[axis] = read_attribute(Integer(1), size, size_at, env)
    with relocate_shape_errors(at):
        return TensorType(sizes, dtype)


def read_input_size(axis: str, raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> int:
    """Return the size of an axis of a model input; an example of it, if it can be any."""
    size, size_at = read_example(axis, raw, at)
    try:
        return read_attribute(Integer(1), size, size_at, env)  # type: ignore[no-any-return]
    except SpecError as e:
        if isinstance(raw, str) and (e.code == "SB301" or not e.hint):  # `?`, `dynamic`
            raise at.error(e.code, e.message, f"for every size of this axis, write `{axis}: any`") from None
        raise


def declared_input(raw: Any, at: SourceAddress, env: dict[str, Any]) -> TensorType:
    """Return the type of a model input, with examples for sizes that can be any.

    Raises SB203 if one of its axes is the batch.
    """
    x = declared_type(raw, at, env, has_free_sizes=True)
    for axis in x.axes:
        if axis in BATCH_AXES:
            where = at.child("axes", axis) if "axes" in raw else at.child(axis)
            message = f"{axis!r} cannot be an axis of a model input: the batch is implied, before all axes"
            raise where.error("SB203", message, "remove it; if it is not the batch, rename it", key=True)
    return x


def unknown_parameter_error(definition: BlockDef, name: str, value: Any, at: SourceAddress) -> SpecError:
    """Return the error for an argument that is no parameter of the block."""
    if name in definition.inputs:
        hint = f"{name!r} is an input: write `from: {{{name}: ...}}`, aligned with {definition.name!r}"
    else:
        hint = suggest_variant(definition.name, value)
        hint = (
            hint or suggest_attribute(name, value, definition.params) or suggest_attribute_habit(name, value)
        )
        hint = hint or suggest_name(name, definition.params, "its parameters are")
    return at.error("SB101", f"{definition.name} has no parameter {name!r}", hint, key=True)


def bind_parameters(
    definition: BlockDef, given: Mapping[str, RawArgument], at: SourceAddress
) -> dict[str, Any]:
    """Return the values of all parameters; given values are expressions of the caller.

    Raises SB101 for an unknown parameter and SB103 for a missing one.
    """
    for name, argument in given.items():
        if name not in definition.params:
            raise unknown_parameter_error(definition, name, argument.raw, argument.at)
    values: dict[str, Any] = {}
    for name, param in definition.params.items():
        check_name(name, param.at, "a parameter")
        argument = given.get(name) or RawArgument(param.default, param.at.child("default"))
        if param.required and name not in given:
            raise at.child(name).error(
                "SB103", f"{definition.name} needs a value for {name!r} ({param.type})", param.doc
            )
        value = bind_parameter(
            param, argument.raw, argument.at, values if argument.env is None else argument.env
        )
        values[name] = concrete_or_block(value) if argument.env is None else value
    return values


def change_parameters(
    definition: BlockDef, values: Mapping[str, Any], changed: Mapping[str, Any], at: SourceAddress
) -> dict[str, Any]:
    """Return the parameters of an instance with other values for some of them.

    A parameter that has its default, an expression over others, follows them. Raises SpecError for a value
    that the block refuses.
    """
    result: dict[str, Any] = {}
    for name, param in definition.params.items():
        if name in changed:
            result[name] = bind_parameter(param, changed[name], at, {})
        elif isinstance(param.default, str) and param.type not in ("block", "str"):
            follows = bind_parameter(param, param.default, param.at, values) == values[name]
            result[name] = bind_parameter(param, param.default, param.at, result) if follows else values[name]
        else:
            result[name] = values[name]
    return {name: concrete_or_block(value) for name, value in result.items()}


def bind_parameter(param: ParamDef, raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    if param.type == "block":
        return parse_block_argument(raw, at, env)
    if param.type == "list":
        value = evaluate_text(raw, at, env) if isinstance(raw, str) else raw
        if not isinstance(value, list | tuple):
            raise at.error("SB305", f"{param.name} must be a list", "for example, write [3, 4, 6, 3]")
        return [evaluate_item(part, at.child(i), env) for i, part in enumerate(value)]
    value = read_attribute(scalar_kind(param), raw, at, env)
    if param.choices and value not in param.choices:
        raise at.error(
            "SB304",
            f"{param.name} must be one of {join_names(map(str, param.choices))}, not {concrete(value)}",
        )
    return value


def scalar_kind(param: ParamDef) -> AttributeKind:
    """Return the kind of the values of a parameter that is no list and no block. Raises SB102 for an unknown type."""
    low, high = param.minimum, param.maximum
    integer = Integer(low, high)  # type: ignore[arg-type]
    number = Real(low, high)
    kinds = {"int": integer, "float": number, "number": number, "bool": Boolean(), "str": Text()}
    if param.type not in kinds:
        hint = f"the types are {join_names(PARAM_TYPES)}"
        raise param.at.error("SB102", f"{param.type!r} is not a type", hint)
    return kinds[param.type]


def evaluate_item(raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    if isinstance(raw, list | tuple):
        return [evaluate_item(part, at.child(i), env) for i, part in enumerate(raw)]
    return evaluate_text(raw, at, env) if isinstance(raw, str) else raw


def parse_block_argument(raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> BlockArgument:
    """Return the value of a parameter of type `block`.

    `raw` is a name such as `CBAM`, `relu` or `none`, a mapping `{CBAM: {reduction: 8}}`, or the name of a
    parameter of type `block`, whose value is passed on.
    """
    if isinstance(raw, str):
        outer = env.get(raw)
        return outer if isinstance(outer, BlockArgument) else BlockArgument(raw, {}, at, {})
    if isinstance(raw, Mapping) and len(raw) == 1:
        [(kind, arguments)] = raw.items()
        if arguments is not None and not isinstance(arguments, Mapping):
            raise at.child(kind).error(
                "SB305", f"{kind} takes its arguments by name", f"write {{{kind}: {{...}}}}"
            )
        words = set(
            re.findall(r"[^\W\d]\w*", repr(arguments))
        )  # no numbers: `0` is the first member of a repeat
        used_env = {name: strip_symbols(env[name]) for name in sorted(words) if name in env}
        return BlockArgument(kind, arguments or {}, at.child(kind), used_env)
    hint = "for example, write CBAM, {CBAM: {reduction: 8}} or none"
    raise at.error("SB305", "this parameter takes a block", hint)


def read_attribute(kind: Any, raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    """Return the value of an attribute of this kind; errors get the location of the value."""
    note_place(at, env)
    try:
        return kind.read_value(raw, lambda text: evaluate_expression(text, env))
    except AttributeValueError as e:
        raise at.child(*e.path).error(e.code, e.message, e.hint) from None
    except ExpressionError as e:
        raise at.error(e.code, e.message, e.hint) from None


def note_place(at: SourceAddress, env: Mapping[str, Any]) -> None:
    """Say where the expression is that is evaluated next."""
    if isinstance(env, ExpressionEnv):
        env.place = at


def evaluate_text(text: str, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    note_place(at, env)
    try:
        return evaluate_expression(text, env)
    except ExpressionError as e:
        raise at.error(e.code, e.message, e.hint) from None


def is_condition_true(scope: BlockScope, step: StepDef) -> bool:
    value = read_attribute(Boolean(), step.when, step.at.child("when"), ExpressionEnv(scope))
    assert isinstance(value, bool)
    return value


def condition_expression(scope: BlockScope, step: StepDef) -> Expression | None:
    """Return the condition of a step as an expression for its code, or None if a name in it has no symbol.

    `is_condition_true` comes first: it refuses what is no expression.
    """
    if not isinstance(step.when, str):
        return None
    if (presence := presence_test(step.when, scope)) is not None:
        return presence
    condition = rewrite_expression(step.when, ExpressionEnv(scope), use_own_names=True)
    if condition is not None and not scope.step_sizes.keys().isdisjoint(condition.names):
        scope.fixes_step_sizes = True
        return None
    return condition


def presence_test(text: str, scope: BlockScope) -> Expression | None:
    """Return `given(mask)` or `not given(mask)`, which code can ask when it runs; None for any other expression."""
    if PRESENCE.fullmatch(text.strip()):
        return parse_expression(" ".join(text.split()))
    return scope.let_expressions.get(text.strip()) if text.strip() in scope.let_expressions else None


def define_lets(scope: BlockScope) -> None:
    """Give the names under `let` their values, in order; each may read those above it.

    Raises SB204 if a parameter or an input has this name.
    """
    names = ExpressionEnv(scope)
    for name, raw in scope.definition.lets.items():
        at = scope.definition.at.child("let", name)
        scope.work.count_let(at)
        check_expression_name(name, at)
        if name in scope.env:
            other = "an input" if name in scope.definition.inputs else "a parameter"
            raise at.error("SB204", f"{name!r} is already the name of {other}", "use another name", key=True)
        value = evaluate_item(raw, at, names)
        if isinstance(value, bool | str | list | tuple):
            is_condition = isinstance(raw, str) and isinstance(value, bool | str)
            expression = None
            if is_condition:
                expression = presence_test(raw, scope) or rewrite_expression(raw, names, use_own_names=True)
            scope.let_expressions[name] = expression
        scope.env[name] = value


def let_numbers(scope: BlockScope) -> dict[str, float]:
    """Return the numbers among the values under `let`."""
    values = {name: concrete(scope.env[name]) for name in scope.definition.lets}
    return {name: value for name, value in values.items() if type(value) in (int, float)}


def concrete_or_block(value: Any) -> Any:
    return value if isinstance(value, BlockArgument) else concrete(value)


def strip_symbols(value: Any) -> Any:
    """Return a value, or the sizes of an input, as plain numbers without symbols."""
    if isinstance(value, Mapping):
        return {axis: concrete(size) for axis, size in value.items()}
    return concrete_or_block(value)


@contextmanager
def relocate_shape_errors(at: SourceAddress) -> Iterator[None]:
    """Turn a ShapeError into a SpecError at this location."""
    try:
        yield
    except ShapeError as e:
        raise at.error(e.code, e.message, e.hint) from None
