"""Necks of the library: their sizes, what they compute, the weights of torchvision, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    TOLERANCE,
    block_text,
    build_block,
    check_parity,
    compare_module,
    make_parity_case,
    measure_difference,
    random_values,
)
from tests.oracles.randomised import difference
from tests.parity_runner import ParityOf

deeplabv3 = lazy_module("torchvision.models.segmentation.deeplabv3")

MAP = "{x: {C: 64, H: 14, W: 11}}"
LEVELS = "{c2: {C: 64, H: 56, W: 56}, c3: {C: 64, H: 28, W: 28}, c4: {C: 64, H: 14, W: 14}, c5: {C: 64, H: 7, W: 7}}"
FIVE = ", ".join(f"p{i}: {{C: 64, H: {2 ** (8 - i)}, W: {2 ** (8 - i)}}}" for i in range(3, 8)).join("{}")
OUTPUTS = {  # by the number of inputs
    4: "{n2: block.n2, n3: block.n3, n4: block.n4, n5: block.n5}",
    5: "{p3: block.p3, p4: block.p4, p5: block.p5, p6: block.p6, p7: block.p7}",
}
PARAMETERS = {
    "AtrousPyramid: {channels: 64}": (MAP, "x", "", 140_032),
    "PyramidPooling: {}": (MAP, "x", "", 4_224),
    "SpatialPyramidVector: {}": (MAP, "x", "", 0),
    "SpatialPyramid: {channels: 64}": (MAP, "x", "", 10_432),
    "FastSpatialPyramid: {channels: 64}": (MAP, "x", "", 10_432),
    "AttentionGate: {hidden: 32}": (
        "{x: {C: 64, H: 14, W: 11}, gating: {C: 64, H: 7, W: 5}}",
        "[x, gating]",
        "",
        14_593,
    ),
    "PathAggregation: {channels: 64}": (
        LEVELS,
        "[c2, c3, c4, c5]",
        OUTPUTS[4],
        385_920,
    ),
    "BidirectionalPyramid: {}": (FIVE, "[p3, p4, p5, p6, p7]", OUTPUTS[5], 38_931),
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    """Those that were counted on published code, of 64 channels."""
    inputs, sources, outputs, parameters = PARAMETERS[step]
    assert load(block_text(step, inputs, sources, outputs)).parameters == parameters


@pytest.mark.parametrize("rate", [2, 6])
def test_aspp_takes_the_weights_of_torchvision(rate: int) -> None:
    text = block_text(
        f"AtrousPyramid: {{channels: 8, rate: {rate}, dropout: 0}}", "{x: {C: 6, H: 9, W: 7}}", "x"
    )
    theirs = deeplabv3.ASPP(6, [rate, 2 * rate, 3 * rate], 8)
    theirs.project[3].p = 0.0
    compare_module(text, theirs, random_values((3, 6, 9, 7)))


def pyramid_pooling(block: Any, x: torch.Tensor) -> torch.Tensor:
    """Each cell is the mean of the places from floor(i * n / bins) to before ceil((i + 1) * n / bins)."""
    maps = [x]
    for row, size in zip(block.features, (1, 2, 3), strict=True):
        edges = [[(i * n // size, -(-(i + 1) * n // size)) for i in range(size)] for n in x.shape[2:]]
        cells = [[x[:, :, a:z, b:y].mean((2, 3)) for b, y in edges[1]] for a, z in edges[0]]
        grid = torch.stack([torch.stack(line, -1) for line in cells], -2)
        grid = torch.relu(row[2](F.conv2d(grid, row[1].weight)))
        maps.append(F.interpolate(grid, x.shape[2:], mode="bilinear", align_corners=True))
    return torch.cat(maps, 1)


def pyramid_vector(b: Any, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([F.adaptive_max_pool2d(x, size).flatten(1) for size in (6, 3, 2, 1)], 1)


def conv_norm_silu(b: Any, x: torch.Tensor) -> torch.Tensor:
    assert b.bn.momentum == 0.03
    x = F.conv2d(x, b.conv.weight)
    return F.silu(F.batch_norm(x, b.bn.running_mean, b.bn.running_var, b.bn.weight, b.bn.bias, eps=1e-3))


def spatial_pyramid(b: Any, x: torch.Tensor) -> torch.Tensor:
    x = conv_norm_silu(b.cv1, x)
    maxima = [F.max_pool2d(x, k, 1, k // 2) for k in (5, 9, 13)]
    return conv_norm_silu(b.cv2, torch.cat([x, *maxima], 1))


def attention_gate(b: Any, x: torch.Tensor, gating: torch.Tensor) -> torch.Tensor:
    theta = F.conv2d(x, b.theta.weight, stride=2)
    phi = F.interpolate(b.phi(gating), theta.shape[2:], mode="bilinear")
    share = torch.sigmoid(b.psi(torch.relu(theta + phi)))
    return b.W[1](b.W[0](F.interpolate(share, x.shape[2:], mode="bilinear") * x))  # type: ignore[no-any-return]


def path_aggregation(b: Any, *maps: torch.Tensor) -> list[torch.Tensor]:
    p, found = b.pyramid, []
    top = None
    for level, c in zip((5, 4, 3, 2), reversed(maps), strict=True):
        lateral = getattr(p, f"lateral{level}")(c)
        top = lateral if top is None else lateral + F.interpolate(top, lateral.shape[2:])
        found.insert(0, getattr(p, f"smooth{level}")(top))
    for level, up in enumerate((b.up3, b.up4, b.up5), 1):
        halved = torch.relu(F.conv2d(found[level - 1], up.down.weight, up.down.bias, 2, 1))
        found[level] = torch.relu(up.smooth(found[level] + halved))
    return found


def pyramid_fusion(b: Any, *maps: torch.Tensor) -> torch.Tensor:
    w = torch.relu(b.weights)
    x = F.silu(sum(m * w[i] for i, m in enumerate(maps)) / (w.sum() + 1e-4))  # type: ignore[arg-type]
    assert b.bn.momentum == 0.01
    x = b.pointwise(F.conv2d(x, b.depthwise.weight, padding=1, groups=x.shape[1]))
    return F.batch_norm(x, b.bn.running_mean, b.bn.running_var, b.bn.weight, b.bn.bias, eps=1e-3)


def halve(x: torch.Tensor) -> torch.Tensor:
    """TensorFlow's SAME: what an odd number of missing places leaves over is padded at the end."""
    pads = []
    for n in (x.shape[3], x.shape[2]):
        missing = max((-(-n // 2) - 1) * 2 + 3 - n, 0)
        pads += [missing // 2, missing - missing // 2]
    return F.max_pool2d(F.pad(x, pads, value=-torch.inf), 3, 2)


def bidirectional_pyramid(b: Any, *maps: torch.Tensor) -> list[torch.Tensor]:
    fused = {7: maps[4]}
    for level in (6, 5, 4, 3):
        p = maps[level - 3]
        above = F.interpolate(fused[level + 1], p.shape[2:])
        fused[level] = pyramid_fusion(getattr(b, "out3" if level == 3 else f"down{level}"), p, above)
    out = {3: fused[3]}
    for level in (4, 5, 6):
        seen = maps[level - 3], fused[level], halve(out[level - 1])
        out[level] = pyramid_fusion(getattr(b, f"out{level}"), *seen)
    return [*out.values(), pyramid_fusion(b.out7, maps[4], halve(out[6]))]


Shapes = tuple[tuple[int, ...], ...]
ODD = ((3, 6, 9, 7),)
CASES: dict[str, tuple[Shapes, Callable[..., Any]]] = {
    "PyramidPooling: {bins: [1, 2, 3]}": (ODD, pyramid_pooling),
    "SpatialPyramidVector: {}": (ODD, pyramid_vector),
    "SpatialPyramid: {channels: 5}": (ODD, spatial_pyramid),
    "FastSpatialPyramid: {channels: 5}": (ODD, spatial_pyramid),
    "AttentionGate: {hidden: 4}": (((3, 6, 9, 7), (3, 5, 5, 3)), attention_gate),
    "BidirectionalPyramid: {}": (
        ((3, 4, 13, 9), (3, 4, 7, 5), (3, 4, 4, 3), (3, 4, 2, 2), (3, 4, 1, 1)),
        bidirectional_pyramid,
    ),
    "PathAggregation: {channels: 4}": (
        ((3, 2, 13, 9), (3, 3, 7, 5), (3, 4, 4, 3), (3, 5, 2, 2)),
        path_aggregation,
    ),
}


def text_of(step: str) -> str:
    shapes = CASES[step][0] if step in CASES else ODD
    inputs = ", ".join(f"x{i}: {{C: {c}, H: {h}, W: {w}}}" for i, (_, c, h, w) in enumerate(shapes))
    sources = ", ".join(f"x{i}" for i in range(len(shapes)))
    outputs = OUTPUTS.get(len(shapes), "")
    return block_text(step, f"{{{inputs}}}", f"[{sources}]", outputs)


@pytest.mark.parametrize("step", CASES)
def test_outputs_and_gradients(step: str) -> None:
    shapes, reference = CASES[step]
    inputs = random_values(*shapes)
    block = build_block(text_of(step), inputs)
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            if name.endswith(".weights"):
                parameter[0] = 0.7  # else a fusion may have no positive weight, and nothing would pass
    assert measure_difference(block, lambda *maps: reference(block, *maps), inputs) < TOLERANCE


@torch.no_grad()
def test_both_pyramids_of_yolo_are_one() -> None:
    inputs = random_values(*ODD)
    slow, fast = (
        build_block(text_of(f"{name}SpatialPyramid: {{channels: 5}}"), inputs) for name in ("", "Fast")
    )
    fast.load_state_dict(slow.state_dict(), strict=True)
    assert difference(slow(*inputs), fast(*inputs)) < TOLERANCE


def parity_case(step: str) -> ParityCase:
    return make_parity_case(text_of(step))


@pytest.mark.parametrize("step", ["AtrousPyramid: {channels: 5, rate: 2, dropout: 0}", *CASES])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))
