"""What attributes and parameters are worth: expressions computed, types and bounds held."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from specbuild.diagnostics.errors import closest_match
from specbuild.elaborate.block_scope import BlockScope
from specbuild.expressions import ExpressionError, concrete, evaluate_expression, rewrite_expression
from specbuild.frontend.document import Argument, BlockDef, ParamDef, StepDef
from specbuild.frontend.names import check_name
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import BlockArgument
from specbuild.ops.attribute_kinds import AttributeValueError, Boolean, Integer, Real, Text
from specbuild.ops.types import ShapeError, TensorType, join_names


def variant_arguments(
    definition: BlockDef, given: dict[str, Argument], variant: str | None, at: SourceAddress
) -> dict[str, Argument]:
    """The arguments of a variant, in the scope of its own file, and over them those given."""
    if variant is None:
        return given
    spec = definition.model
    variants = spec.variants if spec else {}
    if spec is None or variant not in variants:
        guess = closest_match(variant, variants)
        hint = f"did you mean {guess!r}?" if guess else f"its variants are {join_names(variants)}"
        raise at.error("SB202", f"{definition.name} has no variant {variant!r}", hint)
    own = spec.source.address_of(("variants", variant))
    return {**{name: Argument(raw, own.child(name)) for name, raw in variants[variant].items()}, **given}


def bind_call(definition: BlockDef, given: dict[str, Argument], at: SourceAddress) -> dict[str, Any]:
    """The value of every parameter where a block or, perhaps in one of its variants, a model is used."""
    chosen = given.pop("variant", None) if definition.model is not None else None
    variant = read_attribute(Text(), chosen.raw, chosen.at, chosen.env or {}) if chosen is not None else None
    return bind_parameters(
        definition, variant_arguments(definition, given, variant, chosen.at if chosen is not None else at), at
    )


def declared_type(raw: Any, at: SourceAddress, env: dict[str, Any]) -> TensorType:
    """The type of a model input: {C: 3, H: 224, W: 224}, or {axes: {T: 64}, dtype: int32}."""
    dtype = "float"
    if not isinstance(raw, Mapping):
        raise at.error("SB102", "an input of a model needs its sizes", "write {C: 3, H: 224, W: 224}, say")
    if "axes" in raw:
        dtype, raw, at = raw.get("dtype", "float"), raw["axes"], at.child("axes")
    sizes = {}
    for axis, size in raw.items():
        check_name(axis, at.child(axis), "an axis")
        sizes[axis] = read_attribute(Integer(1), size, at.child(axis), env)
    with relocate_shape_errors(at):
        return TensorType(sizes, dtype)


def bind_parameters(definition: BlockDef, given: Mapping[str, Argument], at: SourceAddress) -> dict[str, Any]:
    """The value of every parameter, in the caller's words where the caller gave it."""
    for name, argument in given.items():
        if name not in definition.params:
            guess = closest_match(name, definition.params)
            hint = (
                f"did you mean {guess!r}?" if guess else f"its parameters are {join_names(definition.params)}"
            )
            raise argument.at.error("SB101", f"{definition.name} has no parameter {name!r}", hint, key=True)
    values: dict[str, Any] = {}
    for name, param in definition.params.items():
        check_name(name, param.at, "a parameter")
        argument = given.get(name) or Argument(param.default, param.at.child("default"))
        if param.required and name not in given:
            raise at.child(name).error(
                "SB103", f"{definition.name} needs a value for {name!r} ({param.type})", param.doc
            )
        value = bind_parameter(
            param, argument.raw, argument.at, values if argument.env is None else argument.env
        )
        values[name] = concrete_or_block(value) if argument.env is None else value
    return values


