"""The temporal fusion transformer, the dynamic head and ST-GCN: the papers' formulas, and both backends."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import yaml
from torch import Tensor, nn

from specbuild import load
from specbuild.compiler.pipeline import build_graph
from specbuild.ir.cost import model_cost
from specbuild.parity.compare import ParityCase
from tests.oracles.library.shelf import (
    TOLERANCE,
    block_text,
    check_parity,
    compare_formula,
    make_parity_case,
    measure_difference,
    random_inputs,
)
from tests.parity_runner import ParityOf

SKELETON_NET = Path(__file__).parents[3] / "specbuild" / "library" / "models" / "skeleton_graph_net.yaml"
PYRAMID = ", ".join(
    f"p{level}: {{C: 4, H: {height}, W: {width}}}"
    for level, (height, width) in enumerate(((31, 17), (16, 9), (8, 5), (4, 3), (2, 2)), 3)
)
LEVELS = "{p3: block.p3, p4: block.p4, p5: block.p5, p6: block.p6, p7: block.p7}"


def gated_residual(b: Any, x: Tensor, context: Tensor | None = None) -> Tensor:
    y = b.fc1(x)
    if context is not None:
        y = y + b.context_map(context)[:, None]
    value, gate = b.gate(b.fc2(F.elu(y))).chunk(2, -1)
    skip = b.skip(x) if hasattr(b, "skip") else x
    return b.norm(skip + value * torch.sigmoid(gate))  # type: ignore[no-any-return]


def select_variables(b: Any, x: Tensor, context: Tensor | None = None) -> list[Tensor]:
    """x: batch, T, V, C."""
    shares = gated_residual(b.flattened_grn, x.flatten(2), context).softmax(-1)
    values = [gated_residual(group.grn, x[:, :, i]) for i, group in enumerate(b.single_variable_grns)]
    return [sum(shares[:, :, i, None] * value for i, value in enumerate(values)), shares]  # type: ignore[list-item]


def interpretable(b: Any, x: Tensor, mask: Tensor | None = None, causal: bool = True) -> Tensor:
    """Two heads of 3; the values are the same for both."""
    queries, keys = (f(x).unflatten(2, (2, 3)).transpose(1, 2) for f in (b.query, b.key))
    scores = queries @ keys.transpose(2, 3) / 3**0.5
    length = x.shape[1]
    if causal:
        scores = scores.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -torch.inf)
    if mask is not None:
        scores = scores.masked_fill(~mask[:, None, None], -torch.inf)
    return b.project(scores.softmax(-1).mean(1) @ b.value(x))  # type: ignore[no-any-return]


def sample(x: Tensor, offset: Tensor, stride: int) -> Tensor:
    """Batch, C, taps, H, W: the values at offset points, between the four places around each; zero outside."""
    moves = offset.unflatten(1, (9, 2))
    rows = (
        torch.arange(offset.shape[2])[:, None] * stride
        + torch.arange(-1, 2).repeat_interleave(3)[:, None, None]
    )
    columns = torch.arange(offset.shape[3]) * stride + torch.arange(-1, 2).repeat(3)[:, None, None]
    places = moves[:, :, 0] + rows, moves[:, :, 1] + columns  # batch, taps, H, W
    found: Any = 0
    for step in itertools.product((0, 1), repeat=2):
        near = [place.detach().floor() + n for place, n in zip(places, step, strict=True)]
        share = (1 - (places[0] - near[0]).abs()) * (1 - (places[1] - near[1]).abs())
        is_inside = (near[0] >= 0) & (near[0] < x.shape[2]) & (near[1] >= 0) & (near[1] < x.shape[3])
        index = near[0].clamp(0, x.shape[2] - 1) * x.shape[3] + near[1].clamp(0, x.shape[3] - 1)
        index = index.long().flatten(1)[:, None].expand(-1, x.shape[1], -1)
        values = x.flatten(2).gather(2, index).unflatten(2, share.shape[1:])
        found = found + values * (share * is_inside)[:, None]
    return found  # type: ignore[no-any-return]


def samples(b: Any, x: Tensor, offset: Tensor) -> Tensor:
    return sample(x, offset, x.shape[2] // offset.shape[2]).transpose(1, 2)


def convolve(b: Any, x: Tensor, offset: Tensor, mask: Tensor, stride: int = 1) -> Tensor:
    y = b.conv((sample(x, offset, stride) * mask[:, None]).flatten(1, 2))
    return F.group_norm(y, 2, b.norm.weight, b.norm.bias)


def dynamic_head(b: Any, *maps: Tensor) -> list[Tensor]:
    """As MMDetection's, but that coarser maps are resized before their convolution, so that each has its own offsets."""
    results = []
    for i, x in enumerate(maps):
        offset, mask = b.spatial_conv_offset.conv(x).split([18, 9], 1)
        parts = [convolve(b.spatial_conv_mid, x, offset, mask.sigmoid())]
        if i > 0:
            parts.append(convolve(b.spatial_conv_low, maps[i - 1], offset, mask.sigmoid(), 2))
        if i < len(maps) - 1:
            coarser = F.interpolate(maps[i + 1], x.shape[2:], mode="bilinear", align_corners=True)
            parts.append(convolve(b.spatial_conv_high, coarser, offset, mask.sigmoid()))
        fc = b.scale_attn_module.fc
        gates = [F.hardsigmoid(F.relu(fc(part.mean((2, 3)))))[:, :, None, None] for part in parts]
        y = sum(gate * part for gate, part in zip(gates, parts, strict=True)) / len(parts)
        task = b.task_attn_module
        lines = F.hardsigmoid(task.fc2(F.relu(task.fc1(y.mean((2, 3)))))) - 0.5  # type: ignore[union-attr]
        slope1, height1, slope2, height2 = lines[:, :, None, None].chunk(4, 1)
        results.append(torch.maximum(y * (2 * slope1 + 1) + height1, y * 2 * slope2 + height2))
    return results


