"""Kernels that are values against the code that people write for them in PyTorch: outputs and gradients in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from specbuild.cli import main
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from tests.backends.test_op_parity import text

MAP = "{x: {C: 6, H: 7, W: 8}}"


def build_net(steps: str, inputs: str = MAP) -> nn.Module:
    scope: dict[str, Any] = {}
    exec(compile_source(build_graph(text(inputs, steps)), "torch"), scope)
    net: nn.Module = scope["Net"]().double()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            tensor.normal_(generator=draw)
    return net


def compare(steps: str, reference: Callable[[Mapping[str, Tensor], Tensor], Tensor]) -> None:
    """Compare a net with a function of its weights and its input: outputs, and the gradients of both."""
    net = build_net(steps)
    x = torch.randn(3, 6, 7, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found_x, expected_x = x.clone().requires_grad_(), x.clone().requires_grad_()
    weights = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    found, expected = net(found_x), reference(weights, expected_x)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    factor = torch.randn(found.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (found * factor).sum().backward()
    (expected * factor).sum().backward()
    torch.testing.assert_close(found_x.grad, expected_x.grad, rtol=1e-10, atol=1e-10)
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad, rtol=1e-9, atol=1e-9)


def test_weight_standardisation() -> None:
    """As timm's StdConv2d computes it: by a batch norm of the kernel."""

    def reference(w: Mapping[str, Tensor], x: Tensor) -> Tensor:
        kernel = w["conv1.weight"]
        flat = kernel.reshape(1, len(kernel), -1)
        standardized = F.batch_norm(flat, None, None, training=True, momentum=0.0, eps=1e-6)
        return F.conv2d(x, standardized.reshape_as(kernel), stride=2, padding=1, groups=2)

    compare("- WeightStandardizedConv: {channels: 4, stride: 2, groups: 2}\n  as: conv1", reference)


def test_central_difference() -> None:
    """As the authors of CDCN write it: two convolutions."""

    def reference(w: Mapping[str, Tensor], x: Tensor) -> Tensor:
        kernel = w["conv1.weight"]
        constant = F.conv2d(x, kernel.sum((2, 3), keepdim=True), stride=2)
        return F.conv2d(x, kernel, stride=2, padding=1) - 0.6 * constant

    compare("- CentralDifferenceConv: {channels: 4, stride: 2, theta: 0.6}\n  as: conv1", reference)


def test_dynamic_convolution() -> None:
    def reference(w: Mapping[str, Tensor], x: Tensor) -> Tensor:
        hidden = F.relu(F.linear(x.mean((2, 3)), w["conv1.reduce.weight"], w["conv1.reduce.bias"]))
        shares = F.softmax(F.linear(hidden, w["conv1.choose.weight"], w["conv1.choose.bias"]) / 30, 1)
        samples = []
        for sample, share in zip(x, shares, strict=True):
            kernel = sum(s * k for s, k in zip(share, w["conv1.kernels"], strict=True))
            bias = sum(s * b for s, b in zip(share, w["conv1.biases"], strict=True))
            samples.append(F.conv2d(sample[None], kernel, bias, padding=1, groups=3))
        return torch.cat(samples)

    compare("- DynamicConv: {channels: 9, groups: 3}\n  as: conv1", reference)


def test_conditional_convolution() -> None:
    """CondConv (Yang et al. 2019, arXiv 1904.04971): a sigmoid for each kernel."""
    steps = (
        "- mean: {over: [H, W]}\n- linear: {features: 3}\n  as: route\n- sigmoid\n- rename: {axes: {C: K}}\n  as: share\n"
        "- weight: {axes: {K: 3, O: 4, I: 6, H: 3, W: 3}, init: normal(1)}\n  as: kernels\n"
        "- contract: {of: [share, kernels], over: K}\n  as: mixed\n- conv: {weight: mixed, stride: 2}\n  from: x"
    )

    def reference(w: Mapping[str, Tensor], x: Tensor) -> Tensor:
        shares = torch.sigmoid(F.linear(x.mean((2, 3)), w["route.weight"], w["route.bias"]))
        mixed = torch.einsum("bk,koihw->boihw", shares, w["kernels"])
        return torch.cat([F.conv2d(s[None], k, stride=2, padding=1) for s, k in zip(x, mixed, strict=True)])

    compare(steps, reference)


