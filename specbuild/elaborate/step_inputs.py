"""Resolve the inputs of a step, from its `from`, from the attributes of its op, or from the step before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.suggestions import join_names, suggest_name
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.references import previous_value, resolve_reference
from specbuild.frontend.document import StepDef
from specbuild.frontend.resolver import SpecFiles
from specbuild.ir.graph import Block, BlockArgument, Node, Ref
from specbuild.ops import OPS
from specbuild.ops.base import Op


def resolve_inputs(files: SpecFiles, scope: BlockScope, step: StepDef) -> list[Ref | None]:
    """Return the inputs of a step in the order of its op or block; None for an absent optional input."""
    if step.kind == "reuse":
        origin = reused_node(scope, step)
        if origin is not None and isinstance(origin.op, Block):
            return resolve_block_inputs(scope, step, list(origin.op.inputs))
        if origin is not None and isinstance(origin.op, Op):
            return resolve_op_inputs(scope, step, type(origin.op), {})
        return resolve_block_inputs(scope, step, ["x"])
    user = scope.definition.source
    if step.kind == "use":
        choice = block_argument(scope, step)
        if choice.kind == "none":
            return resolve_block_inputs(scope, step, ["x"])
        step = replace(step, kind=choice.kind, value=choice.arguments, value_at=choice.at)
        user = choice.at.source
    if step.kind in OPS:
        raw = step.value if isinstance(step.value, Mapping) else {}
        return resolve_op_inputs(scope, step, OPS[step.kind], raw)
    definition = files.find_block(user, step.kind, step.value_at if step.value_at.path else step.at)
    return resolve_block_inputs(scope, step, list(definition.inputs))


def reused_node(scope: BlockScope, step: StepDef) -> Node | None:
    if not isinstance(step.value, str):
        raise step.value_at.error("SB102", "`reuse` takes the name of an earlier step")
    return scope.nodes.get(resolve_reference(scope, step.value, step.value_at).partition("@")[0])


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
            f"available: {join_names(params)}" if params else "declare it under `params`",
        )
    return choice


def resolve_block_inputs(scope: BlockScope, step: StepDef, names: list[str]) -> list[Ref | None]:
    """Return the inputs of a step that takes inputs with these names."""
    raw, at = step.sources, step.from_at
    if raw is None or isinstance(raw, str):
        if len(names) != 1:
            raise step.error(
                "SB103",
                f"{step.kind} takes {len(names)} inputs: {join_names(names)}",
                f"write `from: {{{names[0]}: ..., {names[-1]}: ...}}`",
            )
        return [previous_value(scope, step) if raw is None else resolve_reference(scope, raw, at)]
    if isinstance(raw, list):
        if len(raw) != len(names):
            raise at.error(
                "SB103",
                f"{step.kind} takes {len(names)} inputs ({join_names(names)}), but {len(raw)} are given",
            )
        return [resolve_reference(scope, r, at.child(i)) for i, r in enumerate(raw)]
    for name in raw:
        if name not in names:
            raise at.child(name).error(
                "SB101",
                f"{step.kind} has no input {name!r}",
                suggest_name(name, names, "its inputs are"),
                key=True,
            )
    missing = [name for name in names if name not in raw]
    if missing:
        raise at.error("SB103", f"{step.kind} also needs the input {join_names(missing)}", key=True)
    return [resolve_reference(scope, raw[name], at.child(name)) for name in names]


def resolve_op_inputs(
    scope: BlockScope, step: StepDef, cls: type[Op], raw: Mapping[str, Any]
) -> list[Ref | None]:
    """Return the inputs of an op; `raw` are its attributes, which may name inputs."""
    if cls.input_specs and cls.input_specs[0].variadic:
        return resolve_variadic_inputs(scope, step, cls, raw)
    if isinstance(step.value, list):
        raise step.error("SB102", f"{cls.name} does not take a list of inputs")
    if isinstance(step.sources, Mapping):
        check_input_names(step, cls, step.sources)
    inputs: list[Ref | None] = []
    for index, spec in enumerate(cls.input_specs):
        if isinstance(step.sources, Mapping) and spec.name in step.sources:
            inputs.append(resolve_reference(scope, step.sources[spec.name], step.from_at.child(spec.name)))
        elif spec.name in raw and spec.name != "x":
            inputs.append(resolve_reference(scope, raw[spec.name], step.value_at.child(spec.name)))
        elif isinstance(step.sources, list) and index < len(step.sources):
            inputs.append(resolve_reference(scope, step.sources[index], step.from_at.child(index)))
        elif spec.optional:
            inputs.append(None)
        elif index == 0 and isinstance(step.sources, str):
            inputs.append(resolve_reference(scope, step.sources, step.from_at))
        elif index == 0:
            inputs.append(previous_value(scope, step))
        else:
            raise step.error(
                "SB103",
                f"{cls.name} needs the input {spec.name!r}: {spec.doc}",
                f"write `{cls.name}: {{{spec.name}: ...}}`",
            )
    if isinstance(step.sources, list) and len(step.sources) > len(cls.input_specs):
        count = len(cls.input_specs)
        message = f"{cls.name} takes {count} input{'s' * (count != 1)}, but {len(step.sources)} are given"
        raise step.from_at.error("SB103", message)
    return inputs


def resolve_variadic_inputs(
    scope: BlockScope, step: StepDef, cls: type[Op], raw: Mapping[str, Any]
) -> list[Ref | None]:
    """Return the inputs of an op that takes any number of them, such as `add`."""
    first = cls.input_specs[0].name
    if isinstance(step.value, list):
        refs, at = step.value, step.value_at
    elif first in raw:
        refs, at = raw[first], step.value_at.child(first)
    else:
        refs, at = step.sources, step.from_at
    if not isinstance(refs, list) or not refs:
        raise step.error("SB103", f"{cls.name} needs its inputs", f"write `{cls.name}: [a, b]`")
    return [resolve_reference(scope, ref, at.child(i)) for i, ref in enumerate(refs)]


def check_input_names(step: StepDef, cls: type[Op], sources: Mapping[str, Any]) -> None:
    names = [spec.name for spec in cls.input_specs]
    for name in sources:
        if name not in names:
            raise step.from_at.child(name).error(
                "SB101",
                f"{cls.name} has no input {name!r}",
                f"its inputs are {join_names(names)}",
                key=True,
            )
