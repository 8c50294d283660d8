"""Merge two instances of a block into one: its names, the order of its steps, and its wiring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from specbuild.diagram.diff_marks import NO_MARK, OLD_SUFFIX, ChangeCount, ChangeNote, ChangeType, DiffMark
from specbuild.diff.pair_blocks import ModelPairing
from specbuild.expressions import concrete as plain_size
from specbuild.ir.graph import Block, Node, Output, Ref, Skip
from specbuild.ops.types import TensorType


@dataclass(frozen=True)
class MergedInput:
    """One input of a merged step: the value it reads, and a value it no longer or only now reads."""

    ref: Ref | None
    removed_ref: Ref | None = None
    added_ref: Ref | None = None
    is_rewired: bool = False


class BlockMerger:
    """Merges the old instance at path `was` (None for a new block) with the new one at `now`."""

    def __init__(self, pairing: ModelPairing, old: Block, new: Block, was: str | None, now: str) -> None:
        self.pairing, self.old, self.new = pairing, old, new
        self.path = now
        self.prefix_before = None if was is None else f"{was}." if was else ""
        self.prefix = f"{now}." if now else ""
        self.marks: dict[str, DiffMark] = {}
        self.merged_names: dict[str, str] = {}  # step or input of the old instance -> merged name
        self.removed_nodes: dict[str, Node] = {}  # by merged name
        self.added_nodes: dict[str, Node] = {}
        self.nodes: dict[str, Node] = {}
        self.positions: dict[str, int] = {}
        self.inputs = dict(self.merge_inputs())
        self.pair_nodes()

    @property
    def is_root(self) -> bool:
        return self.path == ""

    def add_mark(self, name: str, mark: DiffMark) -> None:
        if mark != NO_MARK:
            self.marks[name] = mark

    # -- names

    def merge_inputs(self) -> Iterator[tuple[str, TensorType]]:
        names = list(self.new.inputs)
        paired = {name: name for name in names if name in self.old.inputs}
        if self.is_root:
            paired = self.pairing.matching.inputs
        for name, type_ in self.new.inputs.items():
            yield name, type_
            was = paired.get(name)
            if was is not None:
                self.merged_names[was] = name
                other = type_if_changed(self.old.inputs[was], type_)
                notes: tuple[ChangeNote, ...] = (ChangeNote("was", was, ""),) if was != name else ()
                is_marked = self.is_root and (notes or other)
                notes += axes_notes(self.old.inputs[was], type_) if is_marked else ()
                self.add_mark(
                    name,
                    DiffMark(("renamed" if notes else "changed") if is_marked else "", notes, old_type=other),
                )
            elif self.prefix_before is not None:
                self.add_mark(name, DiffMark("added"))
        for name, type_ in self.old.inputs.items():
            if name not in self.merged_names:
                self.merged_names[name] = unused_name(name, names)
                names.append(self.merged_names[name])
                yield self.merged_names[name], type_
                self.add_mark(self.merged_names[name], DiffMark("removed"))

    def pair_nodes(self) -> None:
        """Find the new name of every old step, and the steps that are removed."""
        taken = {*(node.name for node in self.new.nodes), *self.inputs}
        self.own_names = frozenset(taken)
        for node in self.old.nodes:
            path = f"{self.prefix_before}{node.name}"
            now = self.pairing.current_path(path, node)
            here = self.find_node(now)
            if here is not None:
                self.merged_names[node.name] = here
            elif now is None and self.is_shown_removed(path, node):
                self.merged_names[node.name] = name = unused_name(node.name, taken)
                taken.add(name)
                self.removed_nodes[name] = node

    def is_shown_removed(self, path: str, node: Node) -> bool:
        """Whether to draw a removed step; not a block whose steps have all moved elsewhere."""
        if isinstance(node.op, Block):
            return path in self.pairing.removed_counts or path not in self.pairing.step_counts_before
        return not isinstance(node.op, Skip)

    def find_node(self, path: str | None) -> str | None:
        """The step of the new instance that a path names, or that contains it."""
        if path is None or not path.startswith(self.prefix):
            return None
        parts = path[len(self.prefix) :].split(".")
        heads = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        return next((head for head in heads if head in self.own_names), None)

    # -- references

    def merged_ref(self, ref: Ref | None) -> Ref | None:
        """The merged name of a value of the old instance; None if the picture does not have it."""
        ref = resolve_ref(self.old, ref)
        if ref is None:
            return None
        name, sign, output = ref.partition("@")
        here = self.merged_names.get(name)
        if here is None or here in self.removed_nodes:
            given = producer_path(self.old, name, output, self.prefix_before or "")
            moved = self.find_node(self.pairing.matching.path_after.get(given))
            if here is None or moved is not None:
                return moved
        return f"{here}{sign}{output}"

    def has_value(self, ref: Ref | None) -> bool:
        """Whether the merged block has this value."""
        if ref is None:
            return False
        name, _, output = ref.partition("@")
        node = self.nodes.get(name)
        if node is None:
            return name in self.inputs and not output
        outputs: Iterable[str] = node.op.outputs if isinstance(node.op, Block) else node.parts
        return not output or output in outputs

    def is_computed_before(self, ref: Ref | None, at: int) -> bool:
        return self.has_value(ref) and self.positions.get(node_name(ref), -1) < at

    # -- wiring

    def wire_nodes(self, kept: Sequence[Node], gone: Sequence[Node]) -> list[Node]:
        """All steps with their merged inputs, each after the steps that it reads."""
        self.nodes = {node.name: node for node in (*kept, *gone)}
        gone = [
            replace(
                node,
                inputs=tuple(r if self.has_value(r) else None for r in map(self.merged_ref, node.inputs)),
            )
            for node in gone
        ]
        self.removed_nodes = {node.name: node for node in gone}
        self.added_nodes = {
            node.name: node for node in kept if self.marks.get(node.name, NO_MARK).change == "added"
        }
        nodes = self.order_nodes(kept, gone)
        self.positions = {node.name: i for i, node in enumerate(nodes)}
        merged = [node if node.name in self.removed_nodes else self.wire_inputs(node) for node in nodes]
        self.nodes = {node.name: node for node in merged}
        return merged

    def order_nodes(self, kept: Sequence[Node], gone: Sequence[Node]) -> list[Node]:
        """Insert each removed step right after the last step that it reads."""
        positions = {node.name: i for i, node in enumerate(kept)}
        after: dict[int, list[Node]] = {}
        for node in gone:
            at = max((positions.get(node_name(r), -1) for r in node.inputs if r is not None), default=-1)
            positions[node.name] = at
            after.setdefault(at, []).append(node)
        ordered = after.get(-1, [])
        for i, node in enumerate(kept):
            ordered += [node, *after.get(i, [])]
        return ordered

    def wire_inputs(self, node: Node) -> Node:
        """A step of both models with its merged inputs."""
        was = self.pairing.location_before(f"{self.prefix}{node.name}", node)
        if was is None or was.block is not self.old or isinstance(node.op, Skip):
            return node
        at = self.positions[node.name]
        before = was.node.inputs
        if len(before) == len(node.inputs):
            reads = [self.merge_input(b, a, at) for b, a in zip(before, node.inputs, strict=True)]
        else:
            refs_before = [self.merged_ref(r) for r in before]
            now = [resolve_ref(self.new, r) for r in node.inputs]
            reads = [
                MergedInput(r, None, None if n in refs_before else r, n not in refs_before)
                for r, n in zip(node.inputs, now, strict=True)
            ]
            reads += [
                MergedInput(None, r, None, True)
                for r in refs_before
                if r not in now and self.is_computed_before(r, at)
            ]
        gone = tuple(r.removed_ref for r in reads if r.removed_ref is not None)
        come = tuple(r.added_ref for r in reads if r.added_ref is not None)
        mark = self.marks.get(node.name, NO_MARK)
        if any(r.is_rewired for r in reads) and mark.change != "changed":
            count = mark.count if mark.count != ChangeCount() else ChangeCount(changed=1)
            mark = replace(mark, change="changed", count=count)
        self.add_mark(node.name, replace(mark, removed_inputs=gone, added_inputs=come))
        return replace(node, inputs=tuple(r.ref for r in reads[: len(node.inputs)]))

    def merge_input(self, before: Ref | None, after: Ref | None, at: int) -> MergedInput:
        """Merge the old and the new value of one input."""
        was, now = self.merged_ref(before), resolve_ref(self.new, after)
        if was == now:
            return MergedInput(after)
        gone = was if self.is_computed_before(was, at) else None
        passed = self.values_behind_removed(was)
        if was is not None and node_name(was) in self.removed_nodes and now in passed:
            if len(passed) == 1 and gone is not None:
                return MergedInput(was)  # keep the removed step on the path of the value
            return MergedInput(after, gone, after)
        if passed & self.values_behind_added(now):  # an added step is inserted, or replaces the old one
            return MergedInput(
                after, gone if was is not None and node_name(was) in self.removed_nodes else None
            )
        return MergedInput(after, gone, after, is_rewired=True)

    def values_behind_removed(self, ref: Ref | None) -> set[Ref]:
        """The value itself, or the remaining values from which removed steps computed it."""
        return values_behind(ref, self.removed_nodes, lambda node: node.inputs)

    def values_behind_added(self, ref: Ref | None) -> set[Ref]:
        """The value itself, or the old values from which added steps compute it."""
        return values_behind(
            ref, self.added_nodes, lambda node: [resolve_ref(self.new, r) for r in node.inputs]
        )

    def merge_outputs(self) -> dict[str, Output]:
        """The outputs of both instances."""
        if self.prefix_before is None:
            return dict(self.new.outputs)
        paired = {name: name for name in self.new.outputs if name in self.old.outputs}
        if self.is_root:
            paired = self.pairing.matching.outputs
        merged: dict[str, Output] = {}
        for name, output in self.new.outputs.items():
            was = self.old.outputs.get(paired.get(name, "@"))
            if was is None:
                self.add_mark(f">{name}", DiffMark("added"))
                merged[name] = output
                continue
            read = self.merge_input(was.ref, output.ref, len(self.positions))
            other = type_if_changed(was.type, output.type)
            notes: tuple[ChangeNote, ...] = (
                (ChangeNote("was", paired[name] or "without a name", ""),) if paired[name] != name else ()
            )
            sort: ChangeType = (
                "changed" if read.is_rewired or (self.is_root and other) else "renamed" if notes else ""
            )
            gone, come = ((r,) if r is not None else () for r in (read.removed_ref, read.added_ref))
            if sort:
                notes += axes_notes(was.type, output.type)
            self.add_mark(
                f">{name}", DiffMark(sort, notes, old_type=other, removed_inputs=gone, added_inputs=come)
            )
            merged[name] = Output(read.ref or output.ref, output.type)
        for name, output in self.old.outputs.items():
            here = self.merged_ref(output.ref)
            if name not in paired.values() and here is not None and self.has_value(here):
                name = unused_name(name, merged)
                merged[name] = Output(here, output.type)
                self.add_mark(f">{name}", DiffMark("removed"))
        return merged


def values_behind(
    ref: Ref | None, steps: Mapping[str, Node], reads: Callable[[Node], Iterable[Ref | None]]
) -> set[Ref]:
    """Search backwards for the nearest values that none of `steps` computes."""
    found: set[Ref] = set()
    waiting, visited = [ref], set[Ref]()
    while waiting:
        here = waiting.pop()
        if here is None or here in visited:
            continue
        visited.add(here)
        node = steps.get(node_name(here))
        if node is None:
            found.add(here)
        else:
            waiting += reads(node)
    return found


def resolve_ref(block: Block, ref: Ref | None) -> Ref | None:
    """Follow a reference through skipped steps, and drop the name of an output that is the first one."""
    while ref is not None:
        name, _, output = ref.partition("@")
        node = block.find_node(name)
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


def producer_path(block: Block, name: str, output: str, above: str) -> str:
    """The path of the op that computes an output of a step, which may be a block."""
    node = block.find_node(name)
    if node is None or not isinstance(node.op, Block):
        return f"{above}{name}"
    ref = resolve_ref(node.op, node.op.outputs[output or next(iter(node.op.outputs))].ref) or ""
    inner, _, part = ref.partition("@")
    return producer_path(node.op, inner, part, f"{above}{name}.")


def node_name(ref: Ref | None) -> str:
    return (ref or "").partition("@")[0]


def type_if_changed(was: TensorType, now: TensorType) -> TensorType | None:
    """The old type of a value, or None if it has not changed."""
    return was if str(was) != str(now) else None


def axes_notes(was: TensorType, now: TensorType) -> tuple[ChangeNote, ...]:
    """A note with the old and the new axes, if a value has other axes; changed sizes need no note."""
    if set(was.axes) == set(now.axes):
        return ()
    return (
        ChangeNote(
            "axes", *(" ".join(f"{a} {plain_size(n)}" for a, n in x.sizes.items()) for x in (was, now))
        ),
    )


def unused_name(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += OLD_SUFFIX
    return name
