"""Merge two instances of a block into one: its names, the order of its steps, and its wiring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagram.diff_marks import NO_MARK, OLD_SUFFIX, ChangeCount, ChangeNote, ChangeType, DiffMark
from specbuild.diff.pair_blocks import ModelPairing
from specbuild.expressions import concrete
from specbuild.ir.graph import Block, Node, Output, Ref, Skip
from specbuild.ops.types import TensorType


class MergedInput(Struct, frozen=True):
    """One input of a merged step: the value that it reads in the picture, or None.

    `removed_ref` is a value that only the old step reads, `added_ref` one that only the new step reads.
    """

    ref: Ref | None
    removed_ref: Ref | None = None
    added_ref: Ref | None = None
    is_rewired: bool = False


class BlockMerger:
    """Merges the old block instance at `old_path` (None for a new block) with the new one at `new_path`."""

    def __init__(
        self, pairing: ModelPairing, old: Block, new: Block, old_path: str | None, new_path: str
    ) -> None:
        self.pairing, self.old, self.new = pairing, old, new
        self.path = new_path
        self.prefix_before = None if old_path is None else f"{old_path}." if old_path else ""
        self.prefix = f"{new_path}." if new_path else ""
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
        for name, input_type in self.new.inputs.items():
            yield name, input_type
            old_name = paired.get(name)
            if old_name is not None:
                self.merged_names[old_name] = name
                old_type = type_if_changed(self.old.inputs[old_name], input_type)
                notes: tuple[ChangeNote, ...] = (ChangeNote("was", old_name, ""),) if old_name != name else ()
                is_marked = self.is_root and (notes or old_type)
                notes += axes_notes(self.old.inputs[old_name], input_type) if is_marked else ()
                self.add_mark(
                    name,
                    DiffMark(
                        ("renamed" if notes else "changed") if is_marked else "", notes, old_type=old_type
                    ),
                )
            elif self.prefix_before is not None:
                self.add_mark(name, DiffMark("added"))
        for name, input_type in self.old.inputs.items():
            if name not in self.merged_names:
                self.merged_names[name] = unused_name(name, names)
                names.append(self.merged_names[name])
                yield self.merged_names[name], input_type
                self.add_mark(self.merged_names[name], DiffMark("removed"))

    def pair_nodes(self) -> None:
        """Find the new name of every old step, and the steps that are removed."""
        taken = {*(node.name for node in self.new.nodes), *self.inputs}
        self.own_names = frozenset(taken)
        for node in self.old.nodes:
            path = f"{self.prefix_before}{node.name}"
            new_path = self.pairing.current_path(path, node)
            merged_name = self.find_node(new_path)
            if merged_name is not None:
                self.merged_names[node.name] = merged_name
            elif new_path is None and self.is_shown_removed(path, node):
                self.merged_names[node.name] = name = unused_name(node.name, taken)
                taken.add(name)
                self.removed_nodes[name] = node

    def is_shown_removed(self, path: str, node: Node) -> bool:
        """Return whether to draw a removed step; not a block whose steps have all moved elsewhere."""
        if isinstance(node.op, Block):
            return path in self.pairing.removed_counts or path not in self.pairing.step_counts_before
        return not isinstance(node.op, Skip)

    def find_node(self, path: str | None) -> str | None:
        """Return the step of the new instance that a path names, or that contains it."""
        if path is None or not path.startswith(self.prefix):
            return None
        parts = path[len(self.prefix) :].split(".")
        heads = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        return next((head for head in heads if head in self.own_names), None)

    # -- references

    def merged_ref(self, ref: Ref | None) -> Ref | None:
        """Return the merged name of a value of the old instance; None if the picture does not have it."""
        ref = resolve_ref(self.old, ref)
        if ref is None:
            return None
        name, sign, output = ref.partition("@")
        merged_name = self.merged_names.get(name)
        if merged_name is None or merged_name in self.removed_nodes:
            producer = producer_path(self.old, name, output, self.prefix_before or "")
            moved_to = self.find_node(self.pairing.matching.path_after.get(producer))
            if merged_name is None or moved_to is not None:
                return moved_to
        return f"{merged_name}{sign}{output}"

    def has_value(self, ref: Ref | None) -> bool:
        """Return whether the merged block has this value."""
        if ref is None:
            return False
        name, _, output = ref.partition("@")
        node = self.nodes.get(name)
        if node is None:
            return name in self.inputs and not output
        outputs: Iterable[str] = node.op.outputs if isinstance(node.op, Block) else node.parts
        return not output or output in outputs

    def is_computed_before(self, ref: Ref | None, position: int) -> bool:
        return self.has_value(ref) and self.positions.get(node_name(ref), -1) < position

    # -- wiring

    def wire_nodes(self, kept: Sequence[Node], removed: Sequence[Node]) -> list[Node]:
        """Return all steps with their merged inputs, each after the steps that it reads."""
        self.nodes = {node.name: node for node in (*kept, *removed)}
        removed = [
            replace(
                node,
                inputs=tuple(r if self.has_value(r) else None for r in map(self.merged_ref, node.inputs)),
            )
            for node in removed
        ]
        self.removed_nodes = {node.name: node for node in removed}
        self.added_nodes = {
            node.name: node for node in kept if self.marks.get(node.name, NO_MARK).change == "added"
        }
        nodes = self.order_nodes(kept, removed)
        self.positions = {node.name: i for i, node in enumerate(nodes)}
        merged = [node if node.name in self.removed_nodes else self.wire_inputs(node) for node in nodes]
        self.nodes = {node.name: node for node in merged}
        return merged

    def order_nodes(self, kept: Sequence[Node], removed: Sequence[Node]) -> list[Node]:
        """Insert each removed step right after the last step that it reads."""
        positions = {node.name: i for i, node in enumerate(kept)}
        removed_after: dict[int, list[Node]] = {}
        for node in removed:
            position = max(
                (positions.get(node_name(r), -1) for r in node.inputs if r is not None), default=-1
            )
            positions[node.name] = position
            removed_after.setdefault(position, []).append(node)
        ordered = removed_after.get(-1, [])
        for i, node in enumerate(kept):
            ordered += [node, *removed_after.get(i, [])]
        return ordered

    def wire_inputs(self, node: Node) -> Node:
        """Return a step of both models with its merged inputs."""
        location = self.pairing.location_before(f"{self.prefix}{node.name}", node)
        if location is None or location.block is not self.old or isinstance(node.op, Skip):
            return node
        merged_inputs = self.merge_node_inputs(location.node.inputs, node.inputs, self.positions[node.name])
        mark = self.marks.get(node.name, NO_MARK)
        if any(merged.is_rewired for merged in merged_inputs) and mark.change != "changed":
            count = mark.count if mark.count != ChangeCount() else ChangeCount(changed=1)
            mark = replace(mark, change="changed", count=count)
        removed = tuple(merged.removed_ref for merged in merged_inputs if merged.removed_ref is not None)
        added = tuple(merged.added_ref for merged in merged_inputs if merged.added_ref is not None)
        self.add_mark(node.name, replace(mark, removed_inputs=removed, added_inputs=added))
        return replace(node, inputs=tuple(merged.ref for merged in merged_inputs[: len(node.inputs)]))

    def merge_node_inputs(
        self, before: Sequence[Ref | None], after: Sequence[Ref | None], position: int
    ) -> list[MergedInput]:
        """Merge the inputs of a step: one by one if their number is the same, else by value."""
        if len(before) == len(after):
            return [self.merge_input(b, a, position) for b, a in zip(before, after, strict=True)]
        old_refs = [self.merged_ref(ref) for ref in before]
        new_refs = [resolve_ref(self.new, ref) for ref in after]
        kept = [
            MergedInput(ref, None, None if new_ref in old_refs else ref, new_ref not in old_refs)
            for ref, new_ref in zip(after, new_refs, strict=True)
        ]
        removed = [
            MergedInput(None, ref, None, True)
            for ref in old_refs
            if ref not in new_refs and self.is_computed_before(ref, position)
        ]
        return kept + removed

    def merge_input(self, before: Ref | None, after: Ref | None, position: int) -> MergedInput:
        """Merge the old and the new value of one input."""
        old_ref, new_ref = self.merged_ref(before), resolve_ref(self.new, after)
        if old_ref == new_ref:
            return MergedInput(after)
        removed_ref = old_ref if self.is_computed_before(old_ref, position) else None
        reads_removed = old_ref is not None and node_name(old_ref) in self.removed_nodes
        remaining = self.values_behind_removed(old_ref)
        if reads_removed and new_ref in remaining:
            if len(remaining) == 1 and removed_ref is not None:
                return MergedInput(old_ref)  # keep the removed step on the path of the value
            return MergedInput(after, removed_ref, after)
        if remaining & self.values_behind_added(new_ref):
            # an added step is inserted, or replaces the old one
            return MergedInput(after, removed_ref if reads_removed else None)
        return MergedInput(after, removed_ref, after, is_rewired=True)

    def values_behind_removed(self, ref: Ref | None) -> set[Ref]:
        """Return the value itself, or the remaining values from which removed steps computed it."""
        return values_behind(ref, self.removed_nodes, lambda node: node.inputs)

    def values_behind_added(self, ref: Ref | None) -> set[Ref]:
        """Return the value itself, or the old values from which added steps compute it."""
        return values_behind(
            ref, self.added_nodes, lambda node: [resolve_ref(self.new, r) for r in node.inputs]
        )

    def merge_outputs(self) -> dict[str, Output]:
        """Return the outputs of both instances."""
        if self.prefix_before is None:
            return dict(self.new.outputs)
        paired = {name: name for name in self.new.outputs if name in self.old.outputs}
        if self.is_root:
            paired = self.pairing.matching.outputs
        merged: dict[str, Output] = {}
        for name, output in self.new.outputs.items():
            old_name = paired.get(name)
            if old_name is None or old_name not in self.old.outputs:
                self.add_mark(f">{name}", DiffMark("added"))
                merged[name] = output
            else:
                merged[name] = self.merge_output(name, output, old_name)
        for name, output in self.old.outputs.items():
            merged_ref = self.merged_ref(output.ref)
            if name not in paired.values() and merged_ref is not None and self.has_value(merged_ref):
                name = unused_name(name, merged)
                merged[name] = Output(merged_ref, output.type)
                self.add_mark(f">{name}", DiffMark("removed"))
        return merged

    def merge_output(self, name: str, output: Output, old_name: str) -> Output:
        """Merge an output with the old output that it corresponds to."""
        old_output = self.old.outputs[old_name]
        merged_input = self.merge_input(old_output.ref, output.ref, len(self.positions))
        old_type = type_if_changed(old_output.type, output.type)
        notes: tuple[ChangeNote, ...] = ()
        if old_name != name:
            notes = (ChangeNote("was", old_name or "unnamed", ""),)
        change: ChangeType = ""
        if merged_input.is_rewired or (self.is_root and old_type):
            change = "changed"
        elif notes:
            change = "renamed"
        if change:
            notes += axes_notes(old_output.type, output.type)
        removed, added = (
            (ref,) if ref is not None else () for ref in (merged_input.removed_ref, merged_input.added_ref)
        )
        self.add_mark(
            f">{name}",
            DiffMark(change, notes, old_type=old_type, removed_inputs=removed, added_inputs=added),
        )
        return Output(merged_input.ref or output.ref, output.type)


def values_behind(
    ref: Ref | None, steps: Mapping[str, Node], reads: Callable[[Node], Iterable[Ref | None]]
) -> set[Ref]:
    """Search backwards for the nearest values that none of `steps` computes."""
    nearest: set[Ref] = set()
    pending, visited = [ref], set[Ref]()
    while pending:
        current = pending.pop()
        if current is None or current in visited:
            continue
        visited.add(current)
        node = steps.get(node_name(current))
        if node is None:
            nearest.add(current)
        else:
            pending += reads(node)
    return nearest


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


def producer_path(block: Block, name: str, output: str, prefix: str) -> str:
    """Return the path of the op that computes an output of a step, which may be a block."""
    node = block.find_node(name)
    if node is None or not isinstance(node.op, Block):
        return f"{prefix}{name}"
    ref = resolve_ref(node.op, node.op.outputs[output or next(iter(node.op.outputs))].ref) or ""
    inner, _, part = ref.partition("@")
    return producer_path(node.op, inner, part, f"{prefix}{name}.")


def node_name(ref: Ref | None) -> str:
    return (ref or "").partition("@")[0]


def type_if_changed(before: TensorType, after: TensorType) -> TensorType | None:
    """Return the old type of a value, or None if it has not changed."""
    return before if str(before) != str(after) else None


def axes_notes(before: TensorType, after: TensorType) -> tuple[ChangeNote, ...]:
    """Return a note with the old and the new axes, if a value has other axes; changed sizes need no note."""
    if set(before.axes) == set(after.axes):
        return ()
    return (
        ChangeNote(
            "axes", *(" ".join(f"{a} {concrete(n)}" for a, n in x.sizes.items()) for x in (before, after))
        ),
    )


def unused_name(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += OLD_SUFFIX
    return name
