"""Gates by strips and by context, linear attention of maps, permuted and shifted maps, decoders with attention: timm's and
segmentation_models_pytorch's modules, the papers' formulas, and both backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from specbuild import load
from specbuild.parity.compare import ParityCase
from tests.lazy_modules import lazy_module
from tests.oracles.library.shelf import (
    block_text,
    check_parity,
    compare_formula,
    compare_with,
    make_parity_case,
    random_inputs,
    random_tensor,
    rename_key,
)
from tests.parity_runner import ParityOf

coord_attn = lazy_module("timm.layers.coord_attn")
efficientvit = lazy_module("timm.models.efficientvit_mit")
pan = lazy_module("segmentation_models_pytorch.decoders.pan.decoder")
manet = lazy_module("segmentation_models_pytorch.decoders.manet.decoder")


def normalise(norm: Any, x: Tensor) -> Tensor:
    """A batch norm in evaluation."""
    shape = (1, -1, 1, 1)
    y = (x - norm.running_mean.view(shape)) / (norm.running_var.view(shape) + norm.eps).sqrt()
    return y if norm.weight is None else y * norm.weight.view(shape) + norm.bias.view(shape)


def linear_context(b: Any, x: Tensor) -> Tensor:
    means = x.mean((2, 3)).unflatten(1, (4, 2))
    spread = means.var(2, correction=0, keepdim=True)
    z = ((means - means.mean(2, keepdim=True)) / (spread + 1e-5).sqrt()).flatten(1)
    return x * torch.sigmoid(b.factor * z + b.shift)[:, :, None, None]


def gaussian_context(b: Any, x: Tensor) -> Tensor:
    means = x.mean((2, 3))
    z = (means - means.mean(1, keepdim=True)) / (means.var(1, correction=0, keepdim=True) + 1e-5).sqrt()
    return x * torch.exp(-(z**2) / (2 * 1.5**2))[:, :, None, None]


def norm_based(b: Any, x: Tensor) -> Tensor:
    y = normalise(b.norm, x) * b.gamma[:, None, None] + b.beta[:, None, None]
    shares = b.gamma.abs() / b.gamma.abs().sum()
    return x * torch.sigmoid(y * shares[:, None, None])


def global_attention(b: Any, x: Tensor) -> Tensor:
    gate = b.fc2(F.relu(b.fc1(x.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)
    x = x * torch.sigmoid(gate)
    y = F.relu(normalise(b.norm1, F.conv2d(x, b.conv1.weight, b.conv1.bias, padding=3)))
    return x * torch.sigmoid(normalise(b.norm2, F.conv2d(y, b.conv2.weight, b.conv2.bias, padding=3)))


def large_selective(b: Any, x: Tensor) -> Tensor:
    near = F.conv2d(x, b.conv0.weight, b.conv0.bias, padding=2, groups=8)
    far = F.conv2d(near, b.conv_spatial.weight, b.conv_spatial.bias, padding=9, groups=8, dilation=3)
    near, far = b.conv1(near), b.conv2(far)
    both = torch.cat([near, far], 1)
    seen = torch.cat([both.mean(1, keepdim=True), both.amax(1, keepdim=True)], 1)
    shares = torch.sigmoid(F.conv2d(seen, b.conv_squeeze.weight, b.conv_squeeze.bias, padding=3))
    return x * b.conv(near * shares[:, :1] + far * shares[:, 1:])  # type: ignore[no-any-return]


def area_attention(b: Any, x: Tensor) -> Tensor:
    """As in YOLOv12: two heads, three areas of rows that follow each other."""
    batch, channels, height, width = x.shape
    qkv = normalise(b.qkv_norm, b.qkv(x)).flatten(2).transpose(1, 2)
    parts = qkv.reshape(batch * 3, height * width // 3, 2, 3 * channels // 2).transpose(1, 2)
    q, k, v = parts.chunk(3, -1)
    found = F.scaled_dot_product_attention(q, k, v)

    def to_map(y: Tensor) -> Tensor:
        y = y.transpose(1, 2).reshape(batch, height * width, channels)
        return y.transpose(1, 2).unflatten(2, (height, width))

    values = F.conv2d(to_map(v), b.pe.weight, padding=3, groups=channels)
    return normalise(b.proj_norm, b.proj(to_map(found) + normalise(b.pe_norm, values)))


def permuted(b: Any, x: Tensor) -> Tensor:
    """As xmu's `WeightedPermuteMLP`, with 2 segments, on x: batch, C, H, W."""
    x = x.permute(0, 2, 3, 1)
    batch, height, width, channels = x.shape
    part = channels // 2
    rows = x.reshape(batch, height, width, 2, part).permute(0, 3, 2, 1, 4).reshape(batch, 2, width, -1)
    rows = b.mlp_h(rows).reshape(batch, 2, width, height, part).permute(0, 3, 2, 1, 4).flatten(3)
    columns = x.reshape(batch, height, width, 2, part).permute(0, 1, 3, 2, 4).reshape(batch, height, 2, -1)
    columns = b.mlp_w(columns).reshape(batch, height, 2, width, part).permute(0, 1, 3, 2, 4).flatten(3)
    ways = [rows, columns, b.mlp_c(x)]
    means = sum(ways).flatten(1, 2).mean(1)  # type: ignore[union-attr]
    shares = b.fc2(F.gelu(b.fc1(means))).reshape(batch, channels, 3).softmax(2)
    y = sum(way * shares[:, None, None, :, i] for i, way in enumerate(ways))
    return b.proj(y).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def shift_quarters(x: Tensor) -> Tensor:
    """x: batch, first axis, second axis, C; a copy, so that each place reads what was there before."""
    y, quarter = x.clone(), x.shape[3] // 4
    y[:, 1:, :, :quarter] = x[:, :-1, :, :quarter]
    y[:, :-1, :, quarter : 2 * quarter] = x[:, 1:, :, quarter : 2 * quarter]
    y[:, :, 1:, 2 * quarter : 3 * quarter] = x[:, :, :-1, 2 * quarter : 3 * quarter]
    y[:, :, :-1, 3 * quarter :] = x[:, :, 1:, 3 * quarter :]
    return y


