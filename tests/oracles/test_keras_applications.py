"""Backbones of the library against keras.applications': counts, and outputs with the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from specbuild import load
from specbuild.runtimes.live_model import import_source
from specbuild.weights.published_names import convert_published_weights
from tests.lazy_modules import lazy_module
from tests.oracles.randomised import Array, difference, give_exact_inputs, randomise_keras

keras = lazy_module("keras")

BACKBONES = Path(__file__).parents[2] / "specbuild" / "library" / "backbones"
TOLERANCE = 1e-10
SIZES = [(299, 299), (99, 131)]


@pytest.fixture(autouse=True)
def float64_keras() -> Iterator[None]:
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.backend.clear_session()  # layers without a name are numbered from the start
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def images(height: int, width: int) -> Array:
    return np.random.default_rng(height).normal(size=(1, height, width, 3))


def make_oracle(name: str, height: int, width: int) -> keras.Model:
    """Keras' own, which with its classifier takes images of one size only."""
    make = getattr(keras.applications, name)
    return make(weights=None, classifier_activation=None, input_shape=(height, width, 3))


# Keras' name -> file and variant
CASES = {"Xception": ("xception", None), "MobileNet": ("mobilenet", "mobilenet_1_0")}
OTHERS = {  # others are in benchmarks/library.md
    "EfficientNetB0": "keras_efficientnet",
    "MobileNetV3Small": "keras_mobilenet_v3",
    "ResNet50V2": "keras_resnetv2",
}


@pytest.mark.parametrize("name", CASES)
def test_same_outputs(name: str) -> None:
    assert keras.backend.backend() == "tensorflow"
    file, variant = CASES[name]
    oracle = make_oracle(name, 99, 131)
    randomise_keras(oracle, images(99, 131))
    spec = load(BACKBONES / f"{file}.yaml", variant=variant)
    assert spec.parameters == sum(int(np.prod(v.shape)) for v in oracle.trainable_weights)
    carried = convert_published_weights(
        spec.graph, "keras_applications", {v.path: np.asarray(v) for v in oracle.weights}
    )
    module = import_source(spec.source("keras"), file)
    ours = getattr(module, name)(image_shape=(None, None, 3))
    assert {v.path for v in ours.weights} == set(carried)
    for variable in ours.weights:
        variable.assign(carried[variable.path])
    for height, width in SIZES:
        theirs, x = make_oracle(name, height, width), images(height, width)
        theirs.set_weights(oracle.get_weights())
        assert difference(theirs(x, training=False), ours(x, training=False)) < TOLERANCE, (height, width)


@pytest.mark.parametrize("name", OTHERS)
def test_same_outputs_of_variants(name: str) -> None:
    """At an odd size, every weight of Keras' own used or ignored by a rule, every own one given."""
    oracle, x = make_oracle(name, 65, 99), 60 * images(65, 99) + 120
    give_exact_inputs(oracle)
    randomise_keras(oracle, x)
    spec = load(BACKBONES / f"{OTHERS[name]}.yaml", variant=name)
    carried = convert_published_weights(
        spec.graph, "keras_applications", {v.path: np.asarray(v) for v in oracle.weights}
    )
    module = import_source(spec.source("keras"), name)
    ours = getattr(module, spec.graph.name)(image_shape=(None, None, 3))
    assert {v.path for v in ours.weights} == set(carried)
    for variable in ours.weights:
        variable.assign(carried[variable.path])
    assert difference(oracle(x, training=False), ours(x, training=False)) < TOLERANCE
