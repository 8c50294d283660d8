"""Random weights and inputs that hide nothing: no statistic is the identity, no axis is like another."""

from __future__ import annotations

import zlib
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from specbuild.compiler.weight_locations import Held
from specbuild.expressions import plain
from specbuild.ops.types import Tensor
from specbuild.runtimes.jobs import Case
from specbuild.summary.examples import vocabulary

if TYPE_CHECKING:
    from specbuild.runtimes.jobs import Arrays


def generator(case: Case) -> np.random.Generator:
    """The same for a spec and a seed, wherever the file lies and whatever it is called."""
    return np.random.default_rng([case.seed, zlib.crc32((case.digest or case.name).encode())])


def weight(h: Held, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """One weight: scales are near one, kernels keep the spread of what they are applied to."""
    if h.name == "variance":
        return random.uniform(0.5, 1.5, h.shape)
    if h.name == "scale":
        return 1 + 0.2 * random.normal(size=h.shape)
    if h.name in ("bias", "shift", "mean") or len(h.shape) < 2:
        return 0.3 * random.normal(size=h.shape)
    fan_in = max(1, prod(h.shape[1:]))
    return np.asarray(random.normal(size=h.shape) / fan_in**0.5)


def sample(x: Tensor, case: Case, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """One input: floats of spread one, integers that the model can take, masks of which something is left."""
    shape = (case.batch, *(plain(n) for n in x.sizes.values()))
    if x.dtype == "int32":
        return random.integers(0, case.integers or vocabulary(case.model), shape).astype("int32")
    if x.dtype == "bool":
        mask = random.random(shape) < 0.7
        mask[..., 0] = True
        return mask
    return random.normal(size=shape)


def shaken(arrays: Arrays, share: float, random: np.random.Generator) -> Arrays:
    """Every number moved by at most this share of it."""
    return {
        key: value * (1 + share * random.uniform(-1, 1, value.shape)) if value.dtype.kind == "f" else value
        for key, value in arrays.items()
    }


def heads(case: Case, random: np.random.Generator) -> Arrays:
    """By what each output is multiplied before all is summed: the scalar whose gradients are taken."""
    found = {}
    for name, output in case.model.outputs.items():
        lead = (case.batch,) if output.type.batched else ()
        found[name or "output"] = np.asarray(
            random.normal(size=(*lead, *(plain(n) for n in output.type.sizes.values())))
        )
    return found
