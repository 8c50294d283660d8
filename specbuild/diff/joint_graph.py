"""Two instances of one block as one: what its values are called, in which order they stand, and who reads what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from specbuild.diagram.diff_marks import GONE, NONE, Count, Mark, Note, Sort
from specbuild.diff.pair_blocks import Pairing
from specbuild.expressions import plain as plain_size
from specbuild.ir.graph import Block, Node, Output, Ref, Skip
from specbuild.ops.types import Tensor


@dataclass(frozen=True)
class Reading:
    """One input of a step in the picture of both: what is drawn, and what was read before or is read only now."""

    ref: Ref | None
    gone: Ref | None = None
    come: Ref | None = None
    rewired: bool = False


class Joint:
    """Two instances on their way to be one; `was` and `now` are their paths, None if there was none."""

    def __init__(self, pairing: Pairing, old: Block, new: Block, was: str | None, now: str) -> None:
        self.pairing, self.old, self.new = pairing, old, new
        self.path = now
        self.above_before = None if was is None else f"{was}." if was else ""
        self.above = f"{now}." if now else ""
        self.marks: dict[str, Mark] = {}
        self.names: dict[str, str] = {}  # a step or an input of the old instance: its name in the picture
        self.lost: dict[str, Node] = {}  # by their names in the picture
        self.added: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}
        self.place: dict[str, int] = {}
        self.inputs = dict(self.both_inputs())
        self.pair()

    @property
    def root(self) -> bool:
        return self.path == ""

    def mark(self, name: str, mark: Mark) -> None:
        if mark != NONE:
            self.marks[name] = mark

    # -- who is who

    def both_inputs(self) -> Iterator[tuple[str, Tensor]]:
        names = list(self.new.inputs)
        paired = {name: name for name in names if name in self.old.inputs}
        if self.root:
            paired = self.pairing.matching.inputs
        for name, type_ in self.new.inputs.items():
            yield name, type_
            was = paired.get(name)
            if was is not None:
                self.names[was] = name
                other = former(self.old.inputs[was], type_)
                notes: tuple[Note, ...] = (Note("was", was, ""),) if was != name else ()
                told = self.root and (notes or other)
                notes += axes(self.old.inputs[was], type_) if told else ()
                self.mark(name, Mark(("renamed" if notes else "changed") if told else "", notes, was=other))
            elif self.above_before is not None:
                self.mark(name, Mark("added"))
        for name, type_ in self.old.inputs.items():
            if name not in self.names:
                self.names[name] = free(name, names)
                names.append(self.names[name])
                yield self.names[name], type_
                self.mark(self.names[name], Mark("removed"))

    def pair(self) -> None:
        """Which steps of the old instance are which of the new, and which are gone."""
        taken = {*(node.name for node in self.new.nodes), *self.inputs}
        self.own = frozenset(taken)
        for node in self.old.nodes:
            path = f"{self.above_before}{node.name}"
            now = self.pairing.after(path, node)
            here = self.within(now)
            if here is not None:
                self.names[node.name] = here
            elif now is None and self.is_lost(path, node):
                self.names[node.name] = name = free(node.name, taken)
                taken.add(name)
                self.lost[name] = node

    def is_lost(self, path: str, node: Node) -> bool:
        """Whether a step that the new model has nowhere is drawn: not if it is a block whose steps are all elsewhere."""
        if isinstance(node.op, Block):
            return path in self.pairing.gone or path not in self.pairing.steps_before
        return not isinstance(node.op, Skip)

    def within(self, path: str | None) -> str | None:
        """The step of the new instance that a path leads to, or into."""
        if path is None or not path.startswith(self.above):
            return None
        parts = path[len(self.above) :].split(".")
        heads = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        return next((head for head in heads if head in self.own), None)

    # -- references

    def told(self, ref: Ref | None) -> Ref | None:
        """A value of the old instance as the picture calls it; None if it is not in it."""
        ref = plain(self.old, ref)
        if ref is None:
            return None
        name, sign, output = ref.partition("@")
        here = self.names.get(name)
        if here is None or here in self.lost:
            given = giver(self.old, name, output, self.above_before or "")
            moved = self.within(self.pairing.matching.new.get(given))
            if here is None or moved is not None:
                return moved
        return f"{here}{sign}{output}"

    def drawn(self, ref: Ref | None) -> bool:
        """Whether the picture has this value."""
        if ref is None:
            return False
        name, _, output = ref.partition("@")
        node = self.nodes.get(name)
        if node is None:
            return name in self.inputs and not output
        given: Iterable[str] = node.op.outputs if isinstance(node.op, Block) else node.parts
        return not output or output in given

    def earlier(self, ref: Ref | None, at: int) -> bool:
        return self.drawn(ref) and self.place.get(step(ref), -1) < at

    # -- wiring

    def wired(self, kept: Sequence[Node], gone: Sequence[Node]) -> list[Node]:
        """All steps, each after what it reads, with what they read."""
        self.nodes = {node.name: node for node in (*kept, *gone)}
        gone = [
            replace(node, inputs=tuple(r if self.drawn(r) else None for r in map(self.told, node.inputs)))
            for node in gone
        ]
        self.lost = {node.name: node for node in gone}
        self.added = {node.name: node for node in kept if self.marks.get(node.name, NONE).sort == "added"}
        nodes = self.ordered(kept, gone)
        self.place = {node.name: i for i, node in enumerate(nodes)}
        found = [node if node.name in self.lost else self.reading(node) for node in nodes]
        self.nodes = {node.name: node for node in found}
        return found

    def ordered(self, kept: Sequence[Node], gone: Sequence[Node]) -> list[Node]:
        """Removed steps right after the last of what they read."""
        place = {node.name: i for i, node in enumerate(kept)}
        after: dict[int, list[Node]] = {}
        for node in gone:
            at = max((place.get(step(r), -1) for r in node.inputs if r is not None), default=-1)
            place[node.name] = at
            after.setdefault(at, []).append(node)
        found = after.get(-1, [])
        for i, node in enumerate(kept):
            found += [node, *after.get(i, [])]
        return found

    def reading(self, node: Node) -> Node:
        """A step that is there still, with what it reads and read."""
        was = self.pairing.before(f"{self.above}{node.name}", node)
        if was is None or was.holder is not self.old or isinstance(node.op, Skip):
            return node
        at = self.place[node.name]
        before = was.node.inputs
        if len(before) == len(node.inputs):
            reads = [self.joined(b, a, at) for b, a in zip(before, node.inputs, strict=True)]
        else:
            told = [self.told(r) for r in before]
            now = [plain(self.new, r) for r in node.inputs]
            reads = [
                Reading(r, None, None if n in told else r, n not in told)
                for r, n in zip(node.inputs, now, strict=True)
            ]
            reads += [Reading(None, r, None, True) for r in told if r not in now and self.earlier(r, at)]
        gone = tuple(r.gone for r in reads if r.gone is not None)
        come = tuple(r.come for r in reads if r.come is not None)
        mark = self.marks.get(node.name, NONE)
        if any(r.rewired for r in reads) and mark.sort != "changed":
            count = mark.count if mark.count != Count() else Count(changed=1)
            mark = replace(mark, sort="changed", count=count)
        self.mark(node.name, replace(mark, gone=gone, come=come))
        return replace(node, inputs=tuple(r.ref for r in reads[: len(node.inputs)]))

    def joined(self, before: Ref | None, after: Ref | None, at: int) -> Reading:
        """One input: as it was and as it is."""
        was, now = self.told(before), plain(self.new, after)
        if was == now:
            return Reading(after)
        gone = was if self.earlier(was, at) else None
        passed = self.past_lost(was)
        if was is not None and step(was) in self.lost and now in passed:
            if len(passed) == 1 and gone is not None:
                return Reading(was)  # a removed step stands in the way that goes on
            return Reading(after, gone, after)
        if passed & self.past_added(now):  # an added step was put between, or instead
            return Reading(after, gone if was is not None and step(was) in self.lost else None)
        return Reading(after, gone, after, rewired=True)

    def past_lost(self, ref: Ref | None) -> set[Ref]:
        """What is there still of a value: itself, or what removed steps had made it from."""
        return past(ref, self.lost, lambda node: node.inputs)

    def past_added(self, ref: Ref | None) -> set[Ref]:
        """What was there before of a value: itself, or what added steps make it from."""
        return past(ref, self.added, lambda node: [plain(self.new, r) for r in node.inputs])

    def outputs(self) -> dict[str, Output]:
        """The outputs of both."""
        if self.above_before is None:
            return dict(self.new.outputs)
        paired = {name: name for name in self.new.outputs if name in self.old.outputs}
        if self.root:
            paired = self.pairing.matching.outputs
        found: dict[str, Output] = {}
        for name, output in self.new.outputs.items():
            was = self.old.outputs.get(paired.get(name, "@"))
            if was is None:
                self.mark(f">{name}", Mark("added"))
                found[name] = output
                continue
            read = self.joined(was.ref, output.ref, len(self.place))
            other = former(was.type, output.type)
            notes: tuple[Note, ...] = (
                (Note("was", paired[name] or "without a name", ""),) if paired[name] != name else ()
            )
            sort: Sort = "changed" if read.rewired or (self.root and other) else "renamed" if notes else ""
            gone, come = ((r,) if r is not None else () for r in (read.gone, read.come))
            if sort:
                notes += axes(was.type, output.type)
            self.mark(f">{name}", Mark(sort, notes, was=other, gone=gone, come=come))
            found[name] = Output(read.ref or output.ref, output.type)
        for name, output in self.old.outputs.items():
            here = self.told(output.ref)
            if name not in paired.values() and here is not None and self.drawn(here):
                name = free(name, found)
                found[name] = Output(here, output.type)
                self.mark(f">{name}", Mark("removed"))
        return found


def past(
    ref: Ref | None, steps: Mapping[str, Node], reads: Callable[[Node], Iterable[Ref | None]]
) -> set[Ref]:
    """The nearest values before one that no step of these gives."""
    found: set[Ref] = set()
    waiting, seen = [ref], set[Ref]()
    while waiting:
        here = waiting.pop()
        if here is None or here in seen:
            continue
        seen.add(here)
        node = steps.get(step(here))
        if node is None:
            found.add(here)
        else:
            waiting += reads(node)
    return found


def plain(block: Block, ref: Ref | None) -> Ref | None:
    """A reference past steps that were skipped, without the name of an output that is the first one."""
    while ref is not None:
        name, _, output = ref.partition("@")
        node = block.node(name)
        if node is not None and isinstance(node.op, Skip):
            ref = node.inputs[0]
        elif (
            output
            and node is not None
            and isinstance(node.op, Block)
            and output == next(iter(node.op.outputs))
        ):
            return name
        else:
            return ref
    return None


def giver(block: Block, name: str, output: str, above: str) -> str:
    """The path of the op whose value a step gives, which may be a block."""
    node = block.node(name)
    if node is None or not isinstance(node.op, Block):
        return f"{above}{name}"
    ref = plain(node.op, node.op.outputs[output or next(iter(node.op.outputs))].ref) or ""
    inner, _, part = ref.partition("@")
    return giver(node.op, inner, part, f"{above}{name}.")


def step(ref: Ref | None) -> str:
    return (ref or "").partition("@")[0]


def former(was: Tensor, now: Tensor) -> Tensor | None:
    """The type that a value had, if it has another now."""
    return was if str(was) != str(now) else None


def axes(was: Tensor, now: Tensor) -> tuple[Note, ...]:
    """What is told of a value that has other axes; sizes of the same ones are told with them."""
    if set(was.axes) == set(now.axes):
        return ()
    return (
        Note("axes", *(" ".join(f"{a} {plain_size(n)}" for a, n in x.sizes.items()) for x in (was, now))),
    )


def free(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += GONE
    return name
