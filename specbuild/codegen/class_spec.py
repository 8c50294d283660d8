"""The class that the emitted file gets for a block, and the table of all classes of one model."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Backend, BlockLowering, LoweredBlock, LoweredStep, block_identity
from specbuild.codegen.tree import Expr
from specbuild.ir.graph import Block

REQUIRED = ...


@dataclass(frozen=True)
class ConstructorParam:
    """A parameter of a class's constructor."""

    default: Any
    annotation: str


@dataclass(frozen=True)
class CodeMark:
    """Links a piece of emitted code to the step that it implements."""

    expr: Expr  # compared by identity
    kind: str  # "value": the step's result; "calls": the layer it calls; "each": a row called layer by layer
    step: LoweredStep


@dataclass
class ClassSpec:
    """A class of the emitted file: one block, or the instances of a block that have the same structure."""

    name: str
    block: Block
    params: dict[str, ConstructorParam]
    derived: dict[str, Expr]  # parameters that always follow from others -> their formula
    steps: list[LoweredStep]
    flags: dict[str, Expr]  # step key -> condition, for steps that some instances skip
    instances: list[LoweredBlock]
    value_numbers: dict[str, int]  # value key -> the index that `Input` nodes use for it
    marks: list[CodeMark] = field(default_factory=list)  # filled while its code is written

    @cached_property
    def steps_by_layer(self) -> dict[str, list[LoweredStep]]:
        """The steps that use each layer, by the layer's name."""
        groups: dict[str, list[LoweredStep]] = {}
        for step in self.steps:
            groups.setdefault(step.layer_name, []).append(step)
        return groups

    @property
    def first_instance(self) -> LoweredBlock:
        return self.instances[0]


@dataclass
class ClassTable:
    """The classes of one model, built from the inside out."""

    backend: Backend
    # blocks whose inputs are converted to the framework's own axis order
    natural_order_blocks: set[str] = field(default_factory=set)
    lowered_blocks: dict[tuple[int, tuple[Layout, ...]], LoweredBlock] = field(default_factory=dict)
    lowering_order: list[LoweredBlock] = field(default_factory=list)
    value_numbers: dict[str, dict[str, int]] = field(
        default_factory=dict
    )  # block identity -> its value numbers
    class_of: dict[int, ClassSpec] = field(default_factory=dict)  # id of an instance -> its class
    # id of an instance -> its values for parameters that merging added
    extra_arguments: dict[int, dict[str, Any]] = field(default_factory=dict)
    class_names: set[str] = field(default_factory=set)

    def lower_block(self, block: Block, layouts: tuple[Layout, ...], model: bool = False) -> LoweredBlock:
        """The steps of a block for these input layouts; lowered once, then cached."""
        key = (id(block), layouts)
        if key not in self.lowered_blocks:
            lowering = BlockLowering(
                block,
                layouts,
                self.backend,
                self.lower_block,
                self.value_numbers.setdefault(block_identity(block), {}),
                self.natural_order_blocks,
            )
            self.lowered_blocks[key] = lowering.run(natural_outputs=model)
            self.lowering_order.append(self.lowered_blocks[key])
        return self.lowered_blocks[key]
