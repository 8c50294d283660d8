"""One block's steps as boxes: repeats become one box, light steps become chips on the box before them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from specbuild.axes import spatial
from specbuild.draw import caption
from specbuild.draw.instances import Instances
from specbuild.draw.palette import kind_of
from specbuild.draw.view import Box, Chip, Costing, Kind, Link, Panel, Scope
from specbuild.graph import Block, Group, Node, Ref, Skip
from specbuild.ops.base import Op

# Families whose steps ride on the box before them.
RIDES = {"norm", "activation", "dropout", "math", "shape", "arrangement"}
REARRANGES = {"shape", "arrangement"}
MOST_CHIPS = 4


@dataclass
class Unit:
    """Steps that become one box, in order; `repeat` for members of a repeat."""

    name: str
    nodes: list[Node]
    repeat: list[list[Node]]  # the members, if it is a repeat

    @property
    def first(self) -> Node:
        return self.nodes[0]


class Folder:
    """Makes the panels of one picture."""

    def __init__(self, costs: Costing, ops: bool) -> None:
        self._costing = costs
        self._costs: dict[
            int, tuple[Node, tuple[int, int]]
        ] = {}  # holds the step, so that its id stays its own
        self.ops = ops  # every op in its own box
        self.kinds: dict[str, Kind] = {}
        self._keys: dict[object, str] = {}
        self._mixes: dict[int, Counter[str]] = {}
        self._held: list[Block] = []

    def costs(self, node: Node, holder: Block) -> tuple[int, int]:
        """What a step takes, asked for once."""
        if id(node) not in self._costs:
            self._costs[id(node)] = node, self._costing(node, holder)
        return self._costs[id(node)][1]

    def kind(self, block: Block) -> str:
        """The key of a block's kind; instances of one definition have one kind."""
        identity = (block.kind, id(block.at.source), block.at.path)
        return self.entered(identity, block.kind, block.doc, Scope.of(block), block)

    def entered(self, identity: object, title: str, doc: str, scope: Scope, block: Block) -> str:
        if identity not in self._keys:
            key = self._keys[identity] = f"k{len(self._keys)}"
            self.kinds[key] = Kind(key, title, doc, [], block.at)
            self._held.append(block)
        key = self._keys[identity]
        if not any(s.holder is scope.holder and s.nodes == scope.nodes for s in self.kinds[key].scopes):
            self.kinds[key].scopes.append(scope)
        return key

    def mix(self, node: Node, holder: Block) -> Counter[str]:
        """Multiply-adds by kind of op."""
        if isinstance(node.op, Skip):
            return Counter()
        if isinstance(node.op, Block):
            return self.block_mix(node.op)
        macs = self.costs(node, holder)[1]
        return Counter({kind_of(node.op.family): macs}) if macs else Counter()

    def block_mix(self, block: Block) -> Counter[str]:
        if id(block) not in self._mixes:
            self._held.append(block)
            total: Counter[str] = Counter()
            for node in block.nodes:
                total.update(self.mix(node, block))
            self._mixes[id(block)] = total
        return self._mixes[id(block)]

    def panel(self, kind: Kind, *, main: bool) -> Panel:
        return PanelMaker(self, kind, main).made()


