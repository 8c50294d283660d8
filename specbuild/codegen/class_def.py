"""A class to be written, and the classes of one model on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Backend, Lowered, Lowering, Step, identity
from specbuild.codegen.tree import Expr
from specbuild.ir.graph import Block

REQUIRED = ...


@dataclass(frozen=True)
class Param:
    """A parameter of a class's constructor."""

    default: Any
    annotation: str


@dataclass(frozen=True)
class Mark:
    """Which step a piece of a unit's code is: its `value`, the layer that it `calls`, or the row that it calls `each` of."""

    expr: Expr  # this very object
    kind: str
    step: Step


@dataclass
class Unit:
    """A class to be written."""

    name: str
    block: Block
    params: dict[str, Param]
    derived: dict[str, Expr]  # parameters that no instance was given: what they are worked out from
    steps: list[Step]
    flags: dict[str, Expr]  # step key -> the condition under which it is done, where instances differ
    instances: list[Lowered]
    numbers: dict[str, int]
    marks: list[Mark] = field(default_factory=list)  # made as its code is written

    @cached_property
    def by_holder(self) -> dict[str, list[Step]]:
        """The steps that speak of what one of them made, by that one."""
        found: dict[str, list[Step]] = {}
        for step in self.steps:
            found.setdefault(step.holder, []).append(step)
        return found

    @property
    def first(self) -> Lowered:
        return self.instances[0]


@dataclass
class Units:
    """The classes of one model, those used before those that use them."""

    backend: Backend
    settled: set[str] = field(default_factory=set)  # blocks whose inputs come in the framework's own order
    lowered: dict[tuple[int, tuple[Layout, ...]], Lowered] = field(default_factory=dict)
    order: list[Lowered] = field(default_factory=list)
    numbers: dict[str, dict[str, int]] = field(default_factory=dict)  # kind -> numbers of its values
    unit_of: dict[int, Unit] = field(default_factory=dict)
    extra: dict[int, dict[str, Any]] = field(
        default_factory=dict
    )  # instance -> arguments that only merging found
    names: set[str] = field(default_factory=set)

    def lower(self, block: Block, layouts: tuple[Layout, ...], model: bool = False) -> Lowered:
        key = (id(block), layouts)
        if key not in self.lowered:
            lowering = Lowering(
                block,
                layouts,
                self.backend,
                self.lower,
                self.numbers.setdefault(identity(block), {}),
                self.settled,
            )
            self.lowered[key] = lowering.run(natural_outputs=model)
            self.order.append(self.lowered[key])
        return self.lowered[key]
