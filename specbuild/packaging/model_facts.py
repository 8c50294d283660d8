"""What a package states about its model in each framework: names, shapes, constructor arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.api import Model
from specbuild.backends import load_backend
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.printer import print_expression
from specbuild.codegen.tree import Call, Expr, Literal, Name, TupleOf
from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType

BATCH = Name("B")


@dataclass(frozen=True)
class ModelValue:
    """An input or an output of a model, in the layout of a framework."""

    type: TensorType
    layout: Layout

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes of its axes in layout order, without the batch."""
        return tuple(concrete(self.type[axis]) for axis in self.layout.order)

    def shape_with_batch(self, batch: Expr) -> tuple[Expr, ...]:
        """Return the shape as code; `batch` comes first, if the value has a batch axis."""
        return (*((batch,) if self.layout.batched else ()), *map(Literal, self.sizes))

    def format_shape(self, batch: Expr = BATCH) -> str:
        """Return the shape as text, such as `(B, 3, 224, 224)`."""
        return print_expression(TupleOf(self.shape_with_batch(batch)))


@dataclass(frozen=True)
class ModelFacts:
    """A model in one framework. In a package for several frameworks, the file names begin with `prefix`."""

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
        return load_backend(self.backend).title

    @property
    def class_specs(self) -> list[ClassSpec]:
        return self.model.compiled(self.backend).classes

    @property
    def root_class(self) -> ClassSpec:
        return self.class_specs[-1]

    @property
    def class_names(self) -> list[str]:
        """The names of the emitted classes: the blocks of the model, then the model."""
        return [unit.name for unit in self.class_specs]

    @property
    def inputs(self) -> Mapping[str, ModelValue]:
        return {
            name: ModelValue(v.type, v.layout) for name, v in self.root_class.first_instance.inputs.items()
        }

    @property
    def outputs(self) -> Mapping[str, ModelValue]:
        """The outputs by name; a single output has the name ""."""
        return {
            name: ModelValue(v.type, v.layout) for name, v in self.root_class.first_instance.outputs.items()
        }

    @property
    def construction(self) -> Expr:
        """The call that constructs the model. It has no arguments: the spec's values are the defaults."""
        return Call(Name(self.name))

    @property
    def arguments(self) -> list[tuple[str, str, str]]:
        """The constructor's arguments: name, default as code, description."""
        docs = self.model.graph.docs
        return [
            (name, format_default(p.default), docs.get(name, ""))
            for name, p in self.root_class.params.items()
        ]

    @property
    def parameters(self) -> int:
        """The number of parameters in this framework; Keras stores the sum of some pairs of biases as one."""
        return self.model.compiled(self.backend).parameters

    @property
    def is_trainable(self) -> bool:
        """Whether the model has trained weights, and an output of type float to train them with."""
        floats = any(value.type.dtype == "float" for value in self.outputs.values())
        return floats and has_trained_weights(self.model.graph)


def format_default(value: Any) -> str:
    return print_expression(literal_expression(value))


def has_trained_weights(block: Block) -> bool:
    """Return whether a block has a trained weight that is not frozen."""
    for node in block.nodes:
        if any(f"{node.name}.".startswith(f"{path}.") for path in block.frozen_paths):
            continue
        if isinstance(node.op, Block):
            if has_trained_weights(node.op):
                return True
        elif isinstance(node.op, Op):
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            if any(weight.trainable for weight in node.op.weight_specs(*types).values()):
                return True
    return False
