"""One block's steps as boxes: repeats become one box, light steps become chips on the box before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from specbuild.diagnostics.sentences import first_sentence
from specbuild.diagram import captions as caption
from specbuild.diagram.block_kinds import BlockKinds
from specbuild.diagram.diff_boxes import link_change, mark_box, mark_repeat
from specbuild.diagram.diff_marks import NO_MARK, OLD_SUFFIX, ChangeType, DiffMark
from specbuild.diagram.palette import op_kind
from specbuild.diagram.step_groups import StepGroup, StepGrouping, format_span
from specbuild.diagram.view_model import BlockKind, Box, Chip, Link, Panel, StepScope
from specbuild.ir.graph import Block, Group, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.types import spatial_axes

# Families whose steps ride on the box before them.
CHIP_FAMILIES = {"norm", "activation", "dropout", "math", "shape", "arrangement"}
RESHAPE_FAMILIES = {"shape", "arrangement"}
MAX_CHIPS = 4


def build_panel(kinds: BlockKinds, kind: BlockKind, *, is_main: bool) -> Panel:
    """The panel of one kind."""
    return PanelBuilder(kinds, kind, is_main).build()


class PanelBuilder(StepGrouping):
    """Folds the steps of one kind."""

    def __init__(self, kinds: BlockKinds, kind: BlockKind, is_main: bool) -> None:
        super().__init__(kind)
        self.kinds, self.kind, self.is_main = kinds, kind, is_main
        self.box_keys: dict[Ref, str] = {}  # a step's name, or an input: the box that gives it
        self.boxes: list[Box] = []
        self.links: dict[tuple[str, str, Ref], Link] = {}
        self.opened_panels: dict[str, None] = {}  # what else is opened

    def build(self) -> Panel:
        scope = self.scope
        for ref, tensor in scope.inputs.items():
            name = scope.input_names.get(ref, ref)
            others = [
                s.inputs.get(r) for s in self.scopes for r in s.inputs if s.input_names.get(r, r) == name
            ]
            known = [t for t in others if t is not None]
            form, kind = ("input", "input") if self.is_main else ("port", "port")
            mark = self.marks.mark_of(scope.block, ref)
            sizes = caption.format_axis_sizes(
                known, [mark.old_type] if mark.old_type and self.is_main else ()
            )
            box = Box("", form, kind, name.rstrip(OLD_SUFFIX), sizes=sizes, type=str(tensor))
            self.add_box(mark_box(box, self.marks, [mark]), ref)
        for unit in self.split_steps():
            if isinstance(unit.first_node.op, Skip):
                continue
            if len(unit.members) > 1 or unit.name in scope.block.groups:
                self.add_repeat(unit)
            else:
                self.add_step(unit.first_node)
        for name, ref in scope.outputs.items():
            form, kind = ("output", "output") if self.is_main else ("port", "port")
            several = len(scope.outputs) > 1
            title = name or ("output" if self.is_main or several else "out")
            tensor = scope.block.value_type(ref)
            mark = self.marks.mark_of(scope.block, f">{name}")
            sizes = (
                caption.format_axis_sizes([tensor], [mark.old_type] if mark.old_type else ())
                if self.is_main
                else ()
            )
            box = Box("", form, kind, title.rstrip(OLD_SUFFIX), sizes=sizes, type=str(tensor))
            key = self.add_box(mark_box(box, self.marks, [mark]))
            self.add_link(ref, key, "", "added" if ref in mark.added_inputs else "")
            for former in mark.removed_inputs:
                self.add_link(former, key, "", "removed")
        opened = tuple(
            dict.fromkeys([*(box.opens_panel for box in self.boxes if box.opens_panel), *self.opened_panels])
        )
        return Panel(
            self.kind.key,
            self.kind.title,
            first_sentence(self.kind.doc),
            tuple(self.boxes),
            tuple(self.with_change(link) for link in self.links.values()),
            opened,
            change=self.kind.change,
        )

    # -- boxes

    def add_box(self, box: Box, *names: str) -> str:
        box = replace(box, key=f"n{len(self.boxes)}")
        self.boxes.append(box)
        for name in names:
            self.box_keys[name] = box.key
        return box.key

    def add_step(self, node: Node) -> None:
        alike = self.matching_nodes(node)
        name = self.scope.local_name(node)
        marks = [self.marks.mark_of(s.block, n.name) for n, s in alike]
        if not self.kinds.all_ops and self.try_add_chip(node):
            return
        parameters, macs = self.common_cost(alike)
        base = Box(
            "",
            "card",
            "block",
            "",
            type=str(node.type),
            parameters=parameters,
            macs=macs,
            condition=self.step_condition(node),
            steps=(name,),
            at=node.at,
            doc=node.doc,
            weights_of=node.reuses or "",
        )
        if isinstance(node.op, Block):
            detail = caption.format_arguments(
                [n for n, _ in alike if isinstance(n.op, Block)],
                exclude={note.what for note in marks[0].notes},
            )
            box = replace(
                base,
                title=(title := self.step_title(node, node.op.kind)),
                detail=join_parts(node.op.kind if title != node.op.kind else "", detail),
                sizes=self.output_sizes(node, alike),
                opens_panel=self.kinds.panel_key(node.op, marks[0].change, marks[0].is_new_block),
                macs_by_kind=self.mac_shares(self.kinds.macs_by_kind(node, self.scope.block)),
            )
        else:
            box = self.op_box(node, alike, base)
        blocks = [n.op for n, _ in alike if isinstance(n.op, Block)]
        self.add_box(mark_box(box, self.marks, marks, blocks), node.name)
        if node.reuses:
            self.mark_shared(node.reuses)
        self.link_inputs(node, self.boxes[-1].key)

    def with_change(self, link: Link) -> Link:
        """A link with its mark in a picture of two models."""
        tail, head = (self.boxes[int(key[1:])].change for key in (link.tail, link.head))
        return replace(link, change=link_change(link.change, tail, head))

    def op_box(self, node: Node, alike: list[tuple[Node, StepScope]], base: Box) -> Box:
        op = node.op
        assert isinstance(op, Op)
        sizes = self.output_sizes(node, alike)
        base = replace(base, kind=op_kind(op.family), families=(op.family,), sizes=sizes)
        name = self.scope.local_name(node)
        symbol = caption.OP_SYMBOLS.get(op.name)
        if symbol and not self.marks.mark_of(self.scope.block, node.name).change:
            return replace(
                base, form="symbol", title=symbol, name=name if node.has_own_name else "", detail=op.name
            )
        detail = self.op_detail(node, alike, bool(sizes))
        title = self.step_title(node, op.name)
        if title == op.name:
            detail = detail[len(op.name) :].strip()
        return replace(base, title=title, detail=detail)

    def op_detail(self, node: Node, alike: list[tuple[Node, StepScope]], hides_target: bool = False) -> str:
        ops = [n.op for n, _ in alike if isinstance(n.op, Op)]
        return caption.op_caption(ops, window_axes(node), hides_target)

    def step_title(self, node: Node, otherwise: str) -> str:
        """The author's name for a step; for a member of a group its path; else what it is."""
        name = self.scope.local_name(node).rstrip(OLD_SUFFIX)
        head, dot, last = name.rpartition(".")
        if dot and last.isdigit() and self.is_single_box(head):
            return head
        return name if node.has_own_name or dot else otherwise

    def is_single_box(self, group: str) -> bool:
        """Whether a group ends up as one box: all but its first step ride."""
        members = [n for n in self.scope.nodes if self.scope.local_name(n).startswith(group + ".")]
        return not self.kinds.all_ops and all(
            isinstance(n.op, Skip) or (isinstance(n.op, Op) and n.op.family in CHIP_FAMILIES)
            for n in members[1:]
        )

    def add_repeat(self, unit: StepGroup) -> None:
        """All members of a repeat as one box."""
        scope = self.scope
        members = unit.members
        single = all(len(m) == 1 for m in members)
        first = members[0][0]
        group = scope.block.groups.get(unit.name) or Group(unit.name, first.at, len(members), first.doc)
        whole = unit.name in scope.block.groups
        ops = [m[0].op for m in members]
        lengths = (
            {self.group_length(s, unit.name[scope.prefix_length :]) for s in self.scopes}
            if whole
            else {len(members)}
        )
        times = str(len(members)) if len(lengths) == 1 else f"{min(lengths)}–{max(lengths)}"
        marks = [self.marks.mark_of(scope.block, n.name) for n in unit.nodes]
        there = [
            n for n, mark in zip(unit.nodes, marks, strict=True) if mark.change != "removed"
        ] or unit.nodes
        parameters = macs = 0
        mix: Counter[str] = Counter()
        for node in there:
            cost = self.kinds.step_cost(node, scope.block)
            parameters, macs = parameters + cost[0], macs + cost[1]
            mix.update(self.kinds.macs_by_kind(node, scope.block))
        varies = len(self.scopes) > 1 and (
            not whole or len({self.group_cost(s, unit.name[scope.prefix_length :]) for s in self.scopes}) > 1
        )
        opens, kind, families, detail = "", "block", (), ""
        blocks = [op for op in ops if isinstance(op, Block)]
        if single and len(blocks) == len(ops):
            alike = {(b.kind, *b.params) for n in there if isinstance(b := n.op, Block)}
            opening = [
                self.kinds.panel_key(b, m.change, m.is_new_block) for b, m in zip(blocks, marks, strict=True)
            ]
            opens = next(filter(None, opening), "")
            self.opened_panels |= dict.fromkeys(filter(None, opening))
            names = list(dict.fromkeys(b.kind for b in blocks))
            detail = join_parts(
                "/".join(names),
                caption.format_arguments(there, True, {note.what for mark in marks for note in mark.notes})
                if len(alike) == 1
                else "",
            )
        elif single and isinstance(first.op, Op):
            kind, families = op_kind(first.op.family), (first.op.family,)  # type: ignore[assignment]
            detail = caption.op_caption([op for op in ops if isinstance(op, Op)], window_axes(first))
        else:
            for i, nodes in enumerate(members):
                part = self.member_scope(unit, nodes, i)
                said = self.marks.step_signatures(scope.block, nodes, part.prefix_length)
                key = self.kinds.register_kind(
                    (id(scope.block.at.source), scope.block.at.path, unit.name, said),
                    f"{unit.name}, each",
                    group.doc,
                    part,
                    scope.block,
                )
                if said or not self.kinds.is_diff:
                    opens = key
                    self.opened_panels[key] = None
            detail = ", ".join(node_label(n) for n in members[0])
        box = Box(
            "",
            "card",
            kind,
            unit.name[scope.prefix_length :]
            if whole
            else format_span(scope.local_name(first), scope.local_name(unit.nodes[-1])),
            families,
            detail=detail,
            sizes=() if varies else self.changed_sizes(scope.local_name(first), [(there[-1], scope)]),
            type=str(there[-1].type),
            parameters=0 if varies else parameters,
            macs=0 if varies else macs,
            repeat_count=times if len(members) > 1 or len(lengths) > 1 else "",
            opens_panel=opens,
            steps=tuple(scope.local_name(n) for n in unit.nodes if not isinstance(n.op, Skip)),
            macs_by_kind=self.mac_shares(mix),
            at=group.at,
            doc=group.doc,
        )
        if any(mark != NO_MARK for mark in marks):
            box = mark_repeat(box, self.marks, unit, marks)
            box = replace(box, old_cost=self.repeat_old_cost(box, unit, marks))
        key = self.add_box(box, *(n.name for n in unit.nodes))
        inside = {n.name for n in unit.nodes}
        for node in unit.nodes:
            if any(r is not None and r.partition("@")[0] not in inside for r in node.inputs):
                self.link_inputs(node, key)

    def repeat_old_cost(self, box: Box, unit: StepGroup, marks: Sequence[DiffMark]) -> tuple[int, int] | None:
        """What a repeat took in the old model, if that was something else."""
        before = [
            mark.old_cost or self.kinds.step_cost(node, self.scope.block)
            for node, mark in zip(unit.nodes, marks, strict=True)
            if mark.change != "added"
        ]
        told = sum(cost[0] for cost in before), sum(cost[1] for cost in before)
        now = box.parameters, box.macs
        return told if any(now) and told != now and box.change not in ("added", "removed") else None

    def group_cost(self, scope: StepScope, group: str) -> tuple[int, int]:
        found = [
            self.kinds.step_cost(n, scope.block)
            for n in scope.nodes
            if scope.local_name(n).startswith(group + ".")
        ]
        return sum(c[0] for c in found), sum(c[1] for c in found)

    def try_add_chip(self, node: Node) -> bool:
        """Make a light step a chip on the box before it, if only it reads that box."""
        op = node.op
        if (
            not isinstance(op, Op)
            or op.family not in CHIP_FAMILIES
            or len(node.inputs) != 1
            or node.inputs[0] is None
        ):
            return False
        if node.has_own_name and op.family in ("activation", "math"):
            return False
        ref = self.resolve_skips(node.inputs[0])
        key = self.box_keys.get(ref)
        if key is None or self.readers[ref] != 1:
            return False
        box = self.boxes[int(key[1:])]
        if (
            box.form != "card"
            or box.kind in ("block", "weight")
            or box.repeat_count
            or box.weights_of
            or len(box.chips) >= MAX_CHIPS
        ):
            return False
        if box.condition != self.step_condition(node):
            return False
        mark = self.marks.mark_of(self.scope.block, node.name)
        if (
            mark.change not in ("", "added", "removed")
            or mark.change != box.change
            or mark.removed_inputs
            or mark.added_inputs
        ):
            return False
        ridden = {*box.families, *(chip.family for chip in box.chips)}
        if ridden <= RESHAPE_FAMILIES and op.family not in RESHAPE_FAMILIES:
            return False
        family = op.family
        text = self.op_detail(node, self.matching_nodes(node))
        if len(text) > 22 or family in ("norm", "dropout"):
            text = op.name
        parameters, macs = self.common_cost(self.matching_nodes(node))
        alike = self.matching_nodes(node)
        self.boxes[int(key[1:])] = replace(
            box,
            chips=(*box.chips, Chip(op_kind(family), family, text, self.scope.local_name(node))),
            parameters=box.parameters + parameters,
            macs=box.macs + macs,
            type=str(node.type),
            sizes=self.changed_sizes(box.steps[0], alike),
            steps=(*box.steps, self.scope.local_name(node)),
        )
        self.box_keys[node.name] = key
        return True

    def mark_shared(self, name: str) -> None:
        """A step whose weights are used again."""
        key = self.box_keys.get(name)
        if key is not None:
            i = int(key[1:])
            self.boxes[i] = replace(self.boxes[i], has_shared_weights=True)

    # -- what boxes say

    def common_cost(self, alike: Sequence[tuple[Node, StepScope]]) -> tuple[int, int]:
        found = {self.kinds.step_cost(n, s.block) for n, s in alike}
        return found.pop() if len(found) == 1 else (0, 0)

    def mac_shares(self, mix: Counter[str]) -> tuple[tuple[str, int], ...]:
        if len(self.scopes) > 1 or self.kinds.is_diff:
            return ()
        return tuple(sorted(mix.items(), key=lambda item: -item[1]))

    def output_sizes(self, node: Node, alike: list[tuple[Node, StepScope]]) -> caption.AxisSizes:
        if isinstance(node.op, Block) and "" not in node.op.outputs:
            return ()  # only what is tapped is read: the panels say it
        return self.changed_sizes(self.scope.local_name(node), alike)

    # -- links

    def link_inputs(self, node: Node, key: str) -> None:
        names: list[str] = []
        if isinstance(node.op, Block):
            names = list(node.op.inputs) if len(node.op.inputs) > 1 else []
        elif isinstance(node.op, Op) and len(node.inputs) > 1 and not node.op.input_specs[0].variadic:
            names = [t.name for t in node.op.input_specs]
        mark = self.marks.mark_of(self.scope.block, node.name)
        for i, ref in enumerate(node.inputs):
            if ref is not None:
                self.add_link(
                    ref, key, names[i] if i < len(names) else "", "added" if ref in mark.added_inputs else ""
                )
        for ref in mark.removed_inputs:
            self.add_link(ref, key, "", "removed")

    def add_link(self, ref: Ref, key: str, into: str, mark: ChangeType = "") -> None:
        ref = self.resolve_skips(ref)
        name, _, output = ref.partition("@")
        giver = self.scope.block.find_node(name)
        if not output and giver is not None and isinstance(giver.op, Block) and len(giver.op.outputs) > 1:
            output = next(iter(giver.op.outputs))
        tail = self.box_keys.get(ref) or self.box_keys.get(name)
        if tail is None or tail == key:
            return
        label = into if not output else f"{output} → {into}" if into and into != output else output
        giving = self.boxes[int(tail[1:])]
        if giving.form == "symbol" and giving.sizes and not label:
            label = caption.format_axes(giving.sizes)  # a symbol has no room for the sizes that it gives
        tensor = self.scope.block.value_type(ref)
        found = self.links.get((tail, key, ref))
        if found is not None:
            labels = [x for x in (found.label, label) if x]
            self.links[tail, key, ref] = replace(found, label=", ".join(dict.fromkeys(labels)))
        else:
            self.links[tail, key, ref] = Link(tail, key, label, str(tensor), mark)


def window_axes(node: Node) -> int:
    """How many axes a window of this op slides over."""
    return len(getattr(node.op, "over", None) or spatial_axes(node.type))


def node_label(node: Node) -> str:
    if isinstance(node.op, Skip):
        return "skipped"
    return node.op.kind if isinstance(node.op, Block) else node.op.name


def join_parts(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
