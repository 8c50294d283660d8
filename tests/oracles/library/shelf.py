"""Blocks of the library against references: parameters, outputs and gradients in float64, and both backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import yaml
from torch import nn

from specbuild import load
from specbuild.api import Model
from specbuild.compiler.pipeline import build_graph
from specbuild.parity.compare import ParityCase, ParityReport
from tests.oracles.randomised import randomise

TOLERANCE = 1e-10
MAP = "{x: {C: 16, H: 9, W: 7}}"

Weights = Sequence[tuple[torch.Tensor, torch.Tensor]]


def block_text(block: str, inputs: str = MAP, sources: str = "x", outputs: str = "") -> str:
    """Return a model of one block, which reads `sources`; `block` is its name, or its name with arguments."""
    step = block if ":" in block else f"{block}: {{}}"
    text = f"specbuild: 1\nmodel: Net\ninputs: {inputs}\nsteps:\n  - {step}\n    from: {sources}\n    as: block\n"
    return f"{text}outputs: {outputs}\n" if outputs else text


def load_block(block: str, channels: int) -> Model:
    """Return a model of one block on a map of this many channels."""
    return load(block_text(block, f"{{x: {{C: {channels}, H: 14, W: 14}}}}"))


class Applied(nn.Module):
    """A model on fixed inputs, so that `randomise` can measure it."""

    def __init__(self, net: nn.Module, inputs: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.net, self.inputs = net, inputs

    def forward(self, _: torch.Tensor) -> Any:
        return self.net(*self.inputs)


def random_tensor(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_values(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(len(shapes))
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


def random_inputs(inputs: str, batch: int = 3) -> list[torch.Tensor]:
    """Return values of the inputs of a spec, as it declares them; of a mask, the first position is true."""
    generator = torch.Generator().manual_seed(len(inputs))
    values = []
    for declared in yaml.safe_load(inputs).values():
        axes, dtype = declared.get("axes", declared), declared.get("dtype", "float")
        shape = [batch, *sort_axes(axes)]
        if dtype == "bool":
            mask = torch.rand(shape, generator=generator) > 0.4
            mask[..., 0] = True
            values.append(mask)
        elif dtype == "int32":
            values.append(torch.randint(0, 5, shape, generator=generator, dtype=torch.int32))
        else:
            values.append(torch.randn(shape, generator=generator, requires_grad=True))
    return values


def sort_axes(axes: Mapping[str, int]) -> list[int]:
    """Return the sizes in PyTorch's order: of maps, the channels are first; of anything else, last."""
    names = [axis for axis in axes if axis != "C"]
    if "C" in axes:
        names = ["C", *names] if {"D", "H", "W"} & set(names) else [*names, "C"]
    return [axes[name] for name in names]


def build_net(text: str, inputs: Sequence[torch.Tensor]) -> nn.Module:
    """The emitted model, every weight of it random."""
    net = load(text).build("torch")
    randomise(Applied(net, inputs), inputs[0])
    return net


def build_block(text: str, inputs: Sequence[torch.Tensor]) -> nn.Module:
    """The emitted block, every weight of it random."""
    return build_net(text, inputs).block  # type: ignore[return-value]


def measure_difference(
    ours: Callable[..., Any],
    theirs: Callable[..., Any],
    inputs: Sequence[torch.Tensor],
    weights: Weights = (),
) -> float:
    """The largest difference of outputs, and of gradients of the inputs and of pairs of weights.

    Without pairs, the reference computes with the weights of `ours`.
    """
    pairs = [*weights] or [(p, p) for p in ours.parameters()]  # type: ignore[attr-defined]
    outputs = [list_values(compute(*inputs)) for compute in (ours, theirs)]
    directions = [v.detach() for v in random_values(*(value.shape for value in outputs[0]))]
    moved = [x for x in inputs if x.requires_grad]
    gradients = [
        torch.autograd.grad(
            sum((v * d).sum() for v, d in zip(values, directions, strict=True)),  # type: ignore[arg-type]
            [*moved, *(pair[side] for pair in pairs)],
        )
        for side, values in enumerate(outputs)
    ]
    found = [[*outputs[side], *(g.flatten() for g in gradients[side])] for side in (0, 1)]
    return max(measure_distance(a.detach(), b.detach()) for a, b in zip(*found, strict=True))


def measure_distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """The largest difference over the largest number, or over 1e-3: gradients of a bias before a norm are all but 0."""
    assert ours.shape == theirs.shape
    assert ours.isfinite().all() and theirs.isfinite().all()
    return float((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1e-3))


def list_values(result: Any) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    return list(result.values()) if isinstance(result, dict) else list(result)


def compare_with(
    theirs: nn.Module,
    block: str,
    x: torch.Tensor,
    strict: bool = True,
    names: Sequence[tuple[str, str]] = (),
) -> None:
    """Compare a block on a batch of maps, or of tokens, with a module: see `compare_module`."""
    axes = zip("CHW" if x.ndim == 4 else "TC", x.shape[1:], strict=True)
    inputs = "{x: {" + ", ".join(f"{axis}: {size}" for axis, size in axes) + "}}"
    compare_module(block_text(block, inputs), theirs, [x], strict, names)


def compare_module(
    text: str,
    theirs: nn.Module,
    inputs: Sequence[torch.Tensor],
    strict: bool = True,
    names: Sequence[tuple[str, str]] = (),
) -> None:
    """A reference that takes the weights of the block by their own names, evaluated and trained.

    `names` are parts of their names that the reference has otherwise. With `strict`, weights have the same shapes;
    otherwise only as many numbers, in the same order.
    """
    net = build_net(text, inputs)
    ours: Any = net.block
    expected = theirs.state_dict()
    state = {rename_key(key, names): value for key, value in ours.state_dict().items()}
    assert sorted(state) == sorted(expected)
    if not strict:
        state = {name: value.reshape(expected[name].shape) for name, value in state.items()}
    theirs.load_state_dict(state, strict=True)
    parameters = dict(theirs.named_parameters())
    pairs = [(p, parameters[rename_key(name, names)]) for name, p in ours.named_parameters()]
    assert load(text).parameters == sum(p.numel() for p in parameters.values())
    given = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    if strict:
        assert all(p.shape == q.shape for p, q in pairs)
    for training in (False, True):
        net.train(training)
        theirs.train(training)
        assert measure_difference(net, theirs, given, pairs) < TOLERANCE


def rename_key(key: str, names: Sequence[tuple[str, str]]) -> str:
    for old, new in names:
        key = key.replace(old, new)
    return key


def compare_formula(text: str, reference: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> None:
    """A reference that computes with the weights of the block: it gets the block, then the inputs."""
    net: Any = build_net(text, inputs)
    apart = measure_difference(net, lambda *values: reference(net.block, *values), inputs)
    assert apart < TOLERANCE, apart


def make_parity_case(text: str) -> ParityCase:
    """Return a spec as a case for both backends, in all modes."""
    return ParityCase(text, build_graph(text), modes=("forward", "gradients", "train"), dtype="float64")


def check_parity(report: ParityReport) -> None:
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)