class PanelMaker(Instances):
    """Folds the steps of one kind."""

    def __init__(self, folder: Folder, kind: Kind, main: bool) -> None:
        super().__init__(kind)
        self.folder, self.kind, self.main = folder, kind, main
        self.made_by: dict[Ref, str] = {}  # a step's name, or an input: the box that gives it
        self.boxes: list[Box] = []
        self.links: dict[tuple[str, str, Ref], Link] = {}
        self.skipped: dict[Ref, Ref] = {}
        self.readers: Counter[str] = Counter()

    def made(self) -> Panel:
        scope = self.scope
        self.count_readers()
        for ref, tensor in scope.inputs.items():
            name = scope.names.get(ref, ref)
            others = [s.inputs.get(r) for s in self.scopes for r in s.inputs if s.names.get(r, r) == name]
            known = [t for t in others if t is not None]
            form, kind = ("input", "input") if self.main else ("port", "port")
            self.add(Box("", form, kind, name, sizes=caption.sizes(known), type=str(tensor)), ref)
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
            sizes = caption.sizes([tensor]) if self.main else ()
            key = self.add(Box("", form, kind, title, sizes=sizes, type=str(tensor)))
            self.link(ref, key, "")
        opened = tuple(dict.fromkeys(box.opens for box in self.boxes if box.opens))
        return Panel(
            self.kind.key,
            self.kind.title,
            sentence(self.kind.doc),
            tuple(self.boxes),
            tuple(self.links.values()),
            opened,
        )

    # -- which steps go together

    def units(self) -> Iterator[Unit]:
        """Steps one by one, and the members of each repeat together."""
        groups = self.scope.holder.groups
        held: Unit | None = None
        for node in self.scope.nodes:
            group = next(
                (
                    g
                    for g in sorted(groups, key=len)
                    if groups[g].length is not None
                    and len(g) >= self.scope.strip
                    and node.name.startswith(g + ".")
                ),
                None,
            )
            if group is None and held is not None and self.continues(held, node):
                held.repeat.append([node])
                held.nodes.append(node)
                continue
            if group is None:
                if held is not None:
                    yield held
                held = Unit(node.name, [node], [[node]])
                continue
            if held is None or held.name != group:
                if held is not None:
                    yield held
                held = Unit(group, [], [])
            index = node.name[len(group) + 1 :].partition(".")[0]
            if not held.repeat or self.index(held, held.repeat[-1][0]) != index:
                held.repeat.append([])
            held.repeat[-1].append(node)
            held.nodes.append(node)
        if held is not None:
            yield held

    def continues(self, held: Unit, node: Node) -> bool:
        """Whether a member of a group is just as the one before it, which only it reads."""
        last = held.nodes[-1]
        group, dot, _ = node.name.rpartition(".")
        return (
            held.name not in self.scope.holder.groups
            and isinstance(node.op, Block)
            and node.op is last.op
            and node.inputs == (last.name,)
            and self.readers[last.name] == 1
            and bool(dot)
            and group == last.name.rpartition(".")[0]
            and not node.reuses
        )

    @staticmethod
    def index(unit: Unit, node: Node) -> str:
        return node.name[len(unit.name) + 1 :].partition(".")[0]

    def count_readers(self) -> None:
        for node in self.scope.nodes:
            for ref in node.inputs:
                if ref is not None:
                    self.readers[self.resolved(ref)] += 1
            if isinstance(node.op, Skip) and node.inputs and node.inputs[0] is not None:
                self.skipped[node.name] = node.inputs[0]
                self.readers[self.resolved(node.inputs[0])] -= 1
        for ref in self.scope.outputs.values():
            self.readers[self.resolved(ref)] += 1

    def resolved(self, ref: Ref) -> Ref:
        while ref in self.skipped:
            ref = self.skipped[ref]
        return ref

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
        if not self.folder.ops and self.rides(node):
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
            detail = caption.arguments([n for n, _ in alike if isinstance(n.op, Block)])
            box = replace(
                base,
                title=(title := self.title(node, node.op.kind)),
                detail=joined(node.op.kind if title != node.op.kind else "", detail),
                sizes=self.sizes(node, alike),
                opens=self.folder.kind(node.op),
                mix=self.shares(self.folder.mix(node, self.scope.holder)),
            )
        else:
            box = self.op_box(node, alike, base)
        self.add(box, node.name)
        if node.reuses:
            self.mark(node.reuses)
        self.wire(node, self.boxes[-1].key)

    def op_box(self, node: Node, alike: list[tuple[Node, Scope]], base: Box) -> Box:
        op = node.op
        assert isinstance(op, Op)
        sizes = self.sizes(node, alike)
        base = replace(base, kind=kind_of(op.family), families=(op.family,), sizes=sizes)
        name = self.scope.name(node)
        symbol = caption.SYMBOLS.get(op.name)
        if symbol:
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
        name = self.scope.name(node)
        head, dot, last = name.rpartition(".")
        if dot and last.isdigit() and self.alone(head):
            return head
        return name if node.named or dot else otherwise

    def alone(self, group: str) -> bool:
        """Whether a group ends up as one box: all but its first step ride."""
        members = [n for n in self.scope.nodes if self.scope.name(n).startswith(group + ".")]
        return not self.folder.ops and all(
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
        parameters = macs = 0
        mix: Counter[str] = Counter()
        for node in unit.nodes:
            cost = self.folder.costs(node, scope.holder)
            parameters, macs = parameters + cost[0], macs + cost[1]
            mix.update(self.folder.mix(node, scope.holder))
        varies = len(self.scopes) > 1 and (
            not whole or len({self.total(s, unit.name[scope.strip :]) for s in self.scopes}) > 1
        )
        opens, kind, families, detail = "", "block", (), ""
        blocks = [op for op in ops if isinstance(op, Block)]
        if single and len(blocks) == len(ops):
            keys = [self.folder.kind(b) for b in blocks]
            opens = keys[0]
            names = list(dict.fromkeys(b.kind for b in blocks))
            detail = joined(
                "/".join(names), caption.arguments(unit.nodes, True) if len(set(keys)) == 1 else ""
            )
        elif single and isinstance(first.op, Op):
            kind, families = kind_of(first.op.family), (first.op.family,)  # type: ignore[assignment]
            detail = caption.caption([op for op in ops if isinstance(op, Op)], windows(first))
        else:
            for i, nodes in enumerate(members):
                part = self.part(unit, nodes, i)
                opens = self.folder.entered(
                    (id(scope.holder.at.source), scope.holder.at.path, unit.name),
                    f"{unit.name}, each",
                    group.doc,
                    part,
                    scope.holder,
                )
            detail = ", ".join(what(n) for n in members[0])
        self.add(
            Box(
                "",
                "card",
                kind,
                unit.name[scope.strip :] if whole else span(scope.name(first), scope.name(unit.nodes[-1])),
                families,
                detail=detail,
                sizes=() if varies else self.changed(scope.name(first), [(unit.nodes[-1], scope)]),
                type=str(unit.nodes[-1].type),
                parameters=0 if varies else parameters,
                macs=0 if varies else macs,
                times=times if len(members) > 1 or len(lengths) > 1 else "",
                opens=opens,
                steps=tuple(scope.name(n) for n in unit.nodes if not isinstance(n.op, Skip)),
                mix=self.shares(mix),
                at=group.at,
                doc=group.doc,
            ),
            *(n.name for n in unit.nodes),
        )
        key = self.boxes[-1].key
        inside = {n.name for n in unit.nodes}
        for node in unit.nodes:
            if any(r is not None and r.partition("@")[0] not in inside for r in node.inputs):
                self.wire(node, key)

    def part(self, unit: Unit, nodes: list[Node], index: int) -> Scope:
        """One member of a repeated group, as something to draw: what it reads from outside comes in."""
        holder = self.scope.holder
        strip = len(unit.name) + 1 + len(str(index)) + 1
        inside = {n.name for n in nodes}
        refs = [r for n in nodes for r in n.inputs if r is not None and r.partition("@")[0] not in inside]
        inputs = {r: holder.typed(r) for r in dict.fromkeys(refs)}
        names = {r: "x" if i == 0 else r.rpartition(".")[2] for i, r in enumerate(inputs)}
        return Scope(holder, tuple(nodes), inputs, {"": nodes[-1].name}, strip, names)

    def total(self, scope: Scope, group: str) -> tuple[int, int]:
        found = [
            self.folder.costs(n, scope.holder) for n in scope.nodes if scope.name(n).startswith(group + ".")
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
        found = {self.folder.costs(n, s.holder) for n, s in alike}
        return found.pop() if len(found) == 1 else (0, 0)

    def shares(self, mix: Counter[str]) -> tuple[tuple[str, int], ...]:
        if len(self.scopes) > 1:
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
        for i, ref in enumerate(node.inputs):
            if ref is not None:
                self.link(ref, key, names[i] if i < len(names) else "")

    def link(self, ref: Ref, key: str, into: str) -> None:
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
            self.links[tail, key, ref] = Link(tail, key, label, str(tensor))


def windows(node: Node) -> int:
    """How many axes a window of this op slides over."""
    return len(getattr(node.op, "over", None) or spatial(node.type))


def span(first: str, last: str) -> str:
    """`features.8–10` for members of one group."""
    return f"{first}–{last.rpartition('.')[2]}"


def sentence(doc: str) -> str:
    """The first sentence of a text."""
    head = " ".join(doc.strip().split("\n\n")[0].split())
    return re.split(r"(?<!\bal)(?<!\be\.g)\. +(?=[A-Z0-9])", head)[0].rstrip(".")


def what(node: Node) -> str:
    if isinstance(node.op, Skip):
        return "skipped"
    return node.op.kind if isinstance(node.op, Block) else node.op.name


def joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
