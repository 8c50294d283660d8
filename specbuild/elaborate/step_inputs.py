"""Where the inputs of a step come from: `from`, the op's own attributes, or the step before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from specbuild.diagnostics.errors import closest_match
from specbuild.elaborate.block_scope import BlockScope
from specbuild.elaborate.references import previous_value, resolve_reference
from specbuild.frontend.document import StepDef
from specbuild.frontend.resolver import SpecFiles
from specbuild.ir.graph import Block, BlockArgument, Node, Ref
from specbuild.ops import OPS
from specbuild.ops.base import Op
from specbuild.ops.types import join_names


def resolve_inputs(files: SpecFiles, scope: BlockScope, step: StepDef) -> list[Ref | None]:
    """The inputs of a step, in the order in which its op or block takes them."""
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
        step, user = (
            replace(step, kind=choice.kind, value=choice.arguments, value_at=choice.at),
            choice.at.source,
        )
    if step.kind in OPS:
        raw = step.value if isinstance(step.value, Mapping) else {}
        return resolve_op_inputs(scope, step, OPS[step.kind], raw)
    definition = files.find_block(user, step.kind, step.value_at if step.value_at.path else step.at)
    return resolve_block_inputs(scope, step, list(definition.inputs))


def reused_node(scope: BlockScope, step: StepDef) -> Node | None:
    if not isinstance(step.value, str):
        raise step.value_at.error("SB102", "`reuse` takes the name of a step above")
    return scope.nodes.get(resolve_reference(scope, step.value, step.value_at).partition("@")[0])


def block_argument(scope: BlockScope, step: StepDef) -> BlockArgument:
    if isinstance(step.value, BlockArgument):
        return step.value
    choice = scope.env.get(step.value) if isinstance(step.value, str) else None
    if not isinstance(choice, BlockArgument):
        blocks = [p for p, v in scope.env.items() if isinstance(v, BlockArgument)]
        raise step.value_at.error(
            "SB202", f"{step.value!r} is not a parameter that is a block", f"here are: {join_names(blocks)}"
        )
    return choice


def resolve_block_inputs(scope: BlockScope, step: StepDef, wanted: list[str]) -> list[Ref | None]:
    raw, at = step.sources, step.from_at
    if raw is None or isinstance(raw, str):
        if len(wanted) != 1:
            raise step.error(
                "SB103",
                f"{step.kind} takes {len(wanted)} inputs: {join_names(wanted)}",
                f"write `from: {{{wanted[0]}: ..., {wanted[-1]}: ...}}`",
            )
        return [previous_value(scope, step) if raw is None else resolve_reference(scope, raw, at)]
    if isinstance(raw, list):
        if len(raw) != len(wanted):
            raise at.error(
                "SB103", f"{step.kind} takes {len(wanted)} inputs ({join_names(wanted)}), here are {len(raw)}"
            )
        return [resolve_reference(scope, r, at.child(i)) for i, r in enumerate(raw)]
    for name in raw:
        if name not in wanted:
            guess = closest_match(name, wanted)
            raise at.child(name).error(
                "SB101",
                f"{step.kind} has no input {name!r}",
                f"did you mean {guess!r}?" if guess else f"its inputs are {join_names(wanted)}",
                key=True,
            )
    lacking = [name for name in wanted if name not in raw]
    if lacking:
        raise at.error("SB103", f"{step.kind} also needs the input {join_names(lacking)}", key=True)
    return [resolve_reference(scope, raw[name], at.child(name)) for name in wanted]


def resolve_op_inputs(
    scope: BlockScope, step: StepDef, cls: type[Op], raw: Mapping[str, Any]
) -> list[Ref | None]:
    if cls.input_specs and cls.input_specs[0].variadic:
        listed_refs, at = (
            (step.value, step.value_at) if isinstance(step.value, list) else (None, step.value_at)
        )
        if listed_refs is None:
            first = cls.input_specs[0].name
            listed_refs, at = (raw[first], at.child(first)) if first in raw else (step.sources, step.from_at)
        if not isinstance(listed_refs, list) or not listed_refs:
            raise step.error("SB103", f"{cls.name} needs its inputs", f"write `{cls.name}: [a, b]`")
        return [resolve_reference(scope, r, at.child(i)) for i, r in enumerate(listed_refs)]
    if isinstance(step.value, list):
        raise step.error("SB102", f"{cls.name} does not take a list of inputs")
    given = dict(raw)
    if isinstance(step.sources, Mapping):
        names = [t.name for t in cls.input_specs]
        for name in step.sources:
            if name not in names:
                raise step.from_at.child(name).error(
                    "SB101",
                    f"{cls.name} has no input {name!r}",
                    f"its inputs are {join_names(names)}",
                    key=True,
                )
    found: list[Ref | None] = []
    for index, take in enumerate(cls.input_specs):
        if isinstance(step.sources, Mapping) and take.name in step.sources:
            found.append(resolve_reference(scope, step.sources[take.name], step.from_at.child(take.name)))
        elif take.name in given and take.name != "x":
            found.append(resolve_reference(scope, given[take.name], step.value_at.child(take.name)))
        elif isinstance(step.sources, list) and index < len(step.sources):
            found.append(resolve_reference(scope, step.sources[index], step.from_at.child(index)))
        elif take.optional:
            found.append(None)
        elif index == 0:
            raw_from = step.sources if isinstance(step.sources, str) else None
            found.append(
                previous_value(scope, step)
                if raw_from is None
                else resolve_reference(scope, raw_from, step.from_at)
            )
        else:
            raise step.error(
                "SB103",
                f"{cls.name} needs the input {take.name!r}: {take.doc}",
                f"write `{cls.name}: {{{take.name}: ...}}`",
            )
    if isinstance(step.sources, list) and len(step.sources) > len(cls.input_specs):
        raise step.from_at.error(
            "SB103", f"{cls.name} takes {len(cls.input_specs)} input, here are {len(step.sources)}"
        )
    return found
