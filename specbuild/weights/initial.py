"""The numbers that weights begin with: as the spec says, else as the language does, whatever the framework.

The language begins as PyTorch does. Each weight draws from a stream of its own, made of the seed and its
path: a step more or less changes no other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from math import prod, sqrt
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.compiler.weight_locations import Held
from specbuild.expressions import plain
from specbuild.ir.graph import Block, instances
from specbuild.ops.attribute_kinds import MODES, Init
from specbuild.ops.base import Op
from specbuild.ops.indexing import Embedding
from specbuild.ops.recurrent import Recurrent

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]
    Random: TypeAlias = np.random.Generator

Shape: TypeAlias = tuple[int, ...]

CUT = 2.0  # standard deviations, where a truncated normal ends

# The attribute that says how a weight begins, by the weight's name.
SAID = {
    "kernel": "init",
    "bias": "bias_init",
    "recurrent_kernel": "recurrent_init",
    "scale": "init",
    "slope": "init",
    "value": "init",
}
CONSTANT = {"scale": 1.0, "variance": 1.0, "shift": 0.0, "mean": 0.0}


def initial(model: Block, weights: Iterable[Held], seed: int = 0) -> dict[str, Array]:
    """The first numbers of weights, float32, in canonical form and by canonical path."""
    import numpy as np  # only here: commands that need no numbers start without it

    ops = {path: (node.op, block.node(node.name)) for path, node, block in instances(model)}
    shapes = {h.path: h.shape for h in weights}
    found = {}
    for h in weights:
        step = h.path.removesuffix(f".{h.name}")
        op, _ = ops[step]
        assert isinstance(op, Op)
        random = np.random.default_rng([seed, zlib.crc32(h.path.encode())])
        own = h.name.removeprefix("backward_")
        kernel = shapes.get(f"{step}.{h.name.removesuffix(own)}kernel", h.shape)
        found[h.path] = np.asarray(begun(op, own, h.shape, kernel, random), "float32")
    return found


def begun(op: Op, name: str, shape: Shape, kernel: Shape, random: Random) -> Array:
    """One weight of an op; `kernel` is the shape of the matrix or kernel beside it."""
    import numpy as np

    said = getattr(op, SAID.get(name, ""), None)
    if isinstance(said, Init):
        return drawn(said, shape, random)
    if name in CONSTANT:
        return np.full(shape, CONSTANT[name])
    if isinstance(op, Embedding):
        return random.normal(size=shape)
    if isinstance(op, Recurrent):
        bound = 1 / sqrt(plain(op.units))
    elif name in ("kernel", "bias"):
        bound = 1 / sqrt(fans(kernel)[0])
    else:
        raise ValueError(f"nothing says how {name} of {op.name} begins")
    return random.uniform(-bound, bound, shape)


def fans(shape: Shape) -> tuple[int, int]:
    """How many numbers each that comes out is made of, and how many each that goes in has a part in."""
    if len(shape) < 2:
        return prod(shape), prod(shape)
    return prod(shape[1:]), shape[0] * prod(shape[2:])


def drawn(said: Init, shape: Shape, random: Random) -> Array:
    """An initialiser's numbers."""
    mode = (said.mode,) if said.kind.startswith("kaiming") else ()
    return DRAWN[said.kind](shape, random, *said.args, *mode)


def constant(shape: Shape, random: Random, value: float) -> Array:
    import numpy as np

    return np.full(shape, value)


def normal(shape: Shape, random: Random, deviation: float = 1.0) -> Array:
    return random.normal(0.0, deviation, shape)


def uniform(shape: Shape, random: Random, low: float, high: float | None = None) -> Array:
    return random.uniform(-low if high is None else low, low if high is None else high, shape)


def truncated_normal(shape: Shape, random: Random, deviation: float = 1.0) -> Array:
    """Numbers of a normal distribution within two deviations; others are drawn again."""
    import numpy as np

    count = prod(shape)
    found = np.empty(0)
    while found.size < count:
        more = random.normal(size=count - found.size)
        found = np.concatenate([found, more[np.abs(more) <= CUT]])
    return deviation * found.reshape(shape)


def xavier_uniform(shape: Shape, random: Random) -> Array:
    return uniform(shape, random, sqrt(6 / sum(fans(shape))))


def xavier_normal(shape: Shape, random: Random) -> Array:
    return normal(shape, random, sqrt(2 / sum(fans(shape))))


def kaiming_uniform(shape: Shape, random: Random, mode: str = "fan_in") -> Array:
    return uniform(shape, random, sqrt(6 / fans(shape)[MODES.index(mode)]))


def kaiming_normal(shape: Shape, random: Random, mode: str = "fan_in") -> Array:
    return normal(shape, random, sqrt(2 / fans(shape)[MODES.index(mode)]))


def orthogonal(shape: Shape, random: Random) -> Array:
    """Rows, or columns where there are fewer of them, of length one and at right angles."""
    import numpy as np

    rows, columns = shape[0] if shape else 1, prod(shape[1:])
    flat = random.normal(size=(max(rows, columns), min(rows, columns)))
    turned, upper = np.linalg.qr(flat)
    turned = turned * np.sign(np.diag(upper))
    found: Array = (turned if rows >= columns else turned.T).reshape(shape)
    return found


DRAWN: dict[str, Callable[..., Array]] = {
    "zeros": lambda shape, random: constant(shape, random, 0.0),
    "ones": lambda shape, random: constant(shape, random, 1.0),
    "constant": constant,
    "normal": normal,
    "truncated_normal": truncated_normal,
    "uniform": uniform,
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "kaiming_uniform": kaiming_uniform,
    "kaiming_normal": kaiming_normal,
    "orthogonal": orthogonal,
}