WEIGHT_NORM = """\
specbuild: 1
model: Net
inputs: {x: {C: 6, H: 7, W: 8}}
blocks:
  NormedConv:
    inputs: {x: [C, H, W]}
    steps:
      - weight: {axes: {O: 4, I: 1, H: 1, W: 1}, init: ones}
        as: weight_g
      - squeeze: {over: [I, H, W]}
        as: length
      - weight: {axes: {O: 4, I: x.C, H: 3, W: 3}, init: kaiming_uniform}
        as: weight_v
      - l2_norm: {over: [I, H, W]}
        as: norm
      - divide: [length, norm]
        as: factor
      - multiply: [weight_v, factor]
        as: kernel
      - weight: {axes: {O: 4}}
        as: bias
      - conv: {weight: kernel, bias: bias}
        from: x
steps:
  - NormedConv:
    as: conv1
weights:
  torch:parametrized:
    "{rest}.parametrizations.weight.original0": "{rest}.weight_g"
    "{rest}.parametrizations.weight.original1": "{rest}.weight_v"
    "{rest}": "{rest}"
"""


class WeightNormNet(nn.Module):
    def __init__(self, norm: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.conv1 = norm(nn.Conv2d(6, 4, 3, padding=1))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.normal_(generator=torch.Generator().manual_seed(len(parameter.shape)))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv1(x)
        return result


@pytest.mark.parametrize("is_old", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_weight_norm_of_a_state_dict(is_old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`weight_g` and `weight_v` load as they are, those of a parametrization by a rule; gradients are those of PyTorch."""
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(WEIGHT_NORM)
    norm = nn.utils.weight_norm if is_old else nn.utils.parametrizations.weight_norm
    reference = WeightNormNet(norm)
    torch.save(reference.state_dict(), "reference.pt")
    assert main(["weights", "convert", "net.yaml", "reference.pt", "-o", "net.pt"]) == 0
    net = build_net_of(WEIGHT_NORM)
    net.load_state_dict(torch.load("net.pt"))
    reference.double()
    x = torch.randn(2, 6, 7, 8, dtype=torch.float64)
    found, expected = net(x), reference(x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    found.square().sum().backward()
    expected.square().sum().backward()
    found_gradients = [p.grad for p in net.parameters() if p.ndim > 1]
    expected_gradients = [p.grad for p in reference.parameters() if p.ndim > 1]
    for a, b in zip(found_gradients, expected_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def build_net_of(spec: str) -> nn.Module:
    scope: dict[str, Any] = {}
    exec(compile_source(build_graph(spec), "torch"), scope)
    net: nn.Module = scope["Net"]().double()
    return net


SPECTRAL = """\
- weight: {axes: {O: 4, I: 6, H: 3, W: 3}, init: normal(1)}
  as: weight_orig
- weight: {axes: {O: 4}, trained: false}
  as: weight_u
- weight: {axes: {F: 54}, trained: false}
  as: weight_v
- flatten: {axes: [I, H, W], into: F}
  from: weight_orig
  as: matrix
- contract: {of: [weight_u, matrix, weight_v], over: [O, F]}
  as: sigma
- divide: [weight_orig, sigma]
  as: kernel
- weight: {axes: {O: 4}}
  as: bias
- conv: {weight: kernel, bias: bias}
  from: x
"""


@pytest.mark.filterwarnings("ignore")
def test_spectral_norm_in_evaluation() -> None:
    layer = nn.utils.spectral_norm(nn.Conv2d(6, 4, 3, padding=1)).double()
    x = torch.randn(2, 6, 7, 8, dtype=torch.float64)
    layer(x)  # one power iteration
    layer.eval()
    net = build_net(SPECTRAL)
    net.load_state_dict(layer.state_dict())
    torch.testing.assert_close(net(x), layer(x), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("steps", "code", "message"),
    [
        (
            "- weight: {axes: {O: 4, I: 6, K: 3, W: 3}}\n  as: w\n- conv: {weight: w}\n  from: x",
            "SB404",
            "conv needs a kernel with the axes O, I, H and W; got {O: 4, I: 6, K: 3, W: 3}",
        ),
        (
            "- weight: {axes: {O: 4, I: 3, H: 3, W: 3}}\n  as: w\n- conv: {weight: w}\n  from: x",
            "SB401",
            "conv has 6 input channels, and a kernel for 3",
        ),
        (
            "- weight: {axes: {O: 3, I: 3, H: 3, W: 3}}\n  as: w\n- conv: {weight: w, groups: 2}\n  from: x",
            "SB401",
            "3 output channels cannot be divided by 2 groups",
        ),
        (
            "- weight: {axes: {O: 4, I: 6, H: 3, W: 3}}\n  as: w\n- conv: {weight: w, bias: w}\n  from: x",
            "SB401",
            "conv needs a bias with one axis of size 4; got {O: 4, I: 6, H: 3, W: 3}",
        ),
        (
            "- weight: {axes: {O: 4, I: 5}}\n  as: w\n- linear: {weight: w}\n  from: x",
            "SB401",
            "linear has 6 inputs, and a matrix for 5",
        ),
        ("- conv: {weight: v}", "SB202", "no earlier step or input is named 'v'"),
    ],
)
def test_kernels_that_do_not_fit(steps: str, code: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(text(MAP, steps))
    assert (caught.value.code, caught.value.message) == (code, message)
