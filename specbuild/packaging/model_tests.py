"""The test file of a package: the model runs, with the shapes and the parameter count of its README."""

from __future__ import annotations

from specbuild.codegen.tree import (
    Call,
    DictOf,
    Do,
    Expr,
    Function,
    Helper,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    TupleOf,
)
from specbuild.packaging.init_file import import_lines
from specbuild.packaging.model_facts import ModelFacts
from specbuild.packaging.sample_inputs import input_samples

BATCH = Name("batch")
MODULE = (("scope", Literal("module")),)

SHAPE_TESTS = {
    "torch": """\
@pytest.mark.parametrize("batch", [1, 2])
def test_shapes(model: nn.Module, batch: int) -> None:
    model.eval()
    with torch.no_grad():
        found = {found}
    assert [tuple(x.shape) for x in found] == shapes(batch)""",
    "keras": """\
@pytest.mark.parametrize("batch", [1, 2])
def test_shapes(model: keras.Model, batch: int) -> None:
    found = model(inputs(batch), training=False)
    assert {shapes} == shapes(batch)""",
}

COUNT_TESTS = {
    "torch": """\
def test_parameters(model: nn.Module) -> None:
    assert sum(p.numel() for p in model.parameters()) == {learned:_}""",
    "keras": """\
def test_parameters(model: keras.Model) -> None:
    assert model.count_params() == {learned:_}{kept}""",
}

GRADIENT_TESTS = {
    "torch": """\
def test_gradients(model: nn.Module) -> None:
    model.train()
    found = {found}
    loss = {loss}.sum()
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"no gradient reaches {{name}}"
            assert parameter.grad.isfinite().all(), f"no finite gradient of {{name}}\"""",
    "keras": """\
@pytest.mark.filterwarnings("error:Gradients do not exist")
def test_gradients(model: keras.Model) -> None:
    given = inputs(2)
    wanted = {wanted}
    model.compile("sgd", {loss}, run_eagerly=True)
    found = model.train_on_batch(given, wanted, return_dict=True)
    assert math.isfinite(found["loss"])""",
}

# The loss of the gradient test: the mean square of all outputs of type float.
LOSS = "torch.stack([x.square().mean() for x in found])"
LOSS_OF_FLOATS = """\
torch.stack(
        [x.square().mean() for x in found if x.is_floating_point()]
    )"""
ZERO = "keras.ops.zeros_like(model(given))"
ZEROS = "{n: keras.ops.zeros_like(x) for n, x in model(given).items()}"
ZEROS_OF_FLOATS = """\
{
        n: keras.ops.zeros_like(x)
        for n, x in model(given).items()
        if "float" in str(x.dtype)
    }"""


FRAMEWORK_IMPORTS = {"torch": ("import torch", "from torch import nn"), "keras": ("import keras",)}


def build_test_module(facts: ModelFacts, header: tuple[str, ...]) -> Module:
    """Return the test file. In a package for both frameworks, it is skipped if its own is not installed."""
    doc = f"Whether {facts.name} is in {facts.title} what its card states."
    fixture, texts = torch_tests(facts) if facts.backend == "torch" else keras_tests(facts)
    body: tuple[Statement, ...] = (
        fixture,
        inputs_function(facts),
        shapes_function(facts),
        *map(Helper, texts),
    )
    standard = ("import math", "") if any("math." in text for text in texts) else ()
    framework, model_import = FRAMEWORK_IMPORTS[facts.backend], import_lines(facts.module, [facts.name])
    if not facts.prefix:
        first, *more = framework
        packages = sorted(("import pytest", first))
        return Module(doc, (*standard, *packages, *more, "", *model_import), body, header)
    skip = Do(Call(Name("pytest.importorskip"), (Literal(facts.backend),)))
    late_imports = Helper("\n".join((*framework, "", *model_import)))
    return Module(doc, (*standard, "import pytest"), (skip, late_imports, *body), header)


def torch_tests(facts: ModelFacts) -> tuple[Function, list[str]]:
    outputs = "model(**inputs({}))" if len(facts.outputs) > 1 else "[model(**inputs({}))]"
    texts = [
        SHAPE_TESTS["torch"].format(found=outputs.format("batch")),
        COUNT_TESTS["torch"].format(learned=facts.parameters),
    ]
    if facts.is_trainable:
        loss = LOSS if has_only_floats(facts) else LOSS_OF_FLOATS
        texts.append(GRADIENT_TESTS["torch"].format(found=outputs.format("2"), loss=loss))
    return model_fixture(facts, "nn.Module", "torch.manual_seed"), texts


def keras_tests(facts: ModelFacts) -> tuple[Function, list[str]]:
    has_several = len(facts.outputs) > 1
    buffers = facts.model.cost.buffers
    texts = [
        SHAPE_TESTS["keras"].format(
            shapes="{n: tuple(x.shape) for n, x in found.items()}" if has_several else "tuple(found.shape)"
        ),
        COUNT_TESTS["keras"].format(learned=facts.parameters, kept=f" + {buffers:_}" if buffers else ""),
    ]
    if facts.is_trainable:
        wanted = ZERO if not has_several else ZEROS if has_only_floats(facts) else ZEROS_OF_FLOATS
        loss = 'dict.fromkeys(wanted, "mse")' if has_several else '"mse"'
        texts.append(GRADIENT_TESTS["keras"].format(wanted=wanted, loss=loss))
    return model_fixture(facts, "keras.Model", "keras.utils.set_random_seed"), texts


def has_only_floats(facts: ModelFacts) -> bool:
    return all(value.type.dtype == "float" for value in facts.outputs.values())


def model_fixture(facts: ModelFacts, returns: str, seed: str) -> Function:
    """Return the fixture that constructs the model once for all tests."""
    body = (Do(Call(Name(seed), (Literal(0),))), Return(facts.construction))
    return Function("model", (), returns, "", body, (Call(Name("pytest.fixture"), (), MODULE),))


def inputs_function(facts: ModelFacts) -> Function:
    """Return the function that makes inputs: a dict in PyTorch; in Keras one value, or a list."""
    inputs = input_samples(facts, BATCH)
    result: Expr
    if facts.backend == "torch":
        result = DictOf(tuple((Literal(name), value) for name, value in inputs.items()))
        returns: str | None = "dict[str, torch.Tensor]"
    elif len(inputs) > 1:
        result, returns = ListOf(tuple(inputs.values())), "list"
    else:
        [result], returns = inputs.values(), None
    return Function("inputs", (Parameter("batch", "int"),), returns, "", (Return(result),))


def shapes_function(facts: ModelFacts) -> Function:
    """Return the function with the output shapes: a list in PyTorch; one shape or a dict in Keras."""
    has_several = len(facts.outputs) > 1
    shapes_by_name: dict[str, Expr] = {
        name: TupleOf(v.shape_with_batch(BATCH)) for name, v in facts.outputs.items()
    }
    result: Expr
    if facts.backend == "torch":
        result, returns = ListOf(tuple(shapes_by_name.values())), "list[tuple[int, ...]]"
    elif has_several:
        result = DictOf(tuple((Literal(name), shape) for name, shape in shapes_by_name.items()))
        returns = "dict[str, tuple[int, ...]]"
    else:
        [result], returns = shapes_by_name.values(), "tuple[int, ...]"
    return Function("shapes", (Parameter("batch", "int"),), returns, "", (Return(result),))
