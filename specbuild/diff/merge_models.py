"""Merge two models into one graph for a picture: the new model, with removed steps at their old positions."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from msgspec.structs import replace

from specbuild.diagram.diff_marks import ChangeCount, ChangeNote, ChangeType, DiffMark, DiffMarks
from specbuild.diff.compare import Change, Comparison
from specbuild.diff.fold import DiffEntry, RepeatIndices, fold_entries
from specbuild.diff.merge_blocks import BlockMerger, axes_notes, type_if_changed
from specbuild.diff.pair_blocks import ModelPairing, NodeLocation
from specbuild.ir.cost import CostCounter
from specbuild.ir.graph import Block, FreeSizes, Node, Skip, definition_key

StepCost = tuple[int, int]


class ModelMerger:
    """Builds the merged model and the marks of its steps."""

    def __init__(self, diff: Comparison) -> None:
        self.diff, self.pairing = diff, ModelPairing(diff)
        self.marks = DiffMarks(fold_paths=self.fold_paths)
        self._costs_before, self._costs = CostCounter(), CostCounter()
        self._counts: dict[Block, ChangeCount] = {}
        self._step_costs: dict[tuple[Block, str], StepCost] = {}
        self._blocks: dict[Hashable, Block] = {}
        self._indices = RepeatIndices(diff.after.steps)
        free = diff.after.model.free_sizes or FreeSizes()
        self._free_axes = dict(free.by_block)
        self._free_sizes = FreeSizes(free.of_model, self._free_axes)  # also of merged blocks
        self.model = self.merge_blocks(diff.before.model, diff.after.model, "", "")

    def step_cost(self, node: Node, holder: Block) -> StepCost:
        """Return parameters and multiply-adds of a merged step: the new ones, or the old ones if it is removed."""
        recorded = self._step_costs.get((holder, node.name))
        return recorded if recorded is not None else node_cost(self._costs, node, holder)

    def fold_paths(self, paths: Iterable[str]) -> str:
        """Shorten a list of paths: `layer1.*`."""
        return ", ".join(
            entry.path for entry in fold_entries([DiffEntry("", path) for path in paths], self._indices)
        )

    def merge_blocks(self, old: Block, new: Block, old_path: str | None, new_path: str) -> Block:
        """Merge two instances of a block; returns the new one itself if they do not differ."""
        merger = BlockMerger(self.pairing, old, new, old_path, new_path)
        step_costs: dict[str, StepCost] = {}
        removed = [
            self.mark_removed(merger, name, node, step_costs) for name, node in merger.removed_nodes.items()
        ]
        kept = [self.merge_node(merger, node, step_costs) for node in new.nodes]
        nodes = merger.wire_nodes(kept, removed)
        outputs = merger.merge_outputs()
        same_ops = all(a.op is b.op for a, b in zip(kept, new.nodes, strict=True))
        if same_ops and not merger.marks:
            return new
        groups = {name: group for name, group in old.groups.items() if name not in new.groups}
        merged = replace(
            new,
            inputs=merger.inputs,
            nodes=tuple(nodes),
            outputs=outputs,
            groups={**groups, **new.groups},
            free_sizes=new.free_sizes and self._free_sizes,
        )
        marked = tuple((name, repr(mark)) for name, mark in merger.marks.items())
        inner_blocks = tuple(node.op for node in nodes if isinstance(node.op, Block))
        merged = self.share_block((old, new, marked, inner_blocks), merged, merger, step_costs)
        self.marks.block_paths.setdefault(merged, []).append(new_path)
        return merged

    def share_block(
        self, key: Hashable, block: Block, merger: BlockMerger, step_costs: dict[str, StepCost]
    ) -> Block:
        """Return the object that stands for all merged instances with this key: the first one."""
        if key not in self._blocks:
            self._blocks[key] = block
            self._free_axes[block] = self._free_sizes.of_block(merger.new)
            self.marks.by_step |= {(block, name): mark for name, mark in merger.marks.items()}
            self._step_costs |= {(block, name): cost for name, cost in step_costs.items()}
            counts = (merger.marks[n.name].count for n in block.nodes if n.name in merger.marks)
            self._counts[block] = sum(counts, ChangeCount())
        return self._blocks[key]

    # -- steps

    def merge_node(self, merger: BlockMerger, node: Node, step_costs: dict[str, StepCost]) -> Node:
        """Return a step of the new model, marked with its changes."""
        path = f"{merger.prefix}{node.name}"
        if isinstance(node.op, Skip):
            return node
        step_costs[node.name] = node_cost(self._costs, node, merger.new)
        location = self.pairing.location_before(path, node)
        if location is None:
            return self.mark_added(merger, node, path)
        changes = [*self.diff.changed.get(path, ()), *self.diff.blocks.get(path, ())]
        notes = [note for item in changes for note in change_notes(item)]
        op, count = node.op, ChangeCount(changed=int(bool(notes)))
        if isinstance(op, Block) and isinstance(location.node.op, Block):
            op, count = self.merge_inner_block(location, op, path)
        change: ChangeType = ""
        if notes:
            change = "changed"
        elif is_moved(merger, location, node, self.diff.renamed):
            change = "renamed"
        elif isinstance(op, Block) and self.marks.block_signature(op):
            change = "inside"
        if is_moved(merger, location, node, self.diff.renamed):
            relation = "was" if location.block is merger.old else "moved from"
            notes.append(ChangeNote(relation, path_in_block(merger, location.path), ""))
        if change == "changed":
            notes += axes_notes(location.node.type, node.type)
        cost_before = node_cost(self._costs_before, location.node, location.block)
        old_cost = cost_before if cost_before != step_costs[node.name] else None
        merger.add_mark(
            node.name,
            DiffMark(change, tuple(notes), count, type_if_changed(location.node.type, node.type), old_cost),
        )
        return replace(node, op=op)

    def merge_inner_block(self, location: NodeLocation, block: Block, path: str) -> tuple[Block, ChangeCount]:
        """Merge a block of both models; one that keeps none of its steps is left as it is."""
        assert isinstance(location.node.op, Block)
        if path in self.pairing.with_own_steps or location.node.op.name == block.name:
            block = self.merge_blocks(location.node.op, block, location.path, path)
            return block, self._counts.get(block, ChangeCount())
        return block, ChangeCount(
            self.pairing.step_counts_after[path], self.pairing.step_counts_before[location.path]
        )

    def mark_added(self, merger: BlockMerger, node: Node, path: str) -> Node:
        """Mark a step that only the new model has."""
        if not isinstance(node.op, Block):
            merger.add_mark(node.name, DiffMark("added", count=ChangeCount(1)))
            return node
        if path not in self.pairing.with_old_steps:
            is_new_block = definition_key(node.op) not in self.pairing.shared_definitions
            merger.add_mark(
                node.name,
                DiffMark(
                    "added",
                    count=ChangeCount(self.pairing.step_counts_after.get(path, 0)),
                    is_new_block=is_new_block,
                ),
            )
            return node
        empty_block = replace(node.op, inputs={}, nodes=(), groups={}, outputs={})
        block = self.merge_blocks(empty_block, node.op, None, path)
        notes = (ChangeNote("wraps existing steps", "", ""),)
        merger.add_mark(node.name, DiffMark("renamed", notes, self._counts.get(block, ChangeCount())))
        return replace(node, op=block)

    def mark_removed(
        self, merger: BlockMerger, name: str, node: Node, step_costs: dict[str, StepCost]
    ) -> Node:
        """Mark a step that only the old model has."""
        step_costs[name] = node_cost(self._costs_before, node, merger.old)
        if not isinstance(node.op, Block):
            merger.add_mark(name, DiffMark("removed", count=ChangeCount(0, 1)))
        else:
            path = f"{merger.prefix_before}{node.name}"
            steps = self.pairing.step_counts_before.get(path, 0)
            removed = self.pairing.removed_counts.get(path, 0)
            notes: tuple[ChangeNote, ...] = ()
            if removed < steps:
                notes = (ChangeNote(f"{steps - removed} of its {steps} steps moved elsewhere", "", ""),)
            is_new_block = definition_key(node.op) not in self.pairing.shared_definitions
            merger.add_mark(
                name, DiffMark("removed", notes, ChangeCount(0, removed), is_new_block=is_new_block)
            )
        return replace(node, name=name, reuses=find_merged_path(merger, node.reuses) if node.reuses else None)


def find_merged_path(merger: BlockMerger, path: str) -> str | None:
    """Return the path of a step of the old model in the merged one; it may lead into an inner block."""
    if path in merger.merged_names:
        return merger.merged_names[path]
    holder = next((name for name in merger.merged_names if path.startswith(name + ".")), None)
    return None if holder is None else merger.merged_names[holder] + path[len(holder) :]


def is_moved(merger: BlockMerger, location: NodeLocation, node: Node, renamed: dict[str, str]) -> bool:
    """Return whether to note that a step was renamed or moved."""
    if merger.prefix_before is not None and location.path == f"{merger.prefix_before}{node.name}":
        return False
    return isinstance(node.op, Block) or location.path in renamed


def path_in_block(merger: BlockMerger, path: str) -> str:
    """Return a path of the old model, relative to this block."""
    return path.removeprefix(merger.prefix_before or "")


def change_notes(change: Change) -> Iterator[ChangeNote]:
    """Yield notes for a change; for a mapping, one for each entry that differs."""
    before, after = parse_flat_mapping(change.before), parse_flat_mapping(change.after)
    if before and after and before.keys() == after.keys():
        for key, value in after.items():
            if before[key] != value:
                yield ChangeNote(f"{change.subject} {key}", before[key], value)
        return
    yield ChangeNote("" if change.subject in ("op", "block") else change.subject, change.before, change.after)


def parse_flat_mapping(text: str) -> dict[str, str]:
    """Parse a flat mapping such as `{H: 2, W: 2}`; returns {} for anything else."""
    inner = text[1:-1]
    if not (text.startswith("{") and text.endswith("}")) or any(c in inner for c in "{}[]("):
        return {}
    pairs = [item.partition(": ") for item in inner.split(", ")]
    return {key: value for key, _, value in pairs}


def node_cost(costs: CostCounter, node: Node, holder: Block) -> StepCost:
    found = costs.node_cost(node, holder)
    return found.parameters, found.macs
