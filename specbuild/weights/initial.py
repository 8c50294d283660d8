"""The numbers that weights begin with: as the spec says, else as the language does, whatever the framework.

The language begins as PyTorch does. Each weight draws from a stream of its own, made of the seed and its
path: a step more or less changes no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import WeightLocation
from specbuild.expressions import concrete
from specbuild.ir.graph import Block, walk_ops
from specbuild.ops.attribute_kinds import KAIMING_MODES, Init
from specbuild.ops.base import Op
from specbuild.ops.indexing import Embedding
from specbuild.ops.recurrent import Recurrent

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]
    Random: TypeAlias = np.random.Generator

Shape: TypeAlias = tuple[int, ...]

TRUNCATION = 2.0  # standard deviations, where a truncated normal ends

# The attribute that says how a weight begins, by the weight's name.
INIT_ATTRIBUTES = {
    "kernel": "init",
    "bias": "bias_init",
    "recurrent_kernel": "recurrent_init",
    "scale": "init",
    "slope": "init",
    "value": "init",
}
CONSTANT_VALUES = {"scale": 1.0, "variance": 1.0, "shift": 0.0, "mean": 0.0}


def initialize_weights(model: Block, weights: Iterable[WeightLocation], seed: int = 0) -> dict[str, Array]:
    """The first numbers of weights, float32, in canonical form and by canonical path."""
    import numpy as np  # only here: commands that need no numbers start without it

    ops = {path: (node.op, block.find_node(node.name)) for path, node, block in walk_ops(model)}
    shapes = {h.path: h.shape for h in weights}
    values = {}
    for h in weights:
        step = h.path.removesuffix(f".{h.name}")
        op, _ = ops[step]
        assert isinstance(op, Op)
        random = np.random.default_rng([seed, zlib.crc32(h.path.encode())])
        own = h.name.removeprefix("backward_")
        kernel = shapes.get(f"{step}.{h.name.removesuffix(own)}kernel", h.shape)
        values[h.path] = np.asarray(initialize_weight(op, own, h.shape, kernel, random), "float32")
    return values


def initialize_weight(op: Op, name: str, shape: Shape, kernel: Shape, random: Random) -> Array:
    """One weight of an op; `kernel` is the shape of the matrix or kernel beside it."""
    import numpy as np

    init = getattr(op, INIT_ATTRIBUTES.get(name, ""), None)
    if isinstance(init, Init):
        return draw_values(init, shape, random)
    if name in CONSTANT_VALUES:
        return np.full(shape, CONSTANT_VALUES[name])
    if isinstance(op, Embedding):
        return random.normal(size=shape)
    if isinstance(op, Recurrent):
        bound = 1 / sqrt(concrete(op.units))
    elif name in ("kernel", "bias"):
        bound = 1 / sqrt(count_fans(kernel)[0])
    else:
        raise ValueError(f"nothing says how {name} of {op.name} begins")
    return random.uniform(-bound, bound, shape)


def count_fans(shape: Shape) -> tuple[int, int]:
    """How many numbers each that comes out is made of, and how many each that goes in has a part in."""
    if len(shape) < 2:
        return prod(shape), prod(shape)
    return prod(shape[1:]), shape[0] * prod(shape[2:])


def draw_values(init: Init, shape: Shape, random: Random) -> Array:
    """An initialiser's numbers."""
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
    """Numbers of a normal distribution within two deviations; others are drawn again."""
    import numpy as np

    count = prod(shape)
    kept_numbers = np.empty(0)
    while kept_numbers.size < count:
        more = random.normal(size=count - kept_numbers.size)
        kept_numbers = np.concatenate([kept_numbers, more[np.abs(more) <= TRUNCATION]])
    return deviation * kept_numbers.reshape(shape)


def draw_xavier_uniform(shape: Shape, random: Random) -> Array:
    return draw_uniform(shape, random, sqrt(6 / sum(count_fans(shape))))


def draw_xavier_normal(shape: Shape, random: Random) -> Array:
    return draw_normal(shape, random, sqrt(2 / sum(count_fans(shape))))


def draw_kaiming_uniform(shape: Shape, random: Random, mode: str = "fan_in") -> Array:
    return draw_uniform(shape, random, sqrt(6 / count_fans(shape)[KAIMING_MODES.index(mode)]))


def draw_kaiming_normal(shape: Shape, random: Random, mode: str = "fan_in") -> Array:
    return draw_normal(shape, random, sqrt(2 / count_fans(shape)[KAIMING_MODES.index(mode)]))


def draw_orthogonal(shape: Shape, random: Random) -> Array:
    """Rows, or columns where there are fewer of them, of length one and at right angles."""
    import numpy as np

    rows, columns = shape[0] if shape else 1, prod(shape[1:])
    flat = random.normal(size=(max(rows, columns), min(rows, columns)))
    turned, upper = np.linalg.qr(flat)
    turned = turned * np.sign(np.diag(upper))
    rotated: Array = (turned if rows >= columns else turned.T).reshape(shape)
    return rotated


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
