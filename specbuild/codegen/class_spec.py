"""A class to be written, and the classes of one model on the way."""

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
    """Which step a piece of a unit's code is: its `value`, the layer that it `calls`, or the row that it calls `each` of."""

    expr: Expr  # this very object
    kind: str
    step: LoweredStep


@dataclass
class ClassSpec:
    """A class to be written."""

    name: str
    block: Block
    params: dict[str, ConstructorParam]
    derived: dict[str, Expr]  # parameters that no instance was given: what they are worked out from
    steps: list[LoweredStep]
    flags: dict[str, Expr]  # step key -> the condition under which it is done, where instances differ
    instances: list[LoweredBlock]
    value_numbers: dict[str, int]
    marks: list[CodeMark] = field(default_factory=list)  # made as its code is written

    @cached_property
    def steps_by_layer(self) -> dict[str, list[LoweredStep]]:
        """The steps that speak of what one of them made, by that one."""
        groups: dict[str, list[LoweredStep]] = {}
        for step in self.steps:
            groups.setdefault(step.layer_name, []).append(step)
        return groups

    @property
    def first_instance(self) -> LoweredBlock:
        return self.instances[0]


@dataclass
class ClassTable:
    """The classes of one model, those used before those that use them."""

    backend: Backend
    natural_order_blocks: set[str] = field(
        default_factory=set
    )  # blocks whose inputs come in the framework's own order
    lowered_blocks: dict[tuple[int, tuple[Layout, ...]], LoweredBlock] = field(default_factory=dict)
    lowering_order: list[LoweredBlock] = field(default_factory=list)
    value_numbers: dict[str, dict[str, int]] = field(default_factory=dict)  # kind -> numbers of its values
    class_of: dict[int, ClassSpec] = field(default_factory=dict)
    extra_arguments: dict[int, dict[str, Any]] = field(
        default_factory=dict
    )  # instance -> arguments that only merging found
    class_names: set[str] = field(default_factory=set)

    def lower_block(self, block: Block, layouts: tuple[Layout, ...], model: bool = False) -> LoweredBlock:
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