VARIABLES = "{x: {T: 4, V: 3, C: 6}, context: {C: 2}}"
TOKENS = "{x: {T: 5, C: 6}}"
Formula = Callable[..., Any]
CASES: dict[str, tuple[str, str, str, Formula]] = {
    "VariableSelection: {hidden: 6}": (
        VARIABLES,
        "{x: x, context: context}",
        "{y: block.y, weights: block.weights}",
        select_variables,
    ),
    "VariableSelection: {hidden: 4}": (
        "{x: {T: 4, V: 3, C: 6}}",
        "x",
        "{y: block.y, weights: block.weights}",
        select_variables,
    ),
    "InterpretableAttention: {heads: 2}": (TOKENS, "x", "", interpretable),
    "InterpretableAttention: {heads: 2, causal: false}": (
        "{x: {T: 5, C: 6}, mask: {axes: {S: 5}, dtype: bool}}",
        "{x: x, mask: mask}",
        "",
        lambda b, x, mask: interpretable(b, x, mask, causal=False),
    ),
    "OffsetSamples: {}": (
        "{x: {C: 2, H: 5, W: 7}, offset: {C: 18, H: 5, W: 7}}",
        "{x: x, offset: offset}",
        "",
        samples,
    ),
    "OffsetSamples: {stride: 2}": (
        "{x: {C: 2, H: 6, W: 8}, offset: {C: 18, H: 3, W: 4}}",
        "{x: x, offset: offset}",
        "",
        samples,
    ),
    "DynamicHead: {groups: 2}": (
        f"{{{PYRAMID}}}",
        "{p3: p3, p4: p4, p5: p5, p6: p6, p7: p7}",
        LEVELS,
        dynamic_head,
    ),
}


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, sources, outputs, reference = CASES[step]
    compare_formula(block_text(step, inputs, sources, outputs), reference, random_inputs(inputs))


def parity_case(step: str) -> ParityCase:
    inputs, sources, outputs, _ = CASES[step]
    return make_parity_case(block_text(step, inputs, sources, outputs))


@pytest.mark.parametrize("step", CASES)
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


Row = tuple[int, int, int, bool]  # channels before and after, stride, whether there is a residual


def spatial_graph(parents: list[int], centre: int) -> Tensor:
    """The graph of the paper's code for a tree of joints, in the spatial configuration."""
    count = len(parents)
    linked = torch.eye(count)
    for joint, parent in enumerate(parents):
        linked[joint, parent] = linked[parent, joint] = 1
    hops = torch.full((count, count), torch.inf)
    for n in reversed(range(count)):
        hops[torch.matrix_power(linked, n) > 0] = n
    normed = linked / linked.sum(0)
    farther = (hops[:, centre, None] > hops[None, :, centre]) & (hops == 1)
    nearer = (hops[:, centre, None] < hops[None, :, centre]) & (hops == 1)
    return torch.stack([normed * kind for kind in (hops == 0, farther, nearer)]).double()


