"""Mixers of places without attention, ghost modules with gates, sums of modalities and of sets: timm's modules, the papers' formulas, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    compare_module,
    make_parity_case,
    random_inputs,
)
from tests.parity_runner import ParityOf

ghostnet = lazy_module("timm.models.ghostnet")
sequencer = lazy_module("timm.models.sequencer")


def choose(b: Any, *ways: Tensor) -> Tensor:
    """Of maps with their channels first."""
    means = sum(ways).mean((2, 3))  # type: ignore[union-attr]
    shares = b.fc2(F.gelu(b.fc1(means))).unflatten(1, (-1, 3)).softmax(2)
    return sum(way * shares[:, :, None, None, i] for i, way in enumerate(ways))  # type: ignore[return-value]


def by_channel(layer: Any, x: Tensor) -> Tensor:
    return layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def read_in_turn(layer: Any, x: Tensor, span: int, axis: int) -> Tensor:
    """Channel c is read (c + span // 2) % span - span // 2 places further along an axis; outside of the map, it is 0."""
    read = torch.zeros_like(x)
    for channel in range(x.shape[1]):
        step, size = (channel + span // 2) % span - span // 2, x.shape[axis]
        for place in range(size):
            if 0 <= place + step < size:
                read.select(axis, place)[:, channel] = x.select(axis, place + step)[:, channel]
    return by_channel(layer, read)


def cycle(b: Any, x: Tensor) -> Tensor:
    ways = [read_in_turn(b.sfc_h, x, 3, 3), read_in_turn(b.sfc_w, x, 3, 2), by_channel(b.mlp_c, x)]
    return by_channel(b.proj, choose(b.reweight, *ways))


def normalise(norm: Any, x: Tensor) -> Tensor:
    """A batch norm in evaluation."""
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def add_waves(conv: Any, phase: Any, amplitude: Tensor, x: Tensor) -> Tensor:
    theta = F.relu(normalise(phase[1], phase[0](x)))
    parts = torch.cat([amplitude * theta.cos(), amplitude * theta.sin()], 1)
    padding = tuple(size // 2 for size in conv.weight.shape[2:])
    return F.conv2d(parts, conv.weight, padding=padding, groups=x.shape[1])


def waves(b: Any, x: Tensor) -> Tensor:
    rows = add_waves(b.tfc_h, b.theta_h_conv, b.fc_h(x), x)
    columns = add_waves(b.tfc_w, b.theta_w_conv, b.fc_w(x), x)
    return b.proj(choose(b.reweight, rows, columns, b.fc_c(x)))  # type: ignore[no-any-return]


def sparse(b: Any, x: Tensor) -> Tensor:
    """Equation 1 of arXiv 2109.05422."""
    along_rows = torch.einsum("oh,bchw->bcow", b.proj_h.weight, x) + b.proj_h.bias[:, None]
    along_columns = torch.einsum("ow,bchw->bcho", b.proj_w.weight, x) + b.proj_w.bias
    return by_channel(b.fuse, torch.cat([along_rows, along_columns, x], 1))


def recursive_gates(b: Any, x: Tensor) -> Tensor:
    """Of 8 channels, of order 3: gates of 2, 4 and 8 channels."""
    first, rest = b.proj_in(x).split([2, 14], 1)
    gates = F.conv2d(rest, b.dwconv.weight, b.dwconv.bias, padding=1, groups=14) / 3
    gates = gates.split([2, 4, 8], 1)
    x = first * gates[0]
    for layer, gate in zip(b.pws, gates[1:], strict=True):
        x = layer.conv(x) * gate
    return b.proj_out(x)  # type: ignore[no-any-return]


def central(b: Any, state: Tensor, first: Tensor, second: Tensor) -> Tensor:
    joined = b.alpha[0] * state + b.alpha[1] * first + b.alpha[2] * second
    return F.relu(b.layer(joined))


def deep_set(b: Any, x: Tensor, mask: Tensor) -> Tensor:
    members = b.phi2(F.relu(b.phi1(x))) * mask[..., None]
    return b.rho2(F.relu(b.rho1(members.sum(1))))  # type: ignore[no-any-return]


MAP = "{x: {C: 8, H: 4, W: 6}}"
CASES: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "CyclePerceptron: {}": (MAP, "x", cycle),
    "PhaseAwareMixer: {span: 3}": (MAP, "x", waves),
    "SparsePerceptron: {}": (MAP, "x", sparse),
    "RecursiveGatedConv: {order: 3, kernel: 3, scale: 1 / 3}": (MAP, "x", recursive_gates),
    "CentralFusion: {features: 3}": (
        "{central: {C: 4}, first: {C: 4}, second: {C: 4}}",
        "{central: central, parts: [first, second]}",
        central,
    ),
    "DeepSet: {hidden: 5, features: 3}": (
        "{x: {T: 4, C: 3}, mask: {axes: {T: 4}, dtype: bool}}",
        "{x: x, mask: mask}",
        deep_set,
    ),
}
RECURRENT, GHOST = "RecurrentMixer: {units: 3}", "GatedGhostModule: {channels: 6}"


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, sources, reference = CASES[step]
    compare_formula(block_text(step, inputs, sources), reference, random_inputs(inputs))


class ChannelsLast(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return by_channel(self.net, x)


def test_recurrent_mixer_is_timms() -> None:
    def reference(b: Any, x: Tensor) -> Tensor:
        state = {f"net.{key}": value for key, value in b.named_parameters()}
        return torch.func.functional_call(ChannelsLast(sequencer.LSTM2d(8, 3)), state, (x,))  # type: ignore[no-any-return]

    compare_formula(block_text(RECURRENT, MAP), reference, random_inputs(MAP))


def test_gated_ghost_is_timms() -> None:
    theirs = ghostnet.GhostModuleV2(8, 6)
    compare_module(block_text(GHOST, MAP), theirs, random_inputs(MAP), names=[("ghost.", "")])


def parity_case(step: str) -> ParityCase:
    inputs, sources = CASES[step][:2] if step in CASES else (MAP, "x")
    return make_parity_case(block_text(step, inputs, sources))


@pytest.mark.parametrize("step", [*CASES, RECURRENT, GHOST])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))
