"""Find what a `reuse` names: a step, a group or a `parallel`, of this block or inside another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from specbuild.elaborate.block_scope import BlockScope, enclosing_prefixes
from specbuild.elaborate.references import resolve_reference
from specbuild.expressions import translate_expression
from specbuild.frontend.document import StepDef
from specbuild.ir.graph import Block, Group, Node, ParallelSteps, Ref
from specbuild.ir.path_index import PathIndex
from specbuild.ops.base import Op, list_attributes
from specbuild.ops.types import TensorType


class ReusedSteps(Struct, frozen=True):
    """What a `reuse` names, and the steps around it: those of this block, or of a block inside it."""

    name: str  # of the step or group, among the steps around it
    nodes: Mapping[str, Node]
    groups: Mapping[str, Group]
    parallels: Mapping[str, ParallelSteps]
    pending_edits: Mapping[str, Any]
    value_type: Callable[[Ref], TensorType]
    paths: PathIndex
    holders: tuple[Node, ...] = ()  # the nodes that lead to the steps, outermost first

    @property
    def prefix(self) -> str:
        """The path to the steps, with a dot at the end; empty for those of this block."""
        return "".join(f"{node.reuses or node.name}." for node in self.holders)

    @property
    def is_group(self) -> bool:
        return self.name in self.parallels or (self.name in self.groups and self.name not in self.nodes)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs of a group or `parallel`."""
        if self.name in self.parallels:
            return ["x"] if self.parallels[self.name].input is not None else []
        return list(self.groups[self.name].inputs)

    def has_step(self) -> bool:
        return self.name in self.parallels or self.name in self.groups or self.name in self.nodes

    def to_outer(self, value: Any) -> Any:
        """Rewrite the numbers of an inner block as expressions over the names of this block."""
        if isinstance(value, Mapping):
            return {key: self.to_outer(item) for key, item in value.items()}
        for holder in reversed(self.holders):
            value = translate_expression(value, holder.args)
        return value

    def outer_op(self, op: Op) -> Op:
        """Return an op of an inner block with its attributes as expressions over the names of this block."""
        if not self.holders:
            return op
        return type(op)(**{name: self.to_outer(getattr(op, name)) for name in list_attributes(type(op))})


def find_reused(scope: BlockScope, step: StepDef) -> ReusedSteps:
    """Return what a `reuse` names. Raises SB202 if there is no such step."""
    text, at = step.value, step.value_at
    if not isinstance(text, str):
        raise at.error("SB102", "`reuse` takes the name of an earlier step")
    if text == "prev" and scope.last is not None:
        text = scope.last.partition("@")[0]
    for prefix in enclosing_prefixes(scope.prefix):
        path = prefix + text
        if scope.prefix.startswith(path + "."):
            raise at.error("SB202", f"{text!r} is not complete here: this step is a part of it")
        found = find_steps(scope_steps(scope, path))
        if found is not None:
            return found
    resolve_reference(scope, text, at)
    raise at.error("SB202", f"{text!r} is not a step that can be reused", "name a step, not a value")


def scope_steps(scope: BlockScope, name: str) -> ReusedSteps:
    """Return the steps of a scope; `name` may lead into an inner block."""
    return ReusedSteps(
        name, scope.nodes, scope.groups, scope.parallels, scope.pending_inside, scope.value_type, scope.paths
    )


def find_steps(steps: ReusedSteps) -> ReusedSteps | None:
    """Return the steps around the step at the path `steps.name`, in inner blocks too; None if there is none."""
    if steps.has_step():
        return steps
    parts = steps.name.split(".")
    for cut in range(1, len(parts)):  # one at most is the name of a step
        holder = steps.nodes.get(".".join(parts[:cut]))
        if holder is not None and isinstance(holder.op, Block):
            block, holders = holder.op, (*steps.holders, holder)
            name = ".".join(parts[cut:])
            return find_steps(
                ReusedSteps(
                    name,
                    block.nodes_by_name,
                    block.groups,
                    block.parallels,
                    block.pending_edits,
                    block.value_type,
                    block.paths,
                    holders,
                )
            )
    return None
