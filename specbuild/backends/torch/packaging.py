"""PyTorch in packages: sample inputs, tests and code that uses the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from specbuild.backends.packaging import ModelUnderTest, ModelValue, Packaging
from specbuild.codegen.tree import Attribute, Call, DictOf, Expr, ListOf, Literal, Name, TupleOf

SHAPE_TEST = """\
@pytest.mark.parametrize("batch", [1, 2])
def test_shapes(model: nn.Module, batch: int) -> None:
    model.eval()
    with torch.no_grad():
        outputs = {outputs}
    assert [tuple(x.shape) for x in outputs] == shapes(batch)"""

COUNT_TEST = """\
def test_parameters(model: nn.Module) -> None:
    assert sum(p.numel() for p in model.parameters()) == {parameters:_}"""

GRADIENT_TEST = """\
def test_gradients(model: nn.Module) -> None:
    model.train()
    outputs = {outputs}
    loss = {losses}.sum()
    loss.backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, f"no gradient reaches {{name}}"
            assert parameter.grad.isfinite().all(), f"no finite gradient of {{name}}\""""

# The loss of the gradient test: the mean square of all outputs of type float.
LOSSES = "torch.stack([x.square().mean() for x in outputs])"
LOSSES_OF_FLOATS = """\
torch.stack(
        [x.square().mean() for x in outputs if x.is_floating_point()]
    )"""


class TorchPackaging(Packaging):
    module = "torch"
    requirements = ("torch>=2.5",)
    more_imports = ("from torch import nn",)
    model_type = "nn.Module"
    seed_function = "torch.manual_seed"
    weights_suffix = ".pt"
    size_note = "PyTorch has two biases in a recurrent layer, which it adds"
    trained_suffix = ".pt"
    saves_loader_weights = True

    def input_sample(self, value: ModelValue, vocabulary: int, batch: Expr) -> Expr:
        shape = value.shape_with_batch(batch)
        if value.type.dtype == "int32":
            return Call(Name("torch.randint"), (Literal(vocabulary), TupleOf(shape)))
        if value.type.dtype == "bool":
            return Call(Name("torch.ones"), shape, (("dtype", Name("torch.bool")),))
        return Call(Name("torch.randn"), shape)

    def group_inputs(self, samples: Mapping[str, Expr]) -> tuple[Expr, str | None]:
        items = tuple((Literal(name), sample) for name, sample in samples.items())
        return DictOf(items), "dict[str, torch.Tensor]"

    def group_shapes(self, shapes: Mapping[str, Expr]) -> tuple[Expr, str]:
        return ListOf(tuple(shapes.values())), "list[tuple[int, ...]]"

    def test_functions(self, model: ModelUnderTest) -> list[str]:
        outputs = "model(**inputs({}))" if model.has_several_outputs else "[model(**inputs({}))]"
        functions = [
            SHAPE_TEST.format(outputs=outputs.format("batch")),
            COUNT_TEST.format(parameters=model.parameters),
        ]
        if model.is_trainable:
            losses = LOSSES if model.has_only_floats else LOSSES_OF_FLOATS
            functions.append(GRADIENT_TEST.format(outputs=outputs.format("2"), losses=losses))
        return functions

    def inference_model(self, construction: Expr) -> Expr:
        return Call(Attribute(construction, "eval"))

    def weight_lines(self, model: str, file: str) -> Sequence[str]:
        return (
            f'torch.save({model}.state_dict(), "{file}")',
            f'{model}.load_state_dict(torch.load("{file}", weights_only=True))',
        )
