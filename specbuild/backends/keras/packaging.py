"""Keras in packages: sample inputs, tests and code that uses the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from specbuild.backends.packaging import ModelUnderTest, ModelValue, Packaging
from specbuild.codegen.tree import (
    Assign,
    Call,
    DictOf,
    Expr,
    Index,
    ListOf,
    Literal,
    Name,
    Statement,
    TupleOf,
)

SHAPE_TEST = """\
@pytest.mark.parametrize("batch", [1, 2])
def test_shapes(model: keras.Model, batch: int) -> None:
    outputs = model(inputs(batch), training=False)
    assert {shapes} == shapes(batch)"""

COUNT_TEST = """\
def test_parameters(model: keras.Model) -> None:
    assert model.count_params() == {parameters:_}{buffers}"""

GRADIENT_TEST = """\
@pytest.mark.filterwarnings("error:Gradients do not exist")
def test_gradients(model: keras.Model) -> None:
    samples = inputs(2)
    targets = {targets}
    model.compile("sgd", {loss}, run_eagerly=True)
    logs = model.train_on_batch(samples, targets, return_dict=True)
    assert math.isfinite(logs["loss"])"""

# The targets of the gradient test: zeros for all outputs of type float.
ZERO = "keras.ops.zeros_like(model(samples))"
ZEROS = "{n: keras.ops.zeros_like(x) for n, x in model(samples).items()}"
ZEROS_OF_FLOATS = """\
{
        n: keras.ops.zeros_like(x)
        for n, x in model(samples).items()
        if "float" in str(x.dtype)
    }"""


class KerasPackaging(Packaging):
    module = "keras"
    requirements = ("keras>=3.6", "tensorflow>=2.18")
    model_type = "keras.Model"
    seed_function = "keras.utils.set_random_seed"
    weights_suffix = ".weights.h5"
    size_note = "Keras stores their sum"
    trained_suffix = ".keras"

    def input_sample(self, value: ModelValue, vocabulary: int, batch: Expr) -> Expr:
        shape = TupleOf(value.shape_with_batch(batch))
        if value.type.dtype == "int32":
            return Call(Name("keras.random.randint"), (shape, Literal(0), Literal(vocabulary)))
        if value.type.dtype == "bool":
            return Call(Name("keras.ops.ones"), (shape,), (("dtype", Literal("bool")),))
        return Call(Name("keras.random.normal"), (shape,))

    def group_inputs(self, samples: Mapping[str, Expr]) -> tuple[Expr, str | None]:
        """Return one value, or a list of several."""
        values = tuple(samples.values())
        return (ListOf(values), "list") if len(values) > 1 else (values[0], None)

    def group_shapes(self, shapes: Mapping[str, Expr]) -> tuple[Expr, str]:
        """Return one shape, or a dict of several."""
        if len(shapes) == 1:
            [shape] = shapes.values()
            return shape, "tuple[int, ...]"
        items = tuple((Literal(name), shape) for name, shape in shapes.items())
        return DictOf(items), "dict[str, tuple[int, ...]]"

    def test_functions(self, model: ModelUnderTest) -> list[str]:
        has_several = model.has_several_outputs
        shapes = "{n: tuple(x.shape) for n, x in outputs.items()}" if has_several else "tuple(outputs.shape)"
        buffers = f" + {model.buffers:_}" if model.buffers else ""
        functions = [
            SHAPE_TEST.format(shapes=shapes),
            COUNT_TEST.format(parameters=model.parameters, buffers=buffers),
        ]
        if model.is_trainable:
            targets = ZERO if not has_several else ZEROS if model.has_only_floats else ZEROS_OF_FLOATS
            loss = 'dict.fromkeys(targets, "mse")' if has_several else '"mse"'
            functions.append(GRADIENT_TEST.format(targets=targets, loss=loss))
        return functions

    def call_statements(
        self, model: str, inputs: Sequence[str], outputs: Mapping[str, str], whole: str
    ) -> Iterator[Statement]:
        """Yield the call: several inputs are a list, several outputs a dict."""
        names: tuple[Expr, ...] = tuple(map(Name, inputs))
        call = Call(Name(model), (ListOf(names),) if len(names) > 1 else names)
        if len(outputs) == 1:
            [variable] = outputs.values()
            yield Assign(variable, call)
            return
        yield Assign(whole, call)
        for name, variable in outputs.items():
            yield Assign(variable, Index(Name(whole), (Literal(name),)))

    def weight_lines(self, model: str, file: str) -> Sequence[str]:
        return (f'{model}.save_weights("{file}")', f'{model}.load_weights("{file}")')
