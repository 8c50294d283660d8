"""What a package tells of its model, in the words of each framework: names, shapes, arguments that must be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from specbuild.api import Model
from specbuild.backends import load
from specbuild.codegen.class_def import Unit
from specbuild.codegen.classes import units
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.printer import expression
from specbuild.codegen.tree import Call, Expr, Literal, Name, TupleOf
from specbuild.compiler.weight_locations import parameters
from specbuild.expressions import plain
from specbuild.ir.graph import Block
from specbuild.ops.base import Op
from specbuild.ops.types import Tensor

BATCH = Name("B")


@dataclass(frozen=True)
class Value:
    """An input or an output of a model, as a framework has it."""

    type: Tensor
    layout: Layout

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of its axes in their order, without the batch."""
        return tuple(plain(self.type[axis]) for axis in self.layout.order)

    def shape(self, batch: Expr) -> tuple[Expr, ...]:
        """With the batch, where it has one."""
        return (*((batch,) if self.layout.batched else ()), *map(Literal, self.sizes))

    def told(self, batch: Expr = BATCH) -> str:
        """`(B, 3, 224, 224)`."""
        return expression(TupleOf(self.shape(batch)))


@dataclass(frozen=True)
class Facts:
    """A model in one framework. `prefix` is what its files' names begin with where a package has several."""

    model: Model
    backend: str
    prefix: str

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def module(self) -> str:
        return f"{self.prefix}model"

    @property
    def title(self) -> str:
        return load(self.backend).title

    @cached_property
    def units(self) -> list[Unit]:
        return units(self.model.graph, load(self.backend))

    @property
    def top(self) -> Unit:
        return self.units[-1]

    @property
    def classes(self) -> list[str]:
        """The blocks of the model and the model itself."""
        return [unit.name for unit in self.units]

    @property
    def inputs(self) -> Mapping[str, Value]:
        return {name: Value(v.type, v.layout) for name, v in self.top.first.inputs.items()}

    @property
    def outputs(self) -> Mapping[str, Value]:
        """By name; the only one has none."""
        return {name: Value(v.type, v.layout) for name, v in self.top.first.outputs.items()}

    @property
    def made(self) -> Expr:
        """The call that makes the model; each of its arguments has what was chosen as its default."""
        return Call(Name(self.name))

    @property
    def arguments(self) -> list[tuple[str, str, str]]:
        """Of the model: each with its default, as code, and what it means."""
        docs = self.model.graph.docs
        return [(name, code(p.default), docs.get(name, "")) for name, p in self.top.params.items()]

    @property
    def parameters(self) -> int:
        """How many numbers are learned; Keras keeps some sums of two as one."""
        return parameters(self.model.graph, self.backend)

    @property
    def learns(self) -> bool:
        """Whether anything is trained, and some output says how."""
        floats = any(value.type.dtype == "float" for value in self.outputs.values())
        return floats and trained(self.model.graph)


def code(value: Any) -> str:
    return expression(literal(value))


def trained(block: Block) -> bool:
    """Whether a block has a weight that is learned and not frozen."""
    for node in block.nodes:
        if any(f"{node.name}.".startswith(f"{path}.") for path in block.frozen):
            continue
        if isinstance(node.op, Block):
            if trained(node.op):
                return True
        elif isinstance(node.op, Op):
            types = [None if ref is None else block.typed(ref) for ref in node.inputs]
            if any(weight.trained for weight in node.op.weights(*types).values()):
                return True
    return False
