"""Lowers a whole model: every instance of every block, each once for each layout of its inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Backend, BlockLowering, LoweredBlock, block_identity
from specbuild.ir.graph import Block


@dataclass(frozen=True)
class LoweredModel:
    """A model and all block instances in it as steps."""

    root: LoweredBlock
    instances: tuple[LoweredBlock, ...]  # each after those that it calls; the root is the last
    value_numbers: dict[str, dict[str, int]]  # block identity -> value key -> index of its `Input` nodes


def lower_model(model: Block, backend: Backend) -> LoweredModel:
    """Lower every block instance of a model.

    A block whose instances would get their inputs in different layouts gets them all in the framework's own
    axis order, so that one class can serve them. Raises SB601 for an op that the backend cannot express.
    """
    layouts = tuple(Layout(backend.natural_order(x), (), x.batched) for x in model.inputs.values())
    natural_order_blocks: frozenset[str] = frozenset()
    while True:
        lowering = ModelLowering(backend, natural_order_blocks)
        root = lowering.lower_block(model, layouts, is_model=True)
        mixed = lowering.mixed_layout_blocks() - natural_order_blocks
        if not mixed:
            return LoweredModel(root, tuple(lowering.instances.values()), lowering.value_numbers)
        natural_order_blocks |= mixed


@dataclass
class ModelLowering:
    """Lowers blocks, and remembers those that are lowered already."""

    backend: Backend
    natural_order_blocks: frozenset[str]  # their inputs are converted to the framework's own axis order
    # `id` of a graph block and layouts of its inputs -> instance, which keeps the block alive
    instances: dict[tuple[int, tuple[Layout, ...]], LoweredBlock] = field(default_factory=dict)
    value_numbers: dict[str, dict[str, int]] = field(default_factory=dict)

    def lower_block(self, block: Block, layouts: tuple[Layout, ...], is_model: bool = False) -> LoweredBlock:
        """The steps of a block for these input layouts."""
        key = (id(block), layouts)
        if key not in self.instances:
            numbers = self.value_numbers.setdefault(block_identity(block), {})
            lowering = BlockLowering(
                block, layouts, self.backend, self.lower_block, numbers, self.natural_order_blocks
            )
            self.instances[key] = lowering.run(natural_outputs=is_model)
        return self.instances[key]

    def mixed_layout_blocks(self) -> set[str]:
        """The blocks whose instances have inputs in different layouts."""
        layouts_of: dict[str, set[tuple[Layout, ...]]] = {}
        for lowered in self.instances.values():
            layouts = tuple(value.layout for value in lowered.inputs.values())
            layouts_of.setdefault(block_identity(lowered.block), set()).add(layouts)
        return {identity for identity, variants in layouts_of.items() if len(variants) > 1}
