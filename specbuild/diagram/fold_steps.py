"""One block's steps as boxes: repeats become one box, light steps become chips on the box before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from specbuild.diagnostics.sentences import sentence
from specbuild.diagram import captions as caption
from specbuild.diagram.block_kinds import Kinds
from specbuild.diagram.diff_marks import GONE, NONE, Mark, Sort
from specbuild.diagram.mark_boxes import linked, marked, stacked
from specbuild.diagram.palette import kind_of
from specbuild.diagram.step_groups import Grouping, Unit, span
from specbuild.diagram.view import Box, Chip, Kind, Link, Panel, Scope
from specbuild.ir.graph import Block, Group, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.types import spatial

# Families whose steps ride on the box before them.
RIDES = {"norm", "activation", "dropout", "math", "shape", "arrangement"}
REARRANGES = {"shape", "arrangement"}
MOST_CHIPS = 4


def panel(kinds: Kinds, kind: Kind, *, main: bool) -> Panel:
    """The panel of one kind."""
    return PanelMaker(kinds, kind, main).made()


class PanelMaker(Grouping):
    """Folds the steps of one kind."""

    def __init__(self, kinds: Kinds, kind: Kind, main: bool) -> None:
        super().__init__(kind)
        self.kinds, self.kind, self.main = kinds, kind, main
        self.made_by: dict[Ref, str] = {}  # a step's name, or an input: the box that gives it
        self.boxes: list[Box] = []
        self.links: dict[tuple[str, str, Ref], Link] = {}
        self.opens: dict[str, None] = {}  # what else is opened

    def made(self) -> Panel:
        scope = self.scope
        for ref, tensor in scope.inputs.items():
            name = scope.names.get(ref, ref)
            others = [s.inputs.get(r) for s in self.scopes for r in s.inputs if s.names.get(r, r) == name]
            known = [t for t in others if t is not None]
            form, kind = ("input", "input") if self.main else ("port", "port")
            mark = self.marks.of(scope.holder, ref)
            sizes = caption.sizes(known, [mark.was] if mark.was and self.main else ())
            box = Box("", form, kind, name.rstrip(GONE), sizes=sizes, type=str(tensor))
            self.add(marked(box, self.marks, [mark]), ref)
        for unit in self.units():
            if isinstance(unit.first.op, Skip):
                continue
            if len(unit.repeat) > 1 or unit.name in scope.holder.groups:
                self.stack(unit)
            else:
                self.step(unit.first)
        for name, ref in scope.outputs.items():
            form, kind = ("output", "output") if self.main else ("port", "port")
            several = len(scope.outputs) > 1
            title = name or ("output" if self.main or several else "out")
            tensor = scope.holder.typed(ref)
            mark = self.marks.of(scope.holder, f">{name}")
            sizes = caption.sizes([tensor], [mark.was] if mark.was else ()) if self.main else ()
            box = Box("", form, kind, title.rstrip(GONE), sizes=sizes, type=str(tensor))
            key = self.add(marked(box, self.marks, [mark]))
            self.link(ref, key, "", "added" if ref in mark.come else "")
            for former in mark.gone:
                self.link(former, key, "", "removed")
        opened = tuple(dict.fromkeys([*(box.opens for box in self.boxes if box.opens), *self.opens]))
        return Panel(
            self.kind.key,
            self.kind.title,
            sentence(self.kind.doc),
            tuple(self.boxes),
            tuple(self.told(link) for link in self.links.values()),
            opened,
            mark=self.kind.mark,
        )

    # -- boxes

    def add(self, box: Box, *names: str) -> str:
        box = replace(box, key=f"n{len(self.boxes)}")
        self.boxes.append(box)
        for name in names:
            self.made_by[name] = box.key
        return box.key

    def step(self, node: Node) -> None:
        alike = self.alike(node)
        name = self.scope.name(node)
        marks = [self.marks.of(s.holder, n.name) for n, s in alike]
        if not self.kinds.ops and self.rides(node):
            return
        parameters, macs = self.cost(alike)
        base = Box(
            "",
            "card",
            "block",
            "",
            type=str(node.type),
            parameters=parameters,
            macs=macs,
            condition=self.condition(node),
            steps=(name,),
            at=node.at,
            doc=node.doc,
            shares=node.reuses or "",
        )
        if isinstance(node.op, Block):
            detail = caption.arguments(
                [n for n, _ in alike if isinstance(n.op, Block)],
                without={note.what for note in marks[0].notes},
            )
            box = replace(
                base,
                title=(title := self.title(node, node.op.kind)),
                detail=joined(node.op.kind if title != node.op.kind else "", detail),
                sizes=self.sizes(node, alike),
                opens=self.kinds.opened(node.op, marks[0].sort, marks[0].fresh),
                mix=self.shares(self.kinds.mix(node, self.scope.holder)),
            )
        else:
            box = self.op_box(node, alike, base)
        blocks = [n.op for n, _ in alike if isinstance(n.op, Block)]
        self.add(marked(box, self.marks, marks, blocks), node.name)
        if node.reuses:
            self.mark(node.reuses)
        self.wire(node, self.boxes[-1].key)

    def told(self, link: Link) -> Link:
        """A link with its mark in a picture of two models."""
        tail, head = (self.boxes[int(key[1:])].mark for key in (link.tail, link.head))
        return replace(link, mark=linked(link.mark, tail, head))

    def op_box(self, node: Node, alike: list[tuple[Node, Scope]], base: Box) -> Box:
        op = node.op
        assert isinstance(op, Op)
        sizes = self.sizes(node, alike)
        base = replace(base, kind=kind_of(op.family), families=(op.family,), sizes=sizes)
        name = self.scope.name(node)
        symbol = caption.SYMBOLS.get(op.name)
        if symbol and not self.marks.of(self.scope.holder, node.name).sort:
            return replace(base, form="symbol", title=symbol, name=name if node.named else "", detail=op.name)
        detail = self.op_detail(node, alike, bool(sizes))
        title = self.title(node, op.name)
        if title == op.name:
            detail = detail[len(op.name) :].strip()
        return replace(base, title=title, detail=detail)

    def op_detail(self, node: Node, alike: list[tuple[Node, Scope]], target_told: bool = False) -> str:
        ops = [n.op for n, _ in alike if isinstance(n.op, Op)]
        return caption.caption(ops, windows(node), target_told)

    def title(self, node: Node, otherwise: str) -> str:
        """The author's name for a step; for a member of a group its path; else what it is."""
        name = self.scope.name(node).rstrip(GONE)
        head, dot, last = name.rpartition(".")
        if dot and last.isdigit() and self.alone(head):
            return head
        return name if node.named or dot else otherwise

    def alone(self, group: str) -> bool:
        """Whether a group ends up as one box: all but its first step ride."""
        members = [n for n in self.scope.nodes if self.scope.name(n).startswith(group + ".")]
        return not self.kinds.ops and all(
            isinstance(n.op, Skip) or (isinstance(n.op, Op) and n.op.family in RIDES) for n in members[1:]
        )

    def stack(self, unit: Unit) -> None:
        """All members of a repeat as one box."""
        scope = self.scope
        members = unit.repeat
        single = all(len(m) == 1 for m in members)
        first = members[0][0]
        group = scope.holder.groups.get(unit.name) or Group(unit.name, first.at, len(members), first.doc)
        whole = unit.name in scope.holder.groups
        ops = [m[0].op for m in members]
        lengths = {self.length(s, unit.name[scope.strip :]) for s in self.scopes} if whole else {len(members)}
        times = str(len(members)) if len(lengths) == 1 else f"{min(lengths)}–{max(lengths)}"
        marks = [self.marks.of(scope.holder, n.name) for n in unit.nodes]
        there = [n for n, mark in zip(unit.nodes, marks, strict=True) if mark.sort != "removed"] or unit.nodes
        parameters = macs = 0
        mix: Counter[str] = Counter()
        for node in there:
            cost = self.kinds.costs(node, scope.holder)
            parameters, macs = parameters + cost[0], macs + cost[1]
            mix.update(self.kinds.mix(node, scope.holder))
        varies = len(self.scopes) > 1 and (
            not whole or len({self.total(s, unit.name[scope.strip :]) for s in self.scopes}) > 1
        )
        opens, kind, families, detail = "", "block", (), ""
        blocks = [op for op in ops if isinstance(op, Block)]
        if single and len(blocks) == len(ops):
            alike = {(b.kind, *b.params) for n in there if isinstance(b := n.op, Block)}
            opening = [self.kinds.opened(b, m.sort, m.fresh) for b, m in zip(blocks, marks, strict=True)]
            opens = next(filter(None, opening), "")
            self.opens |= dict.fromkeys(filter(None, opening))
            names = list(dict.fromkeys(b.kind for b in blocks))
            detail = joined(
                "/".join(names),
                caption.arguments(there, True, {note.what for mark in marks for note in mark.notes})
                if len(alike) == 1
                else "",
            )
        elif single and isinstance(first.op, Op):
            kind, families = kind_of(first.op.family), (first.op.family,)  # type: ignore[assignment]
            detail = caption.caption([op for op in ops if isinstance(op, Op)], windows(first))
        else:
            for i, nodes in enumerate(members):
                part = self.part(unit, nodes, i)
                said = self.marks.said(scope.holder, nodes, part.strip)
                key = self.kinds.entered(
                    (id(scope.holder.at.source), scope.holder.at.path, unit.name, said),
                    f"{unit.name}, each",
                    group.doc,
                    part,
                    scope.holder,
                )
                if said or not self.kinds.compared:
                    opens = key
                    self.opens[key] = None
            detail = ", ".join(what(n) for n in members[0])
        box = Box(
            "",
            "card",
            kind,
            unit.name[scope.strip :] if whole else span(scope.name(first), scope.name(unit.nodes[-1])),
            families,
            detail=detail,
            sizes=() if varies else self.changed(scope.name(first), [(there[-1], scope)]),
            type=str(there[-1].type),
            parameters=0 if varies else parameters,
            macs=0 if varies else macs,
            times=times if len(members) > 1 or len(lengths) > 1 else "",
            opens=opens,
            steps=tuple(scope.name(n) for n in unit.nodes if not isinstance(n.op, Skip)),
            mix=self.shares(mix),
            at=group.at,
            doc=group.doc,
        )
        if any(mark != NONE for mark in marks):
            box = stacked(box, self.marks, unit, marks)
            box = replace(box, took=self.took(box, unit, marks))
        key = self.add(box, *(n.name for n in unit.nodes))
        inside = {n.name for n in unit.nodes}
        for node in unit.nodes:
            if any(r is not None and r.partition("@")[0] not in inside for r in node.inputs):
                self.wire(node, key)

    def took(self, box: Box, unit: Unit, marks: Sequence[Mark]) -> tuple[int, int] | None:
        """What a repeat took in the old model, if that was something else."""
        before = [
            mark.took or self.kinds.costs(node, self.scope.holder)
            for node, mark in zip(unit.nodes, marks, strict=True)
            if mark.sort != "added"
        ]
        told = sum(cost[0] for cost in before), sum(cost[1] for cost in before)
        now = box.parameters, box.macs
        return told if any(now) and told != now and box.mark not in ("added", "removed") else None

    def total(self, scope: Scope, group: str) -> tuple[int, int]:
        found = [
            self.kinds.costs(n, scope.holder) for n in scope.nodes if scope.name(n).startswith(group + ".")
        ]
        return sum(c[0] for c in found), sum(c[1] for c in found)

    def rides(self, node: Node) -> bool:
        """Make a light step a chip on the box before it, if only it reads that box."""
        op = node.op
        if (
            not isinstance(op, Op)
            or op.family not in RIDES
            or len(node.inputs) != 1
            or node.inputs[0] is None
        ):
            return False
        if node.named and op.family in ("activation", "math"):
            return False
        ref = self.resolved(node.inputs[0])
        key = self.made_by.get(ref)
        if key is None or self.readers[ref] != 1:
            return False
        box = self.boxes[int(key[1:])]
        if (
            box.form != "card"
            or box.kind in ("block", "weight")
            or box.times
            or box.shares
            or len(box.chips) >= MOST_CHIPS
        ):
            return False
        if box.condition != self.condition(node):
            return False
        mark = self.marks.of(self.scope.holder, node.name)
        if mark.sort not in ("", "added", "removed") or mark.sort != box.mark or mark.gone or mark.come:
            return False
        ridden = {*box.families, *(chip.family for chip in box.chips)}
        if ridden <= REARRANGES and op.family not in REARRANGES:
            return False
        family = op.family
        text = self.op_detail(node, self.alike(node))
        if len(text) > 22 or family in ("norm", "dropout"):
            text = op.name
        parameters, macs = self.cost(self.alike(node))
        alike = self.alike(node)
        self.boxes[int(key[1:])] = replace(
            box,
            chips=(*box.chips, Chip(kind_of(family), family, text, self.scope.name(node))),
            parameters=box.parameters + parameters,
            macs=box.macs + macs,
            type=str(node.type),
            sizes=self.changed(box.steps[0], alike),
            steps=(*box.steps, self.scope.name(node)),
        )
        self.made_by[node.name] = key
        return True

    def mark(self, name: str) -> None:
        """A step whose weights are used again."""
        key = self.made_by.get(name)
        if key is not None:
            i = int(key[1:])
            self.boxes[i] = replace(self.boxes[i], shared=True)

    # -- what boxes say

    def cost(self, alike: Sequence[tuple[Node, Scope]]) -> tuple[int, int]:
        found = {self.kinds.costs(n, s.holder) for n, s in alike}
        return found.pop() if len(found) == 1 else (0, 0)

    def shares(self, mix: Counter[str]) -> tuple[tuple[str, int], ...]:
        if len(self.scopes) > 1 or self.kinds.compared:
            return ()
        return tuple(sorted(mix.items(), key=lambda item: -item[1]))

    def sizes(self, node: Node, alike: list[tuple[Node, Scope]]) -> caption.Axes:
        if isinstance(node.op, Block) and "" not in node.op.outputs:
            return ()  # only what is tapped is read: the panels say it
        return self.changed(self.scope.name(node), alike)

    # -- links

    def wire(self, node: Node, key: str) -> None:
        names: list[str] = []
        if isinstance(node.op, Block):
            names = list(node.op.inputs) if len(node.op.inputs) > 1 else []
        elif isinstance(node.op, Op) and len(node.inputs) > 1 and not node.op.takes[0].many:
            names = [t.name for t in node.op.takes]
        mark = self.marks.of(self.scope.holder, node.name)
        for i, ref in enumerate(node.inputs):
            if ref is not None:
                self.link(ref, key, names[i] if i < len(names) else "", "added" if ref in mark.come else "")
        for ref in mark.gone:
            self.link(ref, key, "", "removed")

    def link(self, ref: Ref, key: str, into: str, mark: Sort = "") -> None:
        ref = self.resolved(ref)
        name, _, output = ref.partition("@")
        giver = self.scope.holder.node(name)
        if not output and giver is not None and isinstance(giver.op, Block) and len(giver.op.outputs) > 1:
            output = next(iter(giver.op.outputs))
        tail = self.made_by.get(ref) or self.made_by.get(name)
        if tail is None or tail == key:
            return
        label = into if not output else f"{output} → {into}" if into and into != output else output
        giving = self.boxes[int(tail[1:])]
        if giving.form == "symbol" and giving.sizes and not label:
            label = caption.flat(giving.sizes)  # a symbol has no room for the sizes that it gives
        tensor = self.scope.holder.typed(ref)
        found = self.links.get((tail, key, ref))
        if found is not None:
            labels = [x for x in (found.label, label) if x]
            self.links[tail, key, ref] = replace(found, label=", ".join(dict.fromkeys(labels)))
        else:
            self.links[tail, key, ref] = Link(tail, key, label, str(tensor), mark)


def windows(node: Node) -> int:
    """How many axes a window of this op slides over."""
    return len(getattr(node.op, "over", None) or spatial(node.type))


def what(node: Node) -> str:
    if isinstance(node.op, Skip):
        return "skipped"
    return node.op.kind if isinstance(node.op, Block) else node.op.name


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
