"""How the library's backbones begin: each weight as in torchvision or Keras, in both frameworks, over several seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from specbuild import load
from specbuild.api import Model
from specbuild.compiler.weight_locations import from_framework, locate_weights
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module

keras = lazy_module("keras")
models = lazy_module("torchvision.models")

BACKBONES = Path(__file__).parents[2] / "specbuild" / "library" / "backbones"
SEEDS = range(6)
Numbers = Mapping[str, Any]

# Small models of the same layers: the parameters of the spec, and torchvision's.
SMALL: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "resnet": (
        {"depths": [1, 1, 1, 1], "classes": 50},
        lambda: models.ResNet(models.resnet.Bottleneck, [1, 1, 1, 1], num_classes=50),
    ),
    "mobilenet_v2": ({"width": 0.5, "classes": 50}, lambda: models.MobileNetV2(50, width_mult=0.5)),
    "convnext": (
        {"depths": [1, 1, 1, 1], "widths": [16, 32, 48, 64], "classes": 50},
        lambda: models.ConvNeXt(
            [
                models.convnext.CNBlockConfig(a, b, 1)
                for a, b in zip((16, 32, 48, 64), (32, 48, 64, None), strict=True)
            ],
            num_classes=50,
        ),
    ),
    "swin": (
        {"features": 24, "depths": [1, 1, 2, 1], "heads": [1, 2, 2, 4], "classes": 50},
        lambda: models.SwinTransformer([4, 4], 24, [1, 1, 2, 1], [1, 2, 2, 4], [7, 7], num_classes=50),
    ),
    "vit": (
        {
            "height": 32,
            "width": 48,
            "patch": 8,
            "depth": 1,
            "features": 64,
            "heads": 4,
            "hidden": 96,
            "classes": 50,
        },
        None,
    ),
}


def small_vit() -> Any:
    """torchvision's takes squares only: its positions are stretched to the width of ours."""
    model = models.VisionTransformer(40, 8, 1, 4, 64, 96, num_classes=50)
    model.encoder.pos_embedding = torch.nn.Parameter(model.encoder.pos_embedding[:, :25])
    return model


def canonical(spec: Model, published: Mapping[str, torch.Tensor]) -> Numbers:
    entries = {name: value.numpy() for name, value in published.items()}
    carried = convert_published_weights(spec.graph, "torchvision", entries)
    return from_framework(locate_weights(spec.graph, "torch"), carried)


def built(spec: Model, backend: str) -> Iterator[Numbers]:
    """The first numbers of an emitted model, seed by seed."""
    locations = locate_weights(spec.graph, backend)
    for seed in SEEDS:
        torch.manual_seed(seed)
        keras.utils.set_random_seed(seed)
        model = spec.build(backend)
        named = (
            model.state_dict().items()
            if backend == "torch"
            else [(variable.path, variable.value) for variable in model.weights]
        )
        yield from_framework(locations, {name: np.asarray(value) for name, value in named})


def published(name: str, spec: Model) -> Iterator[Numbers]:
    make = SMALL[name][1] or small_vit
    for seed in SEEDS:
        torch.manual_seed(seed)
        yield canonical(spec, make().state_dict())


@cache
def spec_of(name: str) -> Model:
    return load(BACKBONES / f"{name}.yaml", **SMALL[name][0])


def statistics(draws: Iterator[Numbers]) -> dict[str, tuple[float, float, float, int]]:
    """Of each weight over all seeds: mean, deviation, the largest size, and how many numbers."""
    together: dict[str, list[Any]] = defaultdict(list)
    for numbers in draws:
        for path, values in numbers.items():
            together[path].append(np.asarray(values, "float64").ravel())
    found = {}
    for path, parts in together.items():
        values = np.concatenate(parts)
        found[path] = values.mean(), values.std(), np.abs(values).max(), values.size
    return found


def check(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Equal means and deviations, as far as so many draws tell; equal bounds, if there are any."""
    assert found.keys() == wanted.keys()
    wrong = []
    for path, (mean, deviation, largest, count) in wanted.items():
        mean_found, deviation_found, largest_found, _ = found[path]
        tolerance = 6 / count**0.5
        is_close = abs(mean_found - mean) <= tolerance * deviation * 1.5 + 1e-12
        is_close &= abs(deviation_found - deviation) <= tolerance * deviation + 1e-12
        if (
            deviation and count > 3000
        ):  # a uniform draw ends at 1.73 deviations, a cut one at 2.3, others at 3 and more
            is_close &= (largest < 1.8 * deviation) == (largest_found < 1.8 * deviation_found)
            is_close &= (largest < 2.5 * deviation) == (largest_found < 2.5 * deviation_found)
        if not is_close:
            wrong.append((path, wanted[path], found[path]))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("name", SMALL)
def test_as_in_torchvision(name: str, backend: str) -> None:
    spec = spec_of(name)
    check(statistics(published(name, spec)), statistics(built(spec, backend)))


@pytest.mark.slow
def test_xception_as_in_keras_applications() -> None:
    """Keras' own initializers: Glorot's bounds for every kernel, and no biases."""
    spec = load(BACKBONES / "xception.yaml", classes=50)
    found = {backend: statistics(iter([next(built(spec, backend))])) for backend in ("torch", "keras")}
    check(found["keras"], found["torch"])
    theirs = keras.applications.Xception(weights=None, classes=50)
    published = {v.path: np.asarray(v.value) for v in theirs.weights}
    carried = convert_published_weights(spec.graph, "keras_applications", published)
    locations = locate_weights(spec.graph, "keras")
    check(statistics(iter([from_framework(locations, carried)])), found["keras"])
