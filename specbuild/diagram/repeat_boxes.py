"""One box for all members of a repeat: its title, its content, its cost and its changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagram.block_kinds import BlockKinds
from specbuild.diagram.captions import (
    count_window_axes,
    format_arguments,
    join_caption,
    node_label,
    op_caption,
    step_resolution,
)
from specbuild.diagram.diff_boxes import mark_repeat
from specbuild.diagram.diff_marks import NO_MARK, DiffMark
from specbuild.diagram.palette import op_kind
from specbuild.diagram.step_groups import StepGroup, StepGrouping, format_span
from specbuild.diagram.view_model import BlockKind, Box, StepScope
from specbuild.ir.graph import Block, Group, Node, Skip
from specbuild.ops.base import Op


class RepeatContent(Struct, frozen=True):
    """What the box of a repeat shows of one member."""

    kind: str
    families: tuple[str, ...]
    detail: str
    opens_panel: str = ""


class RepeatBoxes(StepGrouping):
    """Builds the box of each repeat in one kind of block, and collects the panels that the boxes open."""

    def __init__(self, kinds: BlockKinds, kind: BlockKind) -> None:
        super().__init__(kind)
        self.kinds = kinds
        self.opened_panels: dict[str, None] = {}  # a set that keeps its order

    def repeat_box(self, group: StepGroup) -> Box:
        """Return the box of a repeat, with its changes in a diagram of two models."""
        marks = [self.marks.mark_of(self.scope.block, node.name) for node in group.nodes]
        box = self.unmarked_repeat_box(group, marks)
        if all(mark == NO_MARK for mark in marks):
            return box
        box = mark_repeat(box, self.marks, group, marks)
        return replace(box, old_cost=self.repeat_old_cost(box, group, marks))

    def unmarked_repeat_box(self, group: StepGroup, marks: Sequence[DiffMark]) -> Box:
        scope = self.scope
        first, last = group.first_node, group.nodes[-1]
        source = scope.block.groups.get(group.name)
        source = source or Group(group.name, first.at, len(group.members), first.doc)
        nodes = current_nodes(group, marks)
        content = self.repeat_content(group, nodes, marks, source.doc)
        varies = self.has_varying_cost(group)
        parameters, macs = (0, 0) if varies else self.repeat_cost(nodes)
        local_path = group.name[scope.prefix_length :]
        span = format_span(scope.local_name(first), scope.local_name(last))
        return Box(
            "",
            "card",
            content.kind,
            local_path if self.is_declared(group) else span,
            content.families,
            detail=content.detail,
            sizes=() if varies else self.changed_sizes(scope.local_name(first), [(nodes[-1], scope)]),
            type=self.describe_value(nodes[-1].name, nodes[-1].type),
            grid=step_resolution(nodes[-1]),
            parameters=parameters,
            macs=macs,
            repeat_count=self.format_repeat_count(group),
            opens_panel=content.opens_panel,
            steps=tuple(scope.local_name(n) for n in group.nodes if not isinstance(n.op, Skip)),
            macs_by_kind=self.repeat_macs_by_kind(nodes),
            at=source.at,
            doc=source.doc,
            row=first.row,
        )

    def is_declared(self, group: StepGroup) -> bool:
        """Return whether the spec declares this repeat; if not, it is a run of equal blocks."""
        return group.name in self.scope.block.groups

    def format_repeat_count(self, group: StepGroup) -> str:
        """Return `4`.

        `2–6` if the count differs between the instances of the block; empty if it is always 1.
        """
        if not self.is_declared(group):
            counts = {len(group.members)}
        else:
            local_path = group.name[self.scope.prefix_length :]
            counts = {self.group_length(scope, local_path) for scope in self.scopes}
        if len(counts) > 1:
            return f"{min(counts)}–{max(counts)}"
        return str(len(group.members)) if len(group.members) > 1 else ""

    # -- content

    def repeat_content(
        self, group: StepGroup, nodes: Sequence[Node], marks: Sequence[DiffMark], doc: str
    ) -> RepeatContent:
        """Return what one member is: a block, an op, or several steps. `nodes` has no removed steps."""
        ops = [members[0].op for members in group.members]
        if all(len(members) == 1 for members in group.members):
            blocks = [op for op in ops if isinstance(op, Block)]
            if len(blocks) == len(ops):
                return self.block_content(blocks, nodes, marks)
            if isinstance(ops[0], Op):
                family = ops[0].family
                same_ops = [op for op in ops if isinstance(op, Op)]
                detail = op_caption(same_ops, count_window_axes(group.first_node))
                return RepeatContent(op_kind(family), (family,), detail)
        return self.steps_content(group, doc)

    def block_content(
        self, blocks: Sequence[Block], nodes: Sequence[Node], marks: Sequence[DiffMark]
    ) -> RepeatContent:
        """Return members that are one block each."""
        panels = [
            self.kinds.panel_key(block, mark.change, mark.is_new_block)
            for block, mark in zip(blocks, marks, strict=True)
        ]
        opened = dict.fromkeys(key for key in panels if key)
        self.opened_panels |= opened
        arguments = ""
        if len({(b.name, *b.params) for n in nodes if isinstance(b := n.op, Block)}) == 1:
            in_notes = {note.what for mark in marks for note in mark.notes}
            arguments = format_arguments(nodes, True, in_notes)
        names = "/".join(dict.fromkeys(block.name for block in blocks))
        return RepeatContent("block", (), join_caption(names, arguments), next(iter(opened), ""))

    def steps_content(self, group: StepGroup, doc: str) -> RepeatContent:
        """Return members of several steps: all members with the same changes share one panel."""
        block = self.scope.block
        opens_panel = ""
        for i, nodes in enumerate(group.members):
            member = self.member_scope(group, nodes, i)
            changes = self.marks.step_signatures(block, nodes, member.prefix_length)
            identity = (block.at, group.name, changes)
            key = self.kinds.register_kind(identity, f"{group.name}, each", doc, member, block)
            if changes or not self.kinds.is_diff:
                opens_panel = key
                self.opened_panels[key] = None
        return RepeatContent("block", (), ", ".join(map(node_label, group.members[0])), opens_panel)

    # -- cost

    def repeat_cost(self, nodes: Sequence[Node]) -> tuple[int, int]:
        """Return parameters and multiply-adds of all members together."""
        return add_costs([self.kinds.step_cost(node, self.scope.block) for node in nodes])

    def repeat_macs_by_kind(self, nodes: Sequence[Node]) -> tuple[tuple[str, int], ...]:
        total: Counter[str] = Counter()
        for node in nodes:
            total.update(self.kinds.macs_by_kind(node, self.scope.block))
        return self.mac_shares(total)

    def mac_shares(self, macs_by_kind: Counter[str]) -> tuple[tuple[str, int], ...]:
        """Return multiply-adds by kind of op, largest first; () where a diagram shows no shares."""
        if len(self.scopes) > 1 or self.kinds.is_diff:
            return ()
        return tuple(sorted(macs_by_kind.items(), key=lambda item: -item[1]))

    def has_varying_cost(self, group: StepGroup) -> bool:
        """Return whether the cost of a repeat can differ between the instances of the block."""
        if len(self.scopes) == 1:
            return False
        if not self.is_declared(group):
            return True
        local_path = group.name[self.scope.prefix_length :]
        return len({self.group_cost(scope, local_path) for scope in self.scopes}) > 1

    def group_cost(self, scope: StepScope, group: str) -> tuple[int, int]:
        """Return parameters and multiply-adds of the steps under a group, in one instance of the block."""
        nodes = [node for node in scope.nodes if scope.local_name(node).startswith(group + ".")]
        return add_costs([self.kinds.step_cost(node, scope.block) for node in nodes])

    def repeat_old_cost(
        self, box: Box, group: StepGroup, marks: Sequence[DiffMark]
    ) -> tuple[int, int] | None:
        """Return parameters and multiply-adds in the old model, if the box shows a cost and it changed."""
        old_cost = add_costs(
            [
                mark.old_cost or self.kinds.step_cost(node, self.scope.block)
                for node, mark in zip(group.nodes, marks, strict=True)
                if mark.change != "added"
            ]
        )
        new_cost = box.parameters, box.macs
        if not any(new_cost) or old_cost == new_cost or box.change in ("added", "removed"):
            return None
        return old_cost


def current_nodes(group: StepGroup, marks: Sequence[DiffMark]) -> list[Node]:
    """Return the steps that the new model has; all steps if it has none of them."""
    nodes = [n for n, mark in zip(group.nodes, marks, strict=True) if mark.change != "removed"]
    return nodes or group.nodes


def add_costs(costs: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the sum of parameters and the sum of multiply-adds."""
    return sum(parameters for parameters, _ in costs), sum(macs for _, macs in costs)
