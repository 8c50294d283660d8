"""Blocks of the library that join several values: their sizes, what they compute, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import (
    TOLERANCE,
    block_text,
    build_block,
    check_parity,
    make_parity_case,
    measure_difference,
    random_values,
)
from tests.parity_runner import ParityOf

TWO = "{x: {C: 64}, y: {C: 64}}"
PARAMETERS = {
    "GatedMultimodalUnit: {features: 64}": (TWO, 16_384),
    "GatedFusion: {features: 64}": (TWO, 24_576),
    "FeatureModulation: {}": ("{x: {C: 64, H: 5, W: 7}, y: {C: 64}}", 8_320),
    "TensorFusion: {}": (TWO, 0),
    "LowRankFusion: {features: 64}": (TWO, 33_348),
    "LowRankBilinear: {features: 64, hidden: 64}": (TWO, 12_480),
    "TuckerFusion: {features: 64, hidden: 64, rank: 5}": (TWO, 54_080),
    "FactorizedBilinear: {features: 64, hidden: 64}": (TWO, 45_760),
    "IterativeAttentionalFusion: {}": ("{x: {C: 64, H: 5, W: 7}, y: {C: 64, H: 5, W: 7}}", 9_152),
    "MultimodalTransfer: {}": ("{x: {C: 64, H: 5, W: 7}, y: {C: 64, H: 3, W: 2}}", 16_576),
}

OUTPUTS = {"MultimodalTransfer": "{visual: block.visual, skeleton: block.skeleton}"}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    """Those that were counted on published code, of 64 features each."""
    inputs, parameters = PARAMETERS[step]
    assert (
        load(block_text(step, inputs, "[x, y]", OUTPUTS.get(step.partition(":")[0], ""))).parameters
        == parameters
    )


def gated_unit(b: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    z = torch.sigmoid(torch.cat([x, y], 1) @ b.gate.weight.T)
    return z * torch.tanh(x @ b.project_x.weight.T) + (1 - z) * torch.tanh(y @ b.project_y.weight.T)


def gated_unit_of_the_code(b: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    x, y = x @ b.project_x.weight.T, y @ b.project_y.weight.T
    z = torch.sigmoid(torch.cat([x, y], 1) @ b.gate.weight.T)
    return z * torch.tanh(x) + (1 - z) * torch.tanh(y)


def gated_fusion(b: Any, *parts: torch.Tensor) -> torch.Tensor:
    seen = torch.cat(parts, 1)
    terms = [
        torch.sigmoid(seen @ gate.weight.T) * torch.tanh(part @ projection.weight.T)
        for part, projection, gate in zip(parts, b.projections, b.gates, strict=True)
    ]
    return sum(terms)  # type: ignore[return-value]


def film(b: Any, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    gamma, beta = (condition @ b.film.weight.T + b.film.bias).split(x.shape[1], 1)
    return torch.einsum("bchw,bc->bchw", x, 1 + gamma) + beta[..., None, None]


def film_of_equation_2(b: Any, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
    return film(b, x, condition) - x


def tensor_fusion(b: Any, *parts: torch.Tensor) -> torch.Tensor:
    result = torch.ones(len(parts[0]), 1)
    for part in parts:
        with_one = torch.cat([torch.ones(len(part), 1), part], 1)
        result = torch.stack([torch.outer(r, p).flatten() for r, p in zip(result, with_one, strict=True)])
    return result


def low_rank_fusion(b: Any, *parts: torch.Tensor) -> torch.Tensor:
    """The map of the whole tensor of the parts, with the weight that the factors stand for."""
    factors = [b.get_parameter(f"factors_{i}_factor") for i in range(len(parts))]
    weight = torch.einsum("r,rio,rjo,rko->ijko", b.fusion_weights, *factors)
    return tensor_fusion(b, *parts) @ weight.flatten(0, 2) + b.fusion_bias


def low_rank_bilinear(b: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return b.linear_out(torch.tanh(b.linear0(x)) * torch.tanh(b.linear1(y)))  # type: ignore[no-any-return]


def tucker_fusion(b: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    x, y = b.merge_linear0(torch.tanh(b.linear0(x))), b.merge_linear1(torch.tanh(b.linear1(y)))
    products = [one * other for one, other in zip(x.split(6, 1), y.split(6, 1), strict=True)]
    return b.linear_out(torch.stack(products).sum(0))  # type: ignore[no-any-return]


def factorized_bilinear(b: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    z = (b.linear0(x) * b.linear1(y)).view(len(x), 6, 3).sum(2)
    return b.linear_out(F.normalize(z.sign() * (z.abs() + 1e-12).sqrt()))  # type: ignore[no-any-return]


def transfer(b: Any, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    z = torch.relu(b.fc_squeeze(torch.cat([x.mean((2, 3)), y.mean((2, 3))], 1)))
    gates = torch.sigmoid(b.fc_visual(z)), torch.sigmoid(b.fc_skeleton(z))
    return 2 * x * gates[0][..., None, None], 2 * y * gates[1][..., None, None]


def attention_of_both(b: Any, x: torch.Tensor) -> torch.Tensor:
    """The sigmoid of a perceptron of each place and of one of the mean of all, with a norm after every map."""
    places, whole = x.permute(0, 2, 3, 1), x.mean((2, 3))
    for name, local in (("local", True), ("global", False)):
        for i in (1, 2):
            layer, norm = getattr(b, f"{name}{i}"), getattr(b, f"{name}_norm{i}")
            value = F.linear(places if local else whole, layer.weight.flatten(1), layer.bias)
            value = (value - norm.running_mean) / (norm.running_var + 1e-5).sqrt() * norm.weight + norm.bias
            value = torch.relu(value) if i == 1 else value
            places, whole = (value, whole) if local else (places, value)
    return torch.sigmoid(places.permute(0, 3, 1, 2) + whole[..., None, None])


def iterative_fusion(b: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    w = attention_of_both(b.first.attention, x + y)
    w = attention_of_both(b.attention, x * w + y * (1 - w))
    return x * w + y * (1 - w)


Reference = Callable[..., Any]
VECTORS = ((3, 5), (3, 7))
THREE = ((3, 5), (3, 4), (3, 3))
MAPS = ((3, 5, 4, 3), (3, 7))
CASES: dict[str, tuple[tuple[tuple[int, ...], ...], Reference]] = {
    "GatedMultimodalUnit: {features: 6}": (VECTORS, gated_unit),
    "GatedMultimodalUnit: {features: 6, gate_reads: projections}": (VECTORS, gated_unit_of_the_code),
    "GatedFusion: {features: 6}": (THREE, gated_fusion),
    "FeatureModulation: {}": (MAPS, film),
    "FeatureModulation: {baseline: 0}": (MAPS, film_of_equation_2),
    "TensorFusion: {} ": (VECTORS, tensor_fusion),
    "TensorFusion: {}": (THREE, tensor_fusion),
    "LowRankFusion: {features: 6}": (THREE, low_rank_fusion),
    "LowRankBilinear: {features: 4, hidden: 6}": (VECTORS, low_rank_bilinear),
    "TuckerFusion: {features: 4, hidden: 6, rank: 3}": (VECTORS, tucker_fusion),
    "FactorizedBilinear: {features: 4, hidden: 6, factor: 3, dropout: 0}": (VECTORS, factorized_bilinear),
    "IterativeAttentionalFusion: {reduction: 2}": (((3, 6, 5, 3), (3, 6, 5, 3)), iterative_fusion),
    "MultimodalTransfer: {ratio: 3}": (((3, 5, 4, 3), (3, 7, 2, 3)), transfer),
}
LISTS = ("GatedFusion", "LowRankFusion")


def text_of(step: str) -> str:
    names = "xyz"[: len(CASES[step][0])]
    axes = [
        ", ".join(f"{axis}: {size}" for axis, size in zip("CHW", shape[1:], strict=False))
        for shape in CASES[step][0]
    ]
    inputs = ", ".join(f"{name}: {{{a}}}" for name, a in zip(names, axes, strict=True))
    outputs = OUTPUTS.get(step.partition(":")[0], "")
    return block_text(step, f"{{{inputs}}}", f"[{', '.join(names)}]", outputs)


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    shapes, reference = CASES[step]
    inputs = random_values(*shapes)
    block = build_block(text_of(step), inputs)

    class Listed(nn.Module):
        def forward(self, *parts: torch.Tensor) -> Any:
            return block([*parts]) if step.startswith(LISTS) else block(*parts)

    pairs = [(p, p) for p in block.parameters()]
    apart = measure_difference(Listed(), lambda *parts: reference(block, *parts), inputs, pairs)
    assert apart < TOLERANCE


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))
