"""Random weights and inputs that hide nothing: no statistic is the identity, no axis is like another."""

from __future__ import annotations

import zlib
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.compiler.weight_locations import WeightLocation
from specbuild.expressions import concrete
from specbuild.ops.types import TensorType
from specbuild.runtimes.jobs import ParityCase
from specbuild.summary.examples import vocabulary_size

if TYPE_CHECKING:
    from specbuild.runtimes.jobs import Arrays


def random_generator(case: ParityCase) -> np.random.Generator:
    """The same for a spec and a seed, wherever the file lies and whatever it is called."""
    return np.random.default_rng([case.seed, zlib.crc32((case.digest or case.name).encode())])


def draw_weight(h: WeightLocation, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """One weight: scales are near one, kernels keep the spread of what they are applied to."""
    if h.name == "variance":
        return random.uniform(0.5, 1.5, h.shape)
    if h.name == "scale":
        return 1 + 0.2 * random.normal(size=h.shape)
    if h.name in ("bias", "shift", "mean") or len(h.shape) < 2:
        return 0.3 * random.normal(size=h.shape)
    fan_in = max(1, prod(h.shape[1:]))
    return np.asarray(random.normal(size=h.shape) / fan_in**0.5)


def draw_input(x: TensorType, case: ParityCase, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """One input: floats of spread one, integers that the model can take, masks of which something is left."""
    shape = (case.batch, *(concrete(n) for n in x.sizes.values()))
    if x.dtype == "int32":
        return random.integers(0, case.integer_limit or vocabulary_size(case.model), shape).astype("int32")
    if x.dtype == "bool":
        mask = random.random(shape) < 0.7
        mask[..., 0] = True
        return mask
    return random.normal(size=shape)


def perturb_arrays(arrays: Arrays, share: float, random: np.random.Generator) -> Arrays:
    """Every number moved by at most this share of it."""
    return {
        key: value * (1 + share * random.uniform(-1, 1, value.shape)) if value.dtype.kind == "f" else value
        for key, value in arrays.items()
    }


def draw_cotangents(case: ParityCase, random: np.random.Generator) -> Arrays:
    """By what each output is multiplied before all is summed: the scalar whose gradients are taken."""
    cotangents = {}
    for name, output in case.model.outputs.items():
        lead = (case.batch,) if output.type.batched else ()
        cotangents[name or "output"] = np.asarray(
            random.normal(size=(*lead, *(concrete(n) for n in output.type.sizes.values())))
        )
    return cotangents