def bind_parameter(param: ParamDef, raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    if param.type == "block":
        return parse_block_argument(raw, at, env)
    if param.type == "list":
        value = evaluate_text(raw, at, env) if isinstance(raw, str) else raw
        if not isinstance(value, list | tuple):
            raise at.error("SB305", f"{param.name} is a list", "write [3, 4, 6, 3], say")
        return [evaluate_item(part, at.child(i), env) for i, part in enumerate(value)]
    if param.type == "str":
        value = read_attribute(Text(), raw, at, env)
    else:
        bounds = (param.minimum, param.maximum)
        kinds = {"int": Integer(*bounds), "float": Real(*bounds), "number": Real(*bounds), "bool": Boolean()}  # type: ignore[arg-type]
        if param.type not in kinds:
            raise param.at.error(
                "SB102",
                f"{param.type!r} is not a type",
                f"types are {join_names(('int', 'float', 'number', 'bool', 'str', 'list', 'block'))}",
            )
        value = read_attribute(kinds[param.type], raw, at, env)
    if param.choices and value not in param.choices:
        raise at.error(
            "SB304", f"{param.name} is one of {join_names(map(str, param.choices))}, not {concrete(value)}"
        )
    return value


def evaluate_item(raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    if isinstance(raw, list | tuple):
        return [evaluate_item(part, at.child(i), env) for i, part in enumerate(raw)]
    return evaluate_text(raw, at, env) if isinstance(raw, str) else raw


def parse_block_argument(raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> BlockArgument:
    """A block given as a parameter: `CBAM`, `{CBAM: {reduction: 8}}`, `relu`, `none`, or a parameter handed on."""
    if isinstance(raw, str) and isinstance(env.get(raw), BlockArgument):
        found: BlockArgument = env[raw]
        return found
    if isinstance(raw, str):
        return BlockArgument(raw, {}, at, {})
    if isinstance(raw, Mapping) and len(raw) == 1:
        [(kind, arguments)] = raw.items()
        if arguments is not None and not isinstance(arguments, Mapping):
            raise at.child(kind).error(
                "SB305", f"{kind} takes its arguments by name", f"write {{{kind}: {{...}}}}"
            )
        read = set(re.findall(r"\w+", repr(arguments)))
        used_env = {name: strip_symbols(value) for name, value in env.items() if name in read}
        return BlockArgument(kind, arguments or {}, at.child(kind), used_env)
    raise at.error("SB305", "this parameter is a block", "write CBAM, {CBAM: {reduction: 8}} or none")


def read_attribute(kind: Any, raw: Any, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    try:
        return kind.read_value(raw, lambda text: evaluate_expression(text, env))
    except AttributeValueError as e:
        raise at.child(*e.path).error(e.code, e.message, e.hint) from None
    except ExpressionError as e:
        raise at.error(e.code, e.message, e.hint) from None


def evaluate_text(text: str, at: SourceAddress, env: Mapping[str, Any]) -> Any:
    try:
        return evaluate_expression(text, env)
    except ExpressionError as e:
        raise at.error(e.code, e.message, e.hint) from None


def is_condition_true(scope: BlockScope, step: StepDef) -> bool:
    value = read_attribute(Boolean(), step.when, step.at.child("when"), scope.env)
    assert isinstance(value, bool)
    return value


def condition_expression(scope: BlockScope, step: StepDef) -> str | None:
    """The words of a `when`, if every name in it has some."""
    return (
        rewrite_expression(step.when, scope.env, use_own_names=True) if isinstance(step.when, str) else None
    )


def concrete_or_block(value: Any) -> Any:
    return value if isinstance(value, BlockArgument) else concrete(value)


def strip_symbols(value: Any) -> Any:
    """What a name stands for, sizes of an input included, without the words of where it was said."""
    return (
        {axis: concrete(size) for axis, size in value.items()}
        if isinstance(value, Mapping)
        else concrete_or_block(value)
    )


@contextmanager
def relocate_shape_errors(at: SourceAddress) -> Iterator[None]:
    try:
        yield
    except ShapeError as e:
        raise at.error(e.code, e.message, e.hint) from None
