"""Pairs of steps and of blocks of two models, looked up by path in both directions."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from specbuild.diff.compare import Comparison, paired_instances
from specbuild.diff.flatten import enclosing_paths
from specbuild.diff.renames import count_contained_steps
from specbuild.ir.graph import Block, Node, definition_key


class NodeLocation(Struct, frozen=True):
    """A step, its path in the whole model, and the block that contains it."""

    path: str
    node: Node
    block: Block


class ModelPairing:
    """The nodes of both models, and which of them correspond."""

    def __init__(self, diff: Comparison) -> None:
        self.diff, self.matching = diff, diff.matching
        self.nodes_before, self.nodes_after = locate_nodes(diff.before.model), locate_nodes(diff.after.model)
        self.block_before = self.pair_block_paths()  # path after -> path before, of blocks
        self.block_after = {old_path: new_path for new_path, old_path in self.block_before.items()}
        self.step_counts_before = count_contained_steps(diff.before.steps)
        self.step_counts_after = count_contained_steps(diff.after.steps)
        self.removed_counts = Counter(
            container for step in diff.removed for container in self.removed_containers(step.path)
        )
        # Blocks and groups of the new model that contain a step of the old model.
        self.with_old_steps = {
            container for path in self.matching.path_before for container in enclosing_paths(path)
        }
        # Those of them that contain a step of the old block to which they correspond.
        self.with_own_steps = {
            container
            for new_path, old_path in self.matching.path_before.items()
            for container in enclosing_paths(new_path)
            if old_path.startswith(f"{self.block_before.get(container, container)}.")
        }
        self.shared_definitions = self.find_shared_definitions()

    def find_shared_definitions(self) -> set[str]:
        """Return the blocks that both models use, or that replace one another."""
        before, after = (
            {
                definition_key(location.node.op)
                for location in side.values()
                if isinstance(location.node.op, Block)
            }
            for side in (self.nodes_before, self.nodes_after)
        )
        replaced = (
            location.node.op
            for new_path, old_path in self.block_before.items()
            for location in (self.nodes_after[new_path], self.nodes_before[old_path])
        )
        return (before & after) | {definition_key(op) for op in replaced if isinstance(op, Block)}

    def pair_block_paths(self) -> dict[str, str]:
        """Return the old path of each block that both models have; each old block is used once."""
        pairs: dict[str, str] = {}
        used: set[str] = set()
        for old, new in paired_instances(self.diff):
            if old.path not in used:
                pairs[new.path] = old.path
                used.add(old.path)
        return pairs

    def removed_containers(self, path: str) -> list[str]:
        """Return the blocks and groups around a removed step that were removed with it."""
        containers = list(enclosing_paths(path))
        last_kept = max(
            (i for i, container in enumerate(containers) if container in self.block_after), default=-1
        )
        return containers[last_kept + 1 :]

    def location_before(self, path: str, node: Node) -> NodeLocation | None:
        """Return the step of the old model that a new step corresponds to."""
        old_path = (
            self.block_before.get(path) if isinstance(node.op, Block) else self.matching.path_before.get(path)
        )
        return None if old_path is None else self.nodes_before[old_path]

    def current_path(self, path: str, node: Node) -> str | None:
        """Return the new path of a step of the old model; None if it is removed."""
        return (
            self.block_after.get(path) if isinstance(node.op, Block) else self.matching.path_after.get(path)
        )


def locate_nodes(model: Block) -> dict[str, NodeLocation]:
    """Return all steps of a model, also those inside blocks, by path."""
    locations: dict[str, NodeLocation] = {}

    def visit_block(block: Block, prefix: str) -> None:
        for node in block.nodes:
            path = f"{prefix}{node.name}"
            locations[path] = NodeLocation(path, node, block)
            if isinstance(node.op, Block):
                visit_block(node.op, f"{path}.")

    visit_block(model, "")
    return locations
