"""Draw random weights and inputs that expose errors: no statistic is 0 or 1, no two axes are alike."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.compiler.weight_locations import WeightLocation
from specbuild.expressions import concrete
from specbuild.ops.types import TensorType
from specbuild.ops.weight_spec import UniformValues, count_fans
from specbuild.parity.case import ParityCase
from specbuild.summary.examples import vocabulary_size

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays


def random_generator(case: ParityCase) -> np.random.Generator:
    """Return a generator that depends on the spec's content and the seed only, not on the file's name or folder."""
    return np.random.default_rng([case.seed, zlib.crc32((case.digest or case.name).encode())])


def draw_weight(weight: WeightLocation, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Draw one weight from the random values that its op gives, or return the numbers that the spec gives."""
    if weight.spec.given is not None:
        return weight.spec.given.to_array()
    values = weight.spec.random
    if isinstance(values, UniformValues):
        return random.uniform(values.low, values.high, weight.shape)
    result = values.mean + values.deviation * random.normal(size=weight.shape)
    if values.by_fan_in:
        fan_in, _ = count_fans(weight.shape)
        result = result / fan_in**0.5
    return np.asarray(result)


def draw_input(x: TensorType, case: ParityCase, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """Draw one input: standard normal floats, integers that the model accepts, or a mask with some true."""
    shape = (case.batch, *(concrete(n) for n in x.sizes.values()))
    if x.dtype == "int32":
        return random.integers(0, case.integer_limit or vocabulary_size(case.model), shape).astype("int32")
    if x.dtype == "bool":
        mask = random.random(shape) < 0.7
        mask[..., 0] = True
        return mask
    return random.normal(size=shape)


def perturb_arrays(arrays: Arrays, share: float, random: np.random.Generator) -> Arrays:
    """Change every float randomly, by at most this share of its value."""
    return {
        key: value * (1 + share * random.uniform(-1, 1, value.shape)) if value.dtype.kind == "f" else value
        for key, value in arrays.items()
    }


def draw_cotangents(case: ParityCase, random: np.random.Generator) -> Arrays:
    """Draw a factor for each element of every output; gradients are those of the sum of element x factor."""
    cotangents = {}
    for name, output in case.model.outputs.items():
        lead = (case.batch,) if output.type.batched else ()
        cotangents[name or "output"] = np.asarray(
            random.normal(size=(*lead, *(concrete(n) for n in output.type.sizes.values())))
        )
    return cotangents
