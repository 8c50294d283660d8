"""Resolve the inputs of a step, from its `from`, from the attributes of its op, or from the step before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError, closest_match
from specbuild.diagnostics.suggestions import join_names
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.call_inputs import MAX_INPUTS, regroup_names, resolve_block_inputs
from specbuild.elaborate.references import (
    ABSENT,
    previous_value,
    resolve_input,
    resolve_optional,
    resolve_references,
)
from specbuild.elaborate.reused_steps import find_reused
from specbuild.elaborate.values import is_condition_true
from specbuild.frontend.block_inputs import flatten_names, is_list_input
from specbuild.frontend.document import STRUCTURES, BlockDef, ParamDef, StepDef
from specbuild.frontend.habits import own_op
from specbuild.frontend.library import full_library_index
from specbuild.frontend.resolver import SpecFiles
from specbuild.ir.graph import Block, BlockArgument, Ref
from specbuild.ops import OPS
from specbuild.ops.base import Op


def resolve_inputs(files: SpecFiles, scope: BlockScope, step: StepDef) -> list[Ref | None]:
    """Return the inputs of a step in the order of its op or block; None for an absent optional input."""
    is_left_out = step.when is not None and has_absent_inputs(scope) and not is_condition_true(scope, step)
    with scope.leave_out(is_left_out):
        return resolve_present_inputs(files, scope, step)


def separate_inputs(files: SpecFiles, scope: BlockScope, step: StepDef) -> StepDef:
    """Return a step of a block without inputs among its arguments: they become its `from`. Others stay as they are."""
    if step.kind in OPS or step.kind in STRUCTURES or not isinstance(step.value, Mapping):
        return step
    try:
        definition = files.find_block(scope.definition.source, step.kind, step.value_at)
    except SpecError:  # raised again where the block is used
        return step
    return move_inputs(definition, step)


def move_inputs(definition: BlockDef, step: StepDef) -> StepDef:
    """Return a step of this block with the inputs that are written among its arguments as its `from`.

    The first input is the value of the step before, if it is not among them. Raises SB105 if the step has a `from` too.
    """
    names = definition.inputs_among(step.value)
    if not names:
        return step
    arguments = {name: raw for name, raw in step.value.items() if name not in names}
    if step.sources_at is not None:  # an edit gives other inputs
        return replace(step, value=arguments)
    sources = {name: step.value[name] for name in names}
    if step.sources is not None:
        raise step.value_at.child(names[0]).error(
            "SB105",
            f"{names[0]!r} is an input of {step.kind}, and so is what `from` gives",
            f"give all inputs of the step in one place: move {join_names(names)} to `from`",
            key=True,
        )
    first = next(iter(definition.inputs))
    if first not in sources and not is_list_input(definition.inputs[first]):
        sources = {first: "prev", **sources}
    return replace(step, value=arguments, sources=sources, inputs_at=step.value_at)


def has_absent_inputs(scope: BlockScope) -> bool:
    """Return whether a name in the block can stand for an input that this use of the block does not get."""
    return bool(scope.absent_inputs) or bool(scope.inputs_by_list)


def resolve_present_inputs(files: SpecFiles, scope: BlockScope, step: StepDef) -> list[Ref | None]:
    if step.kind == "reuse":
        reused = find_reused(scope, step)
        if reused.is_group:
            return resolve_group_inputs(scope, step, reused.input_names)
        origin = reused.nodes[reused.name]
        if isinstance(origin.op, Op):
            return resolve_op_inputs(scope, step, type(origin.op), {})
        declared = origin.op.declared_inputs if isinstance(origin.op, Block) else {"x": None}
        return resolve_block_inputs(scope, step, declared)
    user = scope.definition.source
    if step.kind == "use":
        choice = block_argument(scope, step)
        if choice.name == "none":
            return resolve_block_inputs(scope, step, {"x": None})
        step = replace(step, kind=choice.name, value=choice.arguments, value_at=choice.at)
        user = choice.at.source
    if step.kind in OPS:
        raw = step.value if isinstance(step.value, Mapping) else {}
        return resolve_op_inputs(scope, step, OPS[step.kind], raw)
    definition = files.find_block(user, step.kind, step.value_at if step.value_at.path else step.at)
    return resolve_block_inputs(scope, step, definition.inputs)


def resolve_group_inputs(scope: BlockScope, step: StepDef, names: list[str]) -> list[Ref | None]:
    """Return the inputs of a group that is reused. Raises SB103 for another number of values in a list."""
    inputs = resolve_block_inputs(scope, step, regroup_names(names))
    if len(inputs) != len(names):
        message = f"{step.value} has {len(names)} inputs, but {len(inputs)} are given"
        raise step.from_at.error("SB103", message, "give it lists of the same lengths", key=True)
    return inputs


def require_passing_input(scope: BlockScope, step: StepDef, inputs: list[Ref | None]) -> Ref | None:
    """Return the input that a step passes on if its `when` is false; None if the step has no input.

    Raises SB401 if the step has several inputs, and none of them is the value of the step before.
    """
    ref = find_passing_input(scope, step, inputs)
    present = list_inputs(inputs)
    if ref is not None or not present:
        return ref
    raise step.at.child("when").error(
        "SB401",
        f"{step.title} has several inputs ({join_names(present)}), and none of them is the value of the step "
        "before: it is unclear which one passes through",
        f"move the step into a group that names it: `- do: [...]` with `from: {present[0]}` and the `when`",
    )


def find_passing_input(scope: BlockScope, step: StepDef, inputs: list[Ref | None]) -> Ref | None:
    """Return the input that stands for a step that is left out; None if there is none, or several could.

    That is its only input, or the one that `from` names; of several, the value of the step before.
    """
    present = list(dict.fromkeys(ref for ref in inputs if ref is not None))
    if present == [ABSENT]:
        return scope.last
    is_named = isinstance(step.sources, str) or (step.sources is not None and len(step.sources) == 1)
    if len(present) == 1 or (present and is_named):
        return present[0] or scope.last
    return scope.last if scope.last in present else None


def list_inputs(inputs: list[Ref | None]) -> list[str]:
    """Return the inputs of a step as a spec writes them."""
    return [ref.replace("@", ".") for ref in dict.fromkeys(inputs) if ref]


def list_input_names(files: SpecFiles, scope: BlockScope, step: StepDef, count: int) -> list[str]:
    """Return the names of the `count` inputs of a step; empty for an op that takes any number of them."""
    kind, user, at = step.kind, scope.definition.source, step.value_at if step.value_at.path else step.at
    if kind == "reuse":
        reused = find_reused(scope, step)
        if reused.is_group:
            return reused.input_names
        origin = reused.nodes[reused.name].op
        if isinstance(origin, Block):
            return flatten_names(origin.declared_inputs, count)
        kind = origin.name if isinstance(origin, Op) else "none"
    elif kind == "use":
        choice = block_argument(scope, step)
        kind, user, at = choice.name, choice.at.source, choice.at
    if kind == "none":
        return ["x"]
    if kind in OPS:
        specs = OPS[kind].input_specs
        return [] if specs and specs[0].variadic else [spec.name for spec in specs]
    return flatten_names(files.find_block(user, kind, at).inputs, count)


def list_output_names(files: SpecFiles, scope: BlockScope, step: StepDef) -> list[str]:
    """Return the names of the outputs that the block of a step declares; empty for any other step."""
    kind, user, at = step.kind, scope.definition.source, step.value_at if step.value_at.path else step.at
    if kind == "use":
        choice = block_argument(scope, step)
        kind, user, at = choice.name, choice.at.source, choice.at
    if kind in OPS or kind in (*STRUCTURES, "none"):
        return []
    raw = files.find_block(user, kind, at).outputs
    return [] if raw is None or isinstance(raw, str) else [str(name).replace(".", "_") for name in raw]


def suggest_block_parameter(name: str, params: Mapping[str, ParamDef]) -> str:
    """Return the hint for a `use` of what is no parameter of type `block`: what to write in its place, or to declare."""
    param = params.get(name)
    if param is not None:
        named = param.default if isinstance(param.default, str) else "none"
        default = named if named in OPS or named == "none" else own_op(named) or named
        return f"write `{name}: {{type: block, default: {default}}}` under `params`"
    if closest_match(name, [p.name for p in params.values() if p.type == "block"]):
        return ""
    if name in OPS or name in full_library_index() or own_op(name):
        step = name if name in OPS or name in full_library_index() else own_op(name)
        return f"write `- {step}` as the step; `use` names a parameter of type `block`"
    has_choices = any(p.type == "block" for p in params.values())
    return "" if has_choices else f"declare it: `params: {{{name}: {{type: block, default: none}}}}`"


def block_argument(scope: BlockScope, step: StepDef) -> BlockArgument:
    """Return the argument that a `use` step names. Raises SB202 if it names no parameter of type `block`."""
    if isinstance(step.value, BlockArgument):
        return step.value
    choice = scope.env.get(step.value) if isinstance(step.value, str) else None
    if not isinstance(choice, BlockArgument):
        params = [p for p, v in scope.env.items() if isinstance(v, BlockArgument)]
        raise step.value_at.error(
            "SB202",
            f"{step.value!r} is not a parameter of type `block`",
            suggest_block_parameter(str(step.value), scope.definition.params)
            or f"available: {join_names(params)}",
        )
    return choice


def resolve_op_inputs(
    scope: BlockScope, step: StepDef, cls: type[Op], raw: Mapping[str, Any]
) -> list[Ref | None]:
    """Return the inputs of an op; `raw` are its attributes, which may name inputs."""
    if cls.input_specs and cls.input_specs[0].variadic:
        return resolve_variadic_inputs(scope, step, cls, raw)
    if isinstance(step.value, list):
        raise step.error("SB102", f"{cls.name} does not take a list of inputs")
    if not cls.input_specs and step.sources is not None:
        raise step.from_at.error("SB101", f"{cls.name} takes no inputs", "remove `from`", key=True)
    if isinstance(step.sources, Mapping):
        check_input_names(step, cls, step.sources)
    check_given_once(step, cls, raw)
    inputs: list[Ref | None] = []
    for index, spec in enumerate(cls.input_specs):
        resolve = resolve_optional if spec.optional else resolve_input
        if isinstance(step.sources, Mapping) and spec.name in step.sources:
            inputs.append(resolve(scope, step.sources[spec.name], step.from_at.child(spec.name)))
        elif spec.name in raw:
            inputs.append(resolve(scope, raw[spec.name], step.value_at.child(spec.name)))
        elif isinstance(step.sources, list) and index < len(step.sources):
            inputs.append(resolve(scope, step.sources[index], step.from_at.child(index)))
        elif spec.optional:
            inputs.append(None)
        elif index == 0 and isinstance(step.sources, str):
            inputs.append(resolve_input(scope, step.sources, step.from_at))
        elif index == 0:
            inputs.append(previous_value(scope, step))
        else:
            raise step.error(
                "SB103",
                f"{cls.name} needs the input {spec.name!r}: {spec.doc}",
                missing_inputs_hint(cls, index),
            )
    if isinstance(step.sources, list) and len(step.sources) > len(cls.input_specs):
        count = len(cls.input_specs)
        message = f"{step.title} takes {count} input{'s' * (count != 1)}, but {len(step.sources)} are given"
        raise step.from_at.error("SB103", message)
    return inputs


def missing_inputs_hint(cls: type[Op], index: int) -> str:
    """Return how to write an op with the inputs that it needs, from a number on."""
    needed = [spec.name for spec in cls.input_specs[index:] if not spec.optional]
    return f"write `{cls.name}: {{{', '.join(f'{name}: ...' for name in needed)}}}`"


def check_given_once(step: StepDef, cls: type[Op], raw: Mapping[str, Any]) -> None:
    """Raise SB103 if the attributes of an op give one of its inputs, and `from` gives another value for it."""
    names = [spec.name for spec in cls.input_specs]
    if isinstance(step.sources, Mapping):
        given = {name: (source, step.from_at.child(name)) for name, source in step.sources.items()}
    elif isinstance(step.sources, list):
        sources = zip(names, step.sources, strict=False)
        given = {name: (source, step.from_at.child(i)) for i, (name, source) in enumerate(sources)}
    else:
        given = {name: (step.sources, step.from_at) for name in names[:1] if step.sources is not None}
    for name, (source, at) in given.items():
        if name in raw and raw[name] != source:
            message = f"{step.title} gets its input {name} twice: here, and as the attribute `{name}`"
            raise at.error("SB103", message, "leave one of them out")


def resolve_variadic_inputs(
    scope: BlockScope, step: StepDef, cls: type[Op], raw: Mapping[str, Any]
) -> list[Ref | None]:
    """Return the inputs of an op that takes any number of them, such as `add`."""
    first = cls.input_specs[0].name
    if (isinstance(step.value, list) or first in raw) and step.sources is not None:
        message = f"{step.title} gets its inputs twice: here, and as its value"
        raise step.from_at.error("SB103", message, "leave one of them out")
    if isinstance(step.value, list):
        refs, at = step.value, step.value_at
    elif first in raw:
        refs, at = raw[first], step.value_at.child(first)
    else:
        refs, at = step.sources, step.from_at
    if not isinstance(refs, list) or not refs:
        raise step.error("SB103", f"{cls.name} needs its inputs", f"write `{cls.name}: [a, b]`")
    inputs: list[Ref | None] = []
    for i, ref in enumerate(refs[: MAX_INPUTS + 1]):
        inputs += resolve_references(scope, ref, at.child(i))
        if len(inputs) > MAX_INPUTS:
            break
    count = max(len(refs), len(inputs))
    if count > MAX_INPUTS:
        message = f"{cls.name} has {count:,} inputs; an op has at most {MAX_INPUTS}"
        raise at.error("SB502", message, f"use several steps of {cls.name}, and one for their results")
    if not inputs:
        raise step.error("SB103", f"{cls.name} needs its inputs, but {join_names(refs)} has no values")
    scope.work.count_inputs(count, at)
    return inputs


def check_input_names(step: StepDef, cls: type[Op], sources: Mapping[str, Any]) -> None:
    names = [spec.name for spec in cls.input_specs]
    for name in sources:
        if name not in names:
            raise step.from_at.child(name).error(
                "SB101",
                f"{step.title} has no input {name!r}",
                f"its inputs are {join_names(names)}",
                key=True,
            )