def shifted(b: Any, x: Tensor) -> Tensor:
    first, second, third = b.mlp1(x.permute(0, 2, 3, 1)).chunk(3, -1)
    ways = torch.stack(
        [shift_quarters(first), shift_quarters(second.transpose(1, 2)).transpose(1, 2), third], 1
    )
    shares = b.fc2(F.gelu(b.fc1(ways.sum((1, 2, 3))))).unflatten(1, (3, -1)).softmax(1)
    y = (ways * shares[:, :, None, None]).sum(1)
    return b.mlp2(y).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def high_resolution(b: Any, *maps: Tensor) -> list[Tensor]:
    raised = [F.interpolate(x, scale_factor=2**i, mode="bilinear") if i else x for i, x in enumerate(maps)]
    y = b.reduction_conv(torch.cat(raised, 1))
    means = [F.avg_pool2d(y, 2**i, 2**i) for i in range(5)]
    return [level.conv(x) for level, x in zip(b.fpn_convs, means, strict=True)]


def positionwise(b: Any, x: Tensor) -> Tensor:
    """As segmentation_models_pytorch's `PABBlock`, but with the places of the mean in their order."""
    center, top = (f(x).flatten(2) for f in (b.center_conv, b.top_conv))
    shares = (center.transpose(1, 2) @ top).flatten(1).softmax(1).unflatten(1, (30, 30))
    bottom = F.conv2d(x, b.bottom_conv.weight, b.bottom_conv.bias, padding=1).flatten(2).transpose(1, 2)
    found = (shares @ bottom).transpose(1, 2).unflatten(2, x.shape[2:])
    return F.conv2d(x + found, b.out_conv.weight, b.out_conv.bias, padding=1)


def non_local_gate(b: Any, x: Tensor, memory: Tensor) -> Tensor:
    q, k, v = b.q_linear(x), b.k_linear(memory), b.v_linear(memory)
    return q + (q @ k.transpose(1, 2)).softmax(-1) @ v  # type: ignore[no-any-return]


MAP = "{x: {C: 8, H: 6, W: 5}}"
PYRAMID = (
    "{c2: {C: 3, H: 16, W: 32}, c3: {C: 4, H: 8, W: 16}, c4: {C: 2, H: 4, W: 8}, c5: {C: 3, H: 2, W: 4}}"
)
FOUR = "{c2: c2, c3: c3, c4: c4, c5: c5}"
FIVE = "{n2: block.n2, n3: block.n3, n4: block.n4, n5: block.n5, n6: block.n6}"
TWO, FROM_TWO = "{x: {C: 6, H: 8, W: 10}, coarse: {C: 4, H: 4, W: 5}}", "{x: x, coarse: coarse}"
SKIP, FROM_SKIP = "{x: {C: 6, H: 4, W: 5}, skip: {C: 4, H: 8, W: 10}}", "{x: x, skip: skip}"
CASES: dict[str, tuple[str, str, str, Callable[..., Any]]] = {
    "LinearContextTransform: {groups: 4}": (MAP, "x", "", linear_context),
    "GaussianContext: {width: 1.5}": (MAP, "x", "", gaussian_context),
    "NormBasedAttention: {}": (MAP, "x", "", norm_based),
    "GlobalAttentionModule: {}": (MAP, "x", "", global_attention),
    "LargeSelectiveKernel: {}": (MAP, "x", "", large_selective),
    "AreaAttention: {areas: 3}": (MAP, "x", "", area_attention),
    "PermutedPerceptron: {segments: 2}": (MAP, "x", "", permuted),
    "ShiftedPerceptron: {}": (MAP, "x", "", shifted),
    "PositionwiseAttention: {hidden: 3}": (MAP, "x", "", positionwise),
    "NonLocalGate: {features: 4}": (
        "{x: {T: 3, C: 5}, memory: {S: 4, C: 6}}",
        "{x: x, memory: memory}",
        "",
        non_local_gate,
    ),
    "HighResolutionPyramid: {channels: 4}": (PYRAMID, FOUR, FIVE, high_resolution),
}
OF_LIBRARIES = {
    "EfficientLocalAttention: {}": (MAP, "x", ""),
    "StripAttention: {}": (MAP, "x", ""),
    "MultiScaleLinearAttention: {channels: 6, size: 4, scales: [3, 5]}": (MAP, "x", ""),
    "FeaturePyramidAttention: {channels: 4}": ("{x: {C: 6, H: 8, W: 16}}", "x", ""),
    "GlobalAttentionUpsample: {}": (TWO, FROM_TWO, ""),
    "MultiScaleFusion: {channels: 5, reduction: 2}": (SKIP, FROM_SKIP, ""),
}
PARAMETERS = {
    "EfficientLocalAttention": 1_152,
    "StripAttention": 384,
    "LinearContextTransform": 128,
    "GaussianContext": 0,
    "NormBasedAttention": 128,
    "GlobalAttentionModule": 102_720,
    "LargeKernelAttention": 9_024,
    "MultiScaleLinearAttention: {channels: 64}": 26_944,
    "FeaturePyramidAttention: {channels: 64}": 11_847,
    "PositionwiseAttention": 82_176,
}