class SkeletonUnit(nn.Module):
    """The unit of the paper's code."""

    def __init__(self, row: Row, kinds: int, joints: int, kernel: int) -> None:
        super().__init__()
        inner, outer, stride, residual = row
        self.edge_importance = nn.Parameter(torch.ones(kinds, joints, joints))
        self.gcn = nn.Conv2d(inner, outer * kinds, 1)
        self.norm1 = nn.BatchNorm2d(outer)
        self.temporal = nn.Conv2d(outer, outer, (kernel, 1), (stride, 1), (kernel // 2, 0))
        self.norm2 = nn.BatchNorm2d(outer)
        self.residual = residual
        if residual and (stride > 1 or inner != outer):
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride=(stride, 1)), nn.BatchNorm2d(outer)
            )

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        y = self.gcn(x).unflatten(1, (len(adjacency), -1))
        y = torch.einsum("nkctv,kvw->nctw", y, adjacency * self.edge_importance)
        y = self.norm2(self.temporal(F.relu(self.norm1(y))))
        if not self.residual:
            return F.relu(y)
        return F.relu(y + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class SkeletonNet(nn.Module):
    def __init__(self, adjacency: Tensor, people: int, rows: list[Row], kernel: int, classes: int) -> None:
        super().__init__()
        self.adjacency, self.people = adjacency, people
        joints = adjacency.shape[1]
        self.data_bn = nn.BatchNorm1d(3 * joints)
        self.st_gcn_networks = nn.ModuleList(SkeletonUnit(row, 3, joints, kernel) for row in rows)
        self.fcn = nn.Linear(rows[-1][1], classes)

    def forward(self, joints: Tensor) -> Tensor:
        """joints: batch, T, V, people, C."""
        x = joints.permute(0, 3, 2, 4, 1).flatten(0, 1)  # batch and people, V, C, T
        count = x.shape[1]
        x = self.data_bn(x.flatten(1, 2)).unflatten(1, (count, -1)).permute(0, 2, 3, 1)
        for unit in self.st_gcn_networks:
            x = unit(x, self.adjacency)
        return self.fcn(x.mean((2, 3)).unflatten(0, (-1, self.people)).mean(1))  # type: ignore[no-any-return]


SMALL = {"classes": 5, "widths": [4, 4, 6], "strides": [1, 1, 2], "kernel": 3, "frames": 8}


def read_parents(variant: str) -> list[int]:
    data = yaml.safe_load(SKELETON_NET.read_text(encoding="utf-8"))
    return data["variants"][variant].get("parents", data["params"]["parents"]["default"])  # type: ignore[no-any-return]


@pytest.mark.parametrize(("variant", "centre"), [("st_gcn_kinetics", 1), ("st_gcn_ntu", 20)])
def test_skeletons(variant: str, centre: int) -> None:
    """The graphs are those of the paper's code; outputs and gradients, evaluated and trained."""
    model = load(SKELETON_NET, variant=variant, **{**SMALL, "dropout": 0.0})
    parents = read_parents(variant)
    rows = [(3, 4, 1, False), (4, 4, 1, True), (4, 6, 2, True)]
    theirs = SkeletonNet(spatial_graph(parents, centre), 2, rows, 3, 5)
    net: Any = model.build("torch").double()
    joints = torch.randn(3, 8, len(parents), 2, 3, generator=torch.Generator().manual_seed(0)).double()
    joints.requires_grad_()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.uniform_(-0.5, 0.5)
    expected = theirs.double().state_dict()
    theirs.load_state_dict(
        {k: v.reshape(expected[k].shape) for k, v in net.state_dict().items()}, strict=True
    )
    parameters = dict(theirs.named_parameters())
    pairs = [(p, parameters[name]) for name, p in net.named_parameters()]
    for training in (False, True):
        net.train(training), theirs.train(training)
        apart = measure_difference(net, theirs, [joints], pairs)
        assert apart < TOLERANCE, apart


@pytest.mark.parametrize(("variant", "classes"), [("st_gcn_kinetics", 400), ("st_gcn_ntu", 60)])
def test_parameters_of_skeletons(variant: str, classes: int) -> None:
    """In full size, with kernels of 9 frames."""
    widths = [3, 64, 64, 64, 64, 128, 128, 128, 256, 256, 256]
    rows = [(a, b, 2 if a < b and a > 3 else 1, a > 3) for a, b in itertools.pairwise(widths)]
    with torch.device("meta"):
        adjacency = torch.empty(3, *[len(read_parents(variant))] * 2)
        theirs = SkeletonNet(adjacency, 2, rows, 9, classes)
    ours = model_cost(build_graph(SKELETON_NET, variant=variant)).parameters
    assert ours == sum(p.numel() for p in theirs.parameters())


def skeleton_parity_case(variant: str) -> ParityCase:
    model = build_graph(SKELETON_NET, {**SMALL, "dropout": 0.0}, variant)
    return ParityCase(variant, model, batch=2, modes=("forward", "gradients"), dtype="float64")


@pytest.mark.parametrize("variant", ["st_gcn_kinetics"])
def test_parity_of_skeletons(variant: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(skeleton_parity_case))
