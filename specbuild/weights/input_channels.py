"""Kernels for another number of input channels, made of those for the old ones.

`repeat` and `mean` keep the size of what comes out, where the new channels are like the old ones. `zero` and `random`
keep the old channels as they are, and give the new ones nothing, or what the spec begins them with.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.expressions import concrete
from specbuild.ops.convolution import Conv, ConvTranspose, Linear
from specbuild.weights.adapt_options import Adaptation, Sides
from specbuild.weights.mismatch import MismatchedWeight

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]


def adapt_kernel(weight: MismatchedWeight, adaptation: Adaptation, fresh: Array) -> tuple[Array, str]:
    """The kernel for the channels of the model, and how it was made; `fresh` is the one that the spec begins with."""
    axis, old, new, at = plan_channels(weight, adaptation)
    value, shape = weight.value, weight.location.shape
    before, behind = shape[:axis], shape[axis + 1 :]
    parts = value.astype("float64").reshape(*before, *old, *behind)
    initial_parts = fresh.astype("float64").reshape(*before, *new, *behind)
    result = CHANNEL_FUNCTIONS[adaptation.mode](parts, initial_parts, axis + at)
    sizes = f" of {'x'.join(map(str, old))} to {'x'.join(map(str, new))}" if len(old) > 1 else ""
    return result.reshape(shape).astype(value.dtype), f"{adaptation.mode}{sizes}"


def plan_channels(weight: MismatchedWeight, adaptation: Adaptation) -> tuple[int, Sides, Sides, int]:
    """The axis of a kernel that reads the input, what it holds in the file and in the model, and which part of that
    are the channels; SB807 where it cannot be."""
    op, h, mode = weight.node.op, weight.location, adaptation.mode
    if not isinstance(op, Conv | ConvTranspose | Linear) or h.name != "kernel":
        weight.reject_mode(mode, "is for the kernels of conv, conv_transpose and linear", START_ANEW_HINT)
    axis = weight.axis_names.index("I")
    if weight.value.ndim != len(h.shape) or any(i != axis for i in weight.differing_axes):
        weight.reject_mode(
            mode, "makes other input channels of the old ones, and here more is different", START_ANEW_HINT
        )
    few, many = weight.value.shape[axis], h.shape[axis]
    if isinstance(op, Linear):
        old, new = adaptation.old_sides or (), adaptation.new_sides or ()
        if not old or not new:
            hint = f"say how many channels there were and are: '{adaptation.pattern}={mode}(from={few}, to={many})', or with"
            weight.reject_mode(
                mode, "cannot tell which inputs are channels", f"{hint} places, from=16x16x3, to=16x16x4"
            )
        if prod(old) != few or prod(new) != many:
            weight.reject_mode(
                mode, f"was told of {prod(old):,} inputs in the file and {prod(new):,} in the model"
            )
    else:
        if concrete(op.groups) != 1:
            weight.reject_mode(mode, "cannot tell which old channels each of the groups had", START_ANEW_HINT)
        if adaptation.old_sides or adaptation.new_sides:
            weight.reject_mode(mode, "sees the channels of a convolution", "leave `from` and `to` out")
        old, new = (few,), (many,)
    other = [i for i, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    if len(other) != 1:
        weight.reject_mode(mode, "needs one side that differs: that of the channels")
    if mode in EXTENDING_MODES and new[other[0]] < old[other[0]]:
        weight.reject_mode(
            mode, "keeps all old channels, and there are fewer new ones", "take repeat or mean"
        )
    return axis, old, new, other[0]


def repeat_channels(old: Array, fresh: Array, axis: int) -> Array:
    """The old channels over and over, cut to the new number; a single one is their sum (timm's adapt_input_conv)."""
    import numpy as np

    count, many = old.shape[axis], fresh.shape[axis]
    if many == 1:
        return np.asarray(old.sum(axis, keepdims=True))
    return np.asarray(old.take(np.arange(many) % count, axis) * (count / many))


def average_channels(old: Array, fresh: Array, axis: int) -> Array:
    """In every channel the mean of the old ones."""
    import numpy as np

    count, many = old.shape[axis], fresh.shape[axis]
    return np.asarray((old.mean(axis, keepdims=True) * (count / many)).repeat(many, axis))


def append_channels(old: Array, fresh: Array, axis: int) -> Array:
    """The old channels in the place of the first new ones."""
    import numpy as np

    rest = fresh.take(np.arange(old.shape[axis], fresh.shape[axis]), axis)
    return np.concatenate([old, rest], axis)


CHANNEL_FUNCTIONS: dict[str, Callable[[Array, Array, int], Array]] = {
    "repeat": repeat_channels,
    "mean": average_channels,
    "zero": lambda old, fresh, axis: append_channels(old, fresh * 0, axis),
    "random": append_channels,
}
EXTENDING_MODES = ("zero", "random")  # the old channels, so that there cannot be fewer new ones
START_ANEW_HINT = "--allow-missing lets it begin anew"
