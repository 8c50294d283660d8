"""What a package states about its model in each framework: names, shapes, constructor arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from specbuild.api import Model
from specbuild.backends import load_backend
from specbuild.backends.packaging import ModelUnderTest, ModelValue, Packaging
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.printer import print_expression
from specbuild.codegen.tree import Call, Expr, Name
from specbuild.ir.graph import Block
from specbuild.ops.base import Op
from specbuild.summary.examples import vocabulary_size


class ModelFacts(Struct, frozen=True):
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
    def packaging(self) -> Packaging:
        """What the backend adds to packages; raises SB605 if it cannot be packaged."""
        backend = load_backend(self.backend)
        if backend.packaging is None:
            raise backend.missing_part("packages")
        return backend.packaging

    @property
    def class_specs(self) -> list[ClassSpec]:
        return self.model.compile_for(self.backend).classes

    @property
    def root_class(self) -> ClassSpec:
        return self.class_specs[-1]

    @property
    def class_names(self) -> list[str]:
        """The names of the emitted classes: the blocks of the model, then the model."""
        return [class_spec.name for class_spec in self.class_specs]

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
        return self.model.compile_for(self.backend).parameters

    @property
    def model_under_test(self) -> ModelUnderTest:
        return ModelUnderTest(self.outputs, self.parameters, self.model.cost.buffers, self.is_trainable)

    def input_samples(self, batch: Expr) -> dict[str, Expr]:
        """Return code for a random value of each input, by name."""
        vocabulary = vocabulary_size(self.model.graph)
        sample = self.packaging.input_sample
        return {name: sample(value, vocabulary, batch) for name, value in self.inputs.items()}

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
        if block.is_frozen(node.name):
            continue
        if isinstance(node.op, Block):
            if has_trained_weights(node.op):
                return True
        elif isinstance(node.op, Op):
            types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
            if any(weight.is_trainable for weight in node.op.weight_specs(*types).values()):
                return True
    return False
