"""What attributes and parameters are worth: expressions computed, types and bounds held."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from specbuild.diagnostics.errors import nearest
from specbuild.elaborate.block_scope import Frame
from specbuild.expressions import WordsError, evaluate, plain, retell
from specbuild.frontend.document import Argument, BlockDef, ParamDef, StepDef
from specbuild.frontend.names import check_name
from specbuild.frontend.source import At
from specbuild.ir.graph import Chosen
from specbuild.ops.attribute_kinds import Flag, Integer, KindError, Real, Word
from specbuild.ops.types import ShapeError, Tensor, listed


def with_variant(
    definition: BlockDef, given: dict[str, Argument], variant: str | None, at: At
) -> dict[str, Argument]:
    """The arguments of a variant, in the scope of its own file, and over them those given."""
    if variant is None:
        return given
    spec = definition.model
    variants = spec.variants if spec else {}
    if spec is None or variant not in variants:
        guess = nearest(variant, variants)
        hint = f"did you mean {guess!r}?" if guess else f"its variants are {listed(variants)}"
        raise at.error("SB202", f"{definition.name} has no variant {variant!r}", hint)
    own = spec.source.at(("variants", variant))
    return {**{name: Argument(raw, own.child(name)) for name, raw in variants[variant].items()}, **given}


def called(definition: BlockDef, given: dict[str, Argument], at: At) -> dict[str, Any]:
    """The value of every parameter where a block or, perhaps in one of its variants, a model is used."""
    chosen = given.pop("variant", None) if definition.model is not None else None
    variant = read(Word(), chosen.raw, chosen.at, chosen.env or {}) if chosen is not None else None
    return parameters(
        definition, with_variant(definition, given, variant, chosen.at if chosen is not None else at), at
    )


def declared(raw: Any, at: At, env: dict[str, Any]) -> Tensor:
    """The type of a model input: {C: 3, H: 224, W: 224}, or {axes: {T: 64}, dtype: int32}."""
    dtype = "float"
    if not isinstance(raw, Mapping):
        raise at.error("SB102", "an input of a model needs its sizes", "write {C: 3, H: 224, W: 224}, say")
    if "axes" in raw:
        dtype, raw, at = raw.get("dtype", "float"), raw["axes"], at.child("axes")
    sizes = {}
    for axis, size in raw.items():
        check_name(axis, at.child(axis), "an axis")
        sizes[axis] = read(Integer(1), size, at.child(axis), env)
    with shapes_at(at):
        return Tensor(sizes, dtype)


def parameters(definition: BlockDef, given: Mapping[str, Argument], at: At) -> dict[str, Any]:
    """The value of every parameter, in the caller's words where the caller gave it."""
    for name, argument in given.items():
        if name not in definition.params:
            guess = nearest(name, definition.params)
            hint = f"did you mean {guess!r}?" if guess else f"its parameters are {listed(definition.params)}"
            raise argument.at.error("SB101", f"{definition.name} has no parameter {name!r}", hint, key=True)
    values: dict[str, Any] = {}
    for name, param in definition.params.items():
        check_name(name, param.at, "a parameter")
        argument = given.get(name) or Argument(param.default, param.at.child("default"))
        if param.required and name not in given:
            raise at.child(name).error(
                "SB103", f"{definition.name} needs a value for {name!r} ({param.type})", param.doc
            )
        value = parameter(param, argument.raw, argument.at, values if argument.env is None else argument.env)
        values[name] = plain_or_block(value) if argument.env is None else value
    return values


def parameter(param: ParamDef, raw: Any, at: At, env: Mapping[str, Any]) -> Any:
    if param.type == "block":
        return chosen(raw, at, env)
    if param.type == "list":
        value = evaluated(raw, at, env) if isinstance(raw, str) else raw
        if not isinstance(value, list | tuple):
            raise at.error("SB305", f"{param.name} is a list", "write [3, 4, 6, 3], say")
        return [item(part, at.child(i), env) for i, part in enumerate(value)]
    if param.type == "str":
        value = read(Word(), raw, at, env)
    else:
        bounds = (param.minimum, param.maximum)
        kinds = {"int": Integer(*bounds), "float": Real(*bounds), "number": Real(*bounds), "bool": Flag()}  # type: ignore[arg-type]
        if param.type not in kinds:
            raise param.at.error(
                "SB102",
                f"{param.type!r} is not a type",
                f"types are {listed(('int', 'float', 'number', 'bool', 'str', 'list', 'block'))}",
            )
        value = read(kinds[param.type], raw, at, env)
    if param.choices and value not in param.choices:
        raise at.error(
            "SB304", f"{param.name} is one of {listed(map(str, param.choices))}, not {plain(value)}"
        )
    return value


def item(raw: Any, at: At, env: Mapping[str, Any]) -> Any:
    if isinstance(raw, list | tuple):
        return [item(part, at.child(i), env) for i, part in enumerate(raw)]
    return evaluated(raw, at, env) if isinstance(raw, str) else raw


def chosen(raw: Any, at: At, env: Mapping[str, Any]) -> Chosen:
    """A block given as a parameter: `CBAM`, `{CBAM: {reduction: 8}}`, `relu`, `none`, or a parameter handed on."""
    if isinstance(raw, str) and isinstance(env.get(raw), Chosen):
        found: Chosen = env[raw]
        return found
    if isinstance(raw, str):
        return Chosen(raw, {}, at, {})
    if isinstance(raw, Mapping) and len(raw) == 1:
        [(kind, arguments)] = raw.items()
        if arguments is not None and not isinstance(arguments, Mapping):
            raise at.child(kind).error(
                "SB305", f"{kind} takes its arguments by name", f"write {{{kind}: {{...}}}}"
            )
        read = set(re.findall(r"\w+", repr(arguments)))
        scope = {name: wordless(value) for name, value in env.items() if name in read}
        return Chosen(kind, arguments or {}, at.child(kind), scope)
    raise at.error("SB305", "this parameter is a block", "write CBAM, {CBAM: {reduction: 8}} or none")


def read(kind: Any, raw: Any, at: At, env: Mapping[str, Any]) -> Any:
    try:
        return kind.read(raw, lambda text: evaluate(text, env))
    except KindError as e:
        raise at.child(*e.path).error(e.code, e.message, e.hint) from None
    except WordsError as e:
        raise at.error(e.code, e.message, e.hint) from None


def evaluated(text: str, at: At, env: Mapping[str, Any]) -> Any:
    try:
        return evaluate(text, env)
    except WordsError as e:
        raise at.error(e.code, e.message, e.hint) from None


def holds(frame: Frame, step: StepDef) -> bool:
    value = read(Flag(), step.when, step.at.child("when"), frame.env)
    assert isinstance(value, bool)
    return value


def condition(frame: Frame, step: StepDef) -> str | None:
    """The words of a `when`, if every name in it has some."""
    return retell(step.when, frame.env, own=True) if isinstance(step.when, str) else None


def plain_or_block(value: Any) -> Any:
    return value if isinstance(value, Chosen) else plain(value)


def wordless(value: Any) -> Any:
    """What a name stands for, sizes of an input included, without the words of where it was said."""
    return (
        {axis: plain(size) for axis, size in value.items()}
        if isinstance(value, Mapping)
        else plain_or_block(value)
    )


@contextmanager
def shapes_at(at: At) -> Iterator[None]:
    try:
        yield
    except ShapeError as e:
        raise at.error(e.code, e.message, e.hint) from None
