"""How weights begin: the same distribution in both frameworks, by its spread, its bound and its shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import specbuild
from specbuild.compiler.weight_locations import from_framework, locate_weights
from specbuild.weights.initial import initialize_weights

# Each with the variance and the largest size that it can give (None: no bound). 400 numbers go in, 300 come out.
LINEAR = {
    "zeros": (0, 0),
    "ones": (0, 1),
    "constant(0.25)": (0, 0.25),
    "normal": (1, None),
    "normal(0.02)": (0.02**2, None),
    "truncated_normal(0.02)": (0.7737 * 0.02**2, 0.04),  # variance of a normal cut at two deviations
    "uniform(0.1)": (0.1**2 / 3, 0.1),
    "xavier_uniform": (2 / 700, (6 / 700) ** 0.5),
    "xavier_normal": (2 / 700, None),
    "kaiming_uniform": (2 / 400, (6 / 400) ** 0.5),
    "kaiming_uniform(fan_out)": (2 / 300, (6 / 300) ** 0.5),
    "kaiming_normal": (2 / 400, None),
    "kaiming_normal(fan_in)": (2 / 400, None),
    "kaiming_normal(fan_out)": (2 / 300, None),
    "orthogonal": (1 / 400, None),
}
# 20 channels in 2 groups to 40, a window of 5 x 5: 250 numbers go into each, each goes into 40 x 25
CONVOLUTION = {
    "kaiming_normal": (2 / 250, None),
    "kaiming_normal(fan_out)": (2 / 1000, None),
    "xavier_uniform": (2 / 1250, (6 / 1250) ** 0.5),
}


def kernel(step: str, inputs: str, backend: str) -> Any:
    text = f"specbuild: 1\nmodel: Net\ninputs: {{x: {inputs}}}\nsteps:\n  - {step}\n    as: layer\n"
    model = specbuild.load(text).build(backend)
    if backend == "torch":
        return model.layer.weight.detach().numpy()
    return np.asarray(model.get_layer("layer").kernel)


def agrees(values: Any, variance: float, bound: float | None) -> None:
    """Whether so many numbers can be draws from the distribution: its spread, its bound, and tails where it has none."""
    found, largest = float(values.var()), float(np.abs(values).max())
    assert found == pytest.approx(variance, rel=0.05, abs=1e-12)
    if bound is None:
        assert largest > 3 * variance**0.5  # not cut at two
    else:
        assert 0.97 * bound <= largest <= bound * (1 + 1e-6)


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("init", LINEAR)
def test_of_a_linear_layer(init: str, backend: str) -> None:
    step = f'linear: {{features: 300, init: "{init}"}}'
    values = kernel(step, "{C: 400}", backend)
    if init == "orthogonal":
        rows = values if backend == "torch" else values.T
        np.testing.assert_allclose(rows @ rows.T, np.eye(300), atol=1e-5)
    else:
        agrees(values, *LINEAR[init])


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("init", CONVOLUTION)
def test_of_a_convolution(init: str, backend: str) -> None:
    step = f'conv: {{channels: 40, kernel: 5, groups: 2, init: "{init}"}}'
    agrees(kernel(step, "{C: 20, H: 8, W: 8}", backend), *CONVOLUTION[init])


# Layers with weights of which the frameworks count the inputs and outputs by different axes.
LAYERS = {
    "weight": ("{C: 4}", "weight: {axes: {R: 40, C: 160}, INIT}"),
    "weight of three axes": ("{C: 4}", "weight: {axes: {E: 40, D: 30, C: 8}, INIT}"),
    "embedding": ("{axes: {T: 2}, dtype: int32}", "embedding: {count: 40, features: 160, INIT}"),
    "depthwise": ("{C: 40, H: 8, W: 8}", "conv: {channels: 80, kernel: 7, groups: 40, INIT}"),
    "transposed": ("{C: 20, H: 8, W: 8}", "conv_transpose: {channels: 60, kernel: 5, INIT}"),
    "transposed groups": (
        "{C: 40, H: 8, W: 8}",
        "conv_transpose: {channels: 80, kernel: 5, groups: 4, INIT}",
    ),
    "lstm": ("{T: 3, C: 60}", "lstm: {units: 40, INIT}"),
}
FANS = ("kaiming_normal", "kaiming_normal(fan_out)", "xavier_uniform", "orthogonal")


@pytest.mark.parametrize("init", FANS)
@pytest.mark.parametrize("layer", LAYERS)
def test_both_frameworks_begin_alike(layer: str, init: str) -> None:
    """And as `specbuild weights init` does."""
    inputs, step = LAYERS[layer]
    text = (
        f"specbuild: 1\nmodel: Net\ninputs: {{x: {inputs}}}\nsteps:\n"
        f"  - {step.replace('INIT', f'init: {init}')}\n    as: layer\noutputs: {{y: layer, z: x}}\n"
    )
    model = specbuild.load(text)
    found = {}
    for backend in ("torch", "keras"):
        net, locations = model.build(backend), locate_weights(model.graph, backend)
        named = net.state_dict().items() if backend == "torch" else [(v.path, v.value) for v in net.weights]
        found[backend] = from_framework(locations, {name: np.asarray(value) for name, value in named})
    path = next(path for path, value in found["torch"].items() if value.ndim > 1)
    drawn = initialize_weights(locate_weights(model.graph, "torch"))[path]
    for backend in ("torch", "keras"):
        assert found[backend][path].shape == drawn.shape
        assert found[backend][path].std() == pytest.approx(drawn.std(), rel=0.05)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_a_weight_has_its_axes_in_the_order_written(backend: str) -> None:
    step = "weight: {axes: {E: 2, D: 3, C: 4, W: 6, H: 5}, init: ones}"
    text = f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 4}}}}\nsteps:\n  - {step}\n    as: layer\noutputs: {{y: layer, z: x}}\n"
    [weight] = locate_weights(specbuild.load(text).graph, backend)
    assert weight.framework_shape == weight.shape == (2, 3, 4, 6, 5)
