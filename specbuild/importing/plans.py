"""The plans of blocks: their rows with expressions, their parameters, and the tree of groups and repeats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from specbuild.importing.instance_rows import Row, RowSource
from specbuild.importing.named_values import Instance, Step
from specbuild.ops import OPS


class TreeNode(Struct, eq=False):
    """A row, a group of nodes, or a repeat of rows. `name` is what `as` says, or empty.

    A repeat has `members`, the attributes with `i`, its `length`, and the pattern `names` of its members' names. A
    group that is repeated has the first group's `nodes`, and the `others`.
    """

    name: str = ""
    row: int | None = None
    nodes: list[TreeNode] = field(default_factory=list)
    others: list[TreeNode] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    length: int | str = 0
    names: str = ""
    is_spliced: bool = False
    is_counted: bool = False  # whether the instances have different numbers of members
    when: str = ""
    path: str = ""  # in the block; empty for a node at its top without a name

    def list_rows(self) -> Iterator[int]:
        """Yield the numbers of the rows in it, in their order."""
        if self.row is not None:
            yield self.row
        yield from self.members
        for node in (*self.nodes, *self.others):
            yield from node.list_rows()


class BlockPlan(Struct, eq=False):
    """A block for these instances. `defaults` are those of its parameters, `arguments` what each instance gives."""

    name: str
    instances: Sequence[Instance]
    rows: list[Row]
    outputs: list[RowSource]
    params: dict[str, list[Any]] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    nodes: list[TreeNode] = field(default_factory=list)
    single_samples: list[tuple[str, str]] = field(default_factory=list)

    def arguments(self, number: int) -> dict[str, Any]:
        """Return the arguments that an instance gives, except those that equal their default."""
        given = {name: column[number] for name, column in self.params.items()}
        return {n: v for n, v in given.items() if n not in self.defaults or self.defaults[n] != v}


class Plans(Struct):
    """The plans so far: the plan and number of each instance, and the names of blocks."""

    plans: list[BlockPlan] = field(default_factory=list)
    places: dict[Instance, tuple[BlockPlan, int]] = field(default_factory=dict)

    def names(self) -> dict[Instance, str]:
        return {instance: plan.name for instance, (plan, _) in self.places.items()}

    def attributes(self, step: Step) -> dict[str, Any]:
        """Return the attributes of a step; of a block, all arguments of the instance."""
        if step.instance is None:
            return dict(step.attributes)
        plan, number = self.places[step.instance]
        return {name: column[number] for name, column in plan.params.items()}

    def head(self, step: Step) -> str:
        """Return the op of a step, or the name of its block."""
        return step.op if step.instance is None else self.places[step.instance][0].name

    def default_values(self, step: Step) -> Mapping[str, Any]:
        """Return the defaults of the attributes of a step."""
        if step.instance is not None:
            return self.places[step.instance][0].defaults
        return OPS[step.op].defaults if step.op in OPS else {}

    def add(self, plan: BlockPlan) -> None:
        self.plans.append(plan)
        for number, instance in enumerate(plan.instances):
            self.places[instance] = plan, number
