"""Draw the initial values of weights, as the op says: by the spec's initializer or by the default of PyTorch.

They do not depend on the framework. Each weight has its own random stream, derived from the seed and its
path, so that adding or removing a step does not change the other weights.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import WeightLocation
from specbuild.ops.initializers import KAIMING_MODES, Init
from specbuild.ops.weight_spec import count_fans

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]
    Random: TypeAlias = np.random.Generator

Shape: TypeAlias = tuple[int, ...]

TRUNCATION = 2.0  # the limit of a truncated normal distribution, in standard deviations


def initialize_weights(weights: Sequence[WeightLocation], seed: int = 0) -> dict[str, Array]:
    """Return the initial values of weights: canonical tensors in float32, by canonical path.

    Integers that the spec gives are int32.
    """
    import numpy as np  # imported late: other commands do not need it

    values = {}
    for weight in weights:
        if weight.spec.given is not None:
            array = weight.spec.given.to_array()
            values[weight.path] = array.astype("float32") if array.dtype.kind == "f" else array
            continue
        random = np.random.default_rng([seed, zlib.crc32(weight.path.encode())])
        values[weight.path] = np.asarray(draw_values(weight.spec.init, weight.shape, random), "float32")
    return values


def draw_values(init: Init, shape: Shape, random: Random) -> Array:
    """Draw values by an initializer."""
    mode = (init.mode,) if init.kind.startswith("kaiming") else ()
    return INITIALIZERS[init.kind](shape, random, *init.args, *mode)


def fill_constant(shape: Shape, random: Random, value: float) -> Array:
    import numpy as np

    return np.full(shape, value)


def draw_normal(shape: Shape, random: Random, deviation: float = 1.0) -> Array:
    return random.normal(0.0, deviation, shape)


def draw_uniform(shape: Shape, random: Random, low: float, high: float | None = None) -> Array:
    return random.uniform(-low if high is None else low, low if high is None else high, shape)


def draw_truncated_normal(shape: Shape, random: Random, deviation: float = 1.0) -> Array:
    """Draw from a normal distribution; values beyond two standard deviations are drawn again."""
    import numpy as np

    count = prod(shape)
    values = np.empty(0)
    while values.size < count:
        more = random.normal(size=count - values.size)
        values = np.concatenate([values, more[np.abs(more) <= TRUNCATION]])
    return deviation * values.reshape(shape)


def draw_xavier_uniform(shape: Shape, random: Random) -> Array:
    return draw_uniform(shape, random, sqrt(6 / sum(count_fans(shape))))


def draw_xavier_normal(shape: Shape, random: Random) -> Array:
    return draw_normal(shape, random, sqrt(2 / sum(count_fans(shape))))


def draw_kaiming_uniform(shape: Shape, random: Random, mode: str = "fan_in") -> Array:
    return draw_uniform(shape, random, sqrt(6 / count_fans(shape)[KAIMING_MODES.index(mode)]))


def draw_kaiming_normal(shape: Shape, random: Random, mode: str = "fan_in") -> Array:
    return draw_normal(shape, random, sqrt(2 / count_fans(shape)[KAIMING_MODES.index(mode)]))


def draw_orthogonal(shape: Shape, random: Random) -> Array:
    """Draw a matrix with orthonormal rows, or orthonormal columns if these are fewer."""
    import numpy as np

    rows, columns = shape[0] if shape else 1, prod(shape[1:])
    normal = random.normal(size=(max(rows, columns), min(rows, columns)))
    matrix, upper = np.linalg.qr(normal)
    matrix = matrix * np.sign(np.diag(upper))
    result: Array = (matrix if rows >= columns else matrix.T).reshape(shape)
    return result


INITIALIZERS: dict[str, Callable[..., Array]] = {
    "zeros": lambda shape, random: fill_constant(shape, random, 0.0),
    "ones": lambda shape, random: fill_constant(shape, random, 1.0),
    "constant": fill_constant,
    "normal": draw_normal,
    "truncated_normal": draw_truncated_normal,
    "uniform": draw_uniform,
    "xavier_uniform": draw_xavier_uniform,
    "xavier_normal": draw_xavier_normal,
    "kaiming_uniform": draw_kaiming_uniform,
    "kaiming_normal": draw_kaiming_normal,
    "orthogonal": draw_orthogonal,
}
