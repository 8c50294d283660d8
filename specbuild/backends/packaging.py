"""The parts of a package that depend on the framework: the interface that backends implement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from specbuild.codegen.layout import Layout
from specbuild.codegen.printer import print_expression
from specbuild.codegen.tree import Assign, Call, Expr, Literal, Name, Statement, TupleOf, Unpack
from specbuild.expressions import concrete
from specbuild.ops.types import TensorType

BATCH = Name("B")


class ModelValue(Struct, frozen=True):
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


class ModelUnderTest(Struct, frozen=True):
    """What the test file of a package needs to know about a model in one framework."""

    outputs: Mapping[str, ModelValue]
    parameters: int
    buffers: int
    is_trainable: bool

    @property
    def has_several_outputs(self) -> bool:
        return len(self.outputs) > 1

    @property
    def has_only_floats(self) -> bool:
        return all(value.type.dtype == "float" for value in self.outputs.values())


class Packaging:
    """The parts of a package that differ by framework. A backend with packages subclasses it.

    The test file defines `model`, a fixture; `inputs(batch)`, what the model is called with; `shapes(batch)`,
    the shapes of its outputs; and the functions of `test_functions`, which use these.
    """

    module: str  # the framework's module: "torch"
    requirements: tuple[str, ...] = ()  # what an emitted file needs from PyPI; by default, the module's name
    more_imports: tuple[str, ...] = ()  # further import lines of the test file
    model_type: str  # the type of a model in the test file: "nn.Module"
    seed_function: str  # sets the random seed: "torch.manual_seed"
    weights_suffix: str  # of the framework's own weight files: ".pt"
    trained_suffix: str  # of the files that training usually leaves: ".pt"
    size_note: str = ""  # why other frameworks may count other parameters, without a full stop
    saves_loader_weights: bool = False  # whether the weights loader can also write

    def input_sample(self, value: ModelValue, vocabulary: int, batch: Expr) -> Expr:
        """Return code for a random input. Integers are smaller than `vocabulary`."""
        raise NotImplementedError

    def group_inputs(self, samples: Mapping[str, Expr]) -> tuple[Expr, str | None]:
        """Return the code of all inputs in the test file, and its type."""
        raise NotImplementedError

    def group_shapes(self, shapes: Mapping[str, Expr]) -> tuple[Expr, str]:
        """Return the code of all output shapes in the test file, and its type."""
        raise NotImplementedError

    def test_functions(self, model: ModelUnderTest) -> list[str]:
        """Return the sources of the test functions."""
        raise NotImplementedError

    def inference_model(self, construction: Expr) -> Expr:
        """Return code for a model that is ready for inference, from the call that constructs it."""
        return construction

    def call_statements(
        self, model: str, inputs: Sequence[str], outputs: Mapping[str, str], whole: str
    ) -> Iterator[Statement]:
        """Yield the call of a model and the assignment of its outputs.

        `model` and `inputs` are variables, `outputs` maps names of outputs to variables, and `whole` is a
        free variable for all outputs together.
        """
        call = Call(Name(model), tuple(map(Name, inputs)))
        variables = tuple(outputs.values())
        yield Unpack(variables, call) if len(variables) > 1 else Assign(variables[0], call)

    def weight_lines(self, model: str, file: str) -> Sequence[str]:
        """Return lines that save and load weights with the framework itself; `model` is a variable."""
        raise NotImplementedError