@pytest.mark.parametrize("step", PARAMETERS)
def test_parameters(step: str) -> None:
    """Of 64 channels, as the reference implementations count them."""
    assert load(block_text(step, "{x: {C: 64, H: 16, W: 16}}")).parameters == PARAMETERS[step]


@pytest.mark.parametrize("step", CASES)
def test_formula(step: str) -> None:
    inputs, sources, outputs, reference = CASES[step]
    compare_formula(block_text(step, inputs, sources, outputs), reference, random_inputs(inputs))


def parity_case(step: str) -> ParityCase:
    inputs, sources, outputs = OF_LIBRARIES[step] if step in OF_LIBRARIES else CASES[step][:3]
    return make_parity_case(block_text(step, inputs, sources, outputs))


@pytest.mark.parametrize("step", [*CASES, *OF_LIBRARIES])
def test_parity(step: str, parity_of: ParityOf) -> None:
    check_parity(parity_of(parity_case))


def test_attention_of_strips_is_timms() -> None:
    x = random_tensor(3, 8, 6, 5)
    compare_with(coord_attn.EfficientLocalAttn(8), "EfficientLocalAttention", x, strict=False)
    compare_with(coord_attn.StripAttn(8), "StripAttention", x, strict=False)


def test_linear_attention_is_timms() -> None:
    """timm computes the attention itself in float32 whatever the model is in: here in double precision."""
    theirs = efficientvit.LiteMLA(8, 6, dim=4, scales=(3, 5))
    names = [("qkv.", "qkv.conv."), ("norm.", "proj.norm."), ("proj.weight", "proj.conv.weight")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "float", torch.Tensor.double)
        compare_with(
            theirs,
            "MultiScaleLinearAttention: {channels: 6, size: 4, scales: [3, 5]}",
            random_tensor(3, 8, 6, 5),
            names=names,
        )


BY_NUMBERS = {
    "FeaturePyramidAttention: {channels: 4}": (
        lambda: pan.FPABlock(6, 4),
        [
            ("branch1.", "branch1.1."),
            ("mid.", "mid.0."),
            ("down1.", "down1.1."),
            ("down2.", "down2.1."),
            ("down3.", "down3.1."),
            ("down4.", "down3.2."),
        ],
    ),
    "GlobalAttentionUpsample: {}": (lambda: pan.GAUBlock(6, 4), [("conv1.", "conv1.1.")]),
    "MultiScaleFusion: {channels: 5, reduction: 2}": (
        lambda: manet.MFABBlock(6, 4, 5, reduction=2),
        [
            ("hl_conv1.conv", "hl_conv.0.0"),
            ("hl_conv1.bn", "hl_conv.0.1"),
            ("hl_conv2.conv", "hl_conv.1.0"),
            ("hl_conv2.bn", "hl_conv.1.1"),
            ("hl_fc1", "SE_hl.1"),
            ("hl_fc2", "SE_hl.3"),
            ("ll_fc1", "SE_ll.1"),
            ("ll_fc2", "SE_ll.3"),
            ("conv1.conv", "conv1.0"),
            ("conv1.bn", "conv1.1"),
            ("conv2.conv", "conv2.0"),
            ("conv2.bn", "conv2.1"),
        ],
    ),
}


@pytest.mark.parametrize("step", BY_NUMBERS)
def test_decoders_are_those_of_smp(step: str) -> None:
    make_theirs, names = BY_NUMBERS[step]
    inputs, sources, _ = OF_LIBRARIES[step]

    def reference(b: Any, *values: Tensor) -> Any:
        return torch.func.functional_call(
            theirs,
            {rename_key(k, names): v.reshape(shapes[rename_key(k, names)]) for k, v in weights(b)},
            values,
        )

    def weights(b: Any) -> list[tuple[str, Tensor]]:
        return [*b.named_parameters(), *b.named_buffers()]

    theirs = make_theirs().double().eval()
    shapes = {key: value.shape for key, value in theirs.state_dict().items()}
    compare_formula(block_text(step, inputs, sources), reference, random_inputs(inputs))
