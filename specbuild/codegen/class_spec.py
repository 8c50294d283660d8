"""The class that the emitted file gets for a block, and the table of all classes of one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from specbuild.codegen.lowering import LoweredBlock, LoweredStep
from specbuild.codegen.tree import Expr
from specbuild.ir.graph import Block

REQUIRED = ...


@dataclass(frozen=True)
class ConstructorParam:
    """A parameter of a class's constructor."""

    default: Any
    annotation: str


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
    """The classes of one model that are built so far: those that a class uses are built before it."""

    value_numbers: Mapping[str, dict[str, int]]  # block identity -> its value numbers
    class_of: dict[LoweredBlock, ClassSpec] = field(default_factory=dict)
    # instance -> its values for parameters that merging added
    extra_arguments: dict[LoweredBlock, dict[str, Any]] = field(default_factory=dict)
    class_names: set[str] = field(default_factory=set)
