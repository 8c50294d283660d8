"""Kernels for another number of input channels, made of those for the old ones.

`repeat` and `mean` keep the size of what comes out, where the new channels are like the old ones. `zero` and `random`
keep the old channels as they are, and give the new ones nothing, or what the spec begins them with.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.expressions import plain
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
from specbuild.weights.adapt_options import Adaptation, Sides
from specbuild.weights.mismatch import Weighed

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


def adapted(weighed: Weighed, way: Adaptation, fresh: Array) -> tuple[Array, str]:
    """The kernel for the channels of the model, and how it was made; `fresh` is the one that the spec begins with."""
    axis, old, new, at = channels(weighed, way)
    value, shape = weighed.value, weighed.held.shape
    before, behind = shape[:axis], shape[axis + 1 :]
    parts = value.astype("float64").reshape(*before, *old, *behind)
    begun = fresh.astype("float64").reshape(*before, *new, *behind)
    found = MODES[way.mode](parts, begun, axis + at)
    told = f" of {'x'.join(map(str, old))} to {'x'.join(map(str, new))}" if len(old) > 1 else ""
    return found.reshape(shape).astype(value.dtype), f"{way.mode}{told}"


def channels(weighed: Weighed, way: Adaptation) -> tuple[int, Sides, Sides, int]:
    """The axis of a kernel that reads the input, what it holds in the file and in the model, and which part of that
    are the channels; SB807 where it cannot be."""
    op, h, mode = weighed.node.op, weighed.held, way.mode
    if not isinstance(op, Conv | ConvTranspose | Linear) or h.name != "kernel":
        weighed.refuse(mode, "is for the kernels of conv, conv_transpose and linear", ANEW)
    axis = weighed.axes.index("I")
    if weighed.value.ndim != len(h.shape) or any(i != axis for i in weighed.differing):
        weighed.refuse(mode, "makes other input channels of the old ones, and here more is different", ANEW)
    few, many = weighed.value.shape[axis], h.shape[axis]
    if isinstance(op, Linear):
        old, new = way.old or (), way.new or ()
        if not old or not new:
            hint = f"say how many channels there were and are: '{way.pattern}={mode}(from={few}, to={many})', or with"
            weighed.refuse(
                mode, "cannot tell which inputs are channels", f"{hint} places, from=16x16x3, to=16x16x4"
            )
        if prod(old) != few or prod(new) != many:
            weighed.refuse(
                mode, f"was told of {prod(old):,} inputs in the file and {prod(new):,} in the model"
            )
    else:
        if plain(op.groups) != 1:
            weighed.refuse(mode, "cannot tell which old channels each of the groups had", ANEW)
        if way.old or way.new:
            weighed.refuse(mode, "sees the channels of a convolution", "leave `from` and `to` out")
        old, new = (few,), (many,)
    other = [i for i, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    if len(other) != 1:
        weighed.refuse(mode, "needs one side that differs: that of the channels")
    if mode in KEEPS and new[other[0]] < old[other[0]]:
        weighed.refuse(mode, "keeps all old channels, and there are fewer new ones", "take repeat or mean")
    return axis, old, new, other[0]


def repeat(old: Array, fresh: Array, axis: int) -> Array:
    """The old channels over and over, cut to the new number; a single one is their sum (timm's adapt_input_conv)."""
    import numpy as np

    count, many = old.shape[axis], fresh.shape[axis]
    if many == 1:
        return np.asarray(old.sum(axis, keepdims=True))
    return np.asarray(old.take(np.arange(many) % count, axis) * (count / many))


def mean(old: Array, fresh: Array, axis: int) -> Array:
    """In every channel the mean of the old ones."""
    import numpy as np

    count, many = old.shape[axis], fresh.shape[axis]
    return np.asarray((old.mean(axis, keepdims=True) * (count / many)).repeat(many, axis))


def after(old: Array, fresh: Array, axis: int) -> Array:
    """The old channels in the place of the first new ones."""
    import numpy as np

    rest = fresh.take(np.arange(old.shape[axis], fresh.shape[axis]), axis)
    return np.concatenate([old, rest], axis)


MODES: dict[str, Callable[[Array, Array, int], Array]] = {
    "repeat": repeat,
    "mean": mean,
    "zero": lambda old, fresh, axis: after(old, fresh * 0, axis),
    "random": after,
}
KEEPS = ("zero", "random")  # the old channels, so that there cannot be fewer new ones
ANEW = "--allow-missing lets it begin anew"
