"""Adapt the kernel of a layer to another number of input channels.

`repeat` and `mean` keep the scale of the layer's output if the new channels resemble the old ones. `zero` and
`random` keep the old channels, and append zeros or the spec's initial values for the new ones.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from specbuild.weights.adapt_options import Adaptation, Sides
from specbuild.weights.mismatch import MismatchedWeight

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

EXTENDING_MODES = ("zero", "random")  # these keep all old channels, so the model must have more
INITIAL_VALUES_HINT = "--allow-missing gives it initial values instead"


class ChannelPlan(NamedTuple):
    """The input axis of a kernel, its old and new sides, and the index of the side that is the channels."""

    axis: int
    old: Sides
    new: Sides
    side: int


def adapt_kernel(weight: MismatchedWeight, adaptation: Adaptation, initial: Array) -> tuple[Array, str]:
    """Return the kernel for the model's channels, and a description.

    `initial` is the kernel's initial value.
    """
    axis, old, new, side = plan_channels(weight, adaptation)
    value, shape = weight.value, weight.location.shape
    before, after = shape[:axis], shape[axis + 1 :]
    old_kernel = value.astype("float64").reshape(*before, *old, *after)
    initial_kernel = initial.astype("float64").reshape(*before, *new, *after)
    kernel = CHANNEL_FUNCTIONS[adaptation.mode](old_kernel, initial_kernel, axis + side)
    sizes = f" of {'x'.join(map(str, old))} to {'x'.join(map(str, new))}" if len(old) > 1 else ""
    return kernel.reshape(shape).astype(value.dtype), f"{adaptation.mode}{sizes}"


def plan_channels(weight: MismatchedWeight, adaptation: Adaptation) -> ChannelPlan:
    """Find the channels of a kernel; raises SpecError SB807 if the mode cannot adapt it."""
    location, mode = weight.location, adaptation.mode
    input_axis = location.spec.input_axis
    if input_axis is None:
        reason = "it is only for the kernels of conv, conv_transpose and linear"
        weight.reject_mode(mode, reason, INITIAL_VALUES_HINT)
    axis = weight.axis_names.index("I")
    if weight.value.ndim != len(location.shape) or any(i != axis for i in weight.differing_axes):
        reason = "it changes only the input channels, but other sizes differ too"
        weight.reject_mode(mode, reason, INITIAL_VALUES_HINT)
    if input_axis.is_flattened:
        old, new = linear_sides(weight, adaptation, axis)
    else:
        old, new = (weight.value.shape[axis],), (location.shape[axis],)
        if input_axis.groups != 1:
            reason = "the file does not say which channels were in which group"
            weight.reject_mode(mode, reason, INITIAL_VALUES_HINT)
        if adaptation.old_sides or adaptation.new_sides:
            weight.reject_mode(mode, "the channels of a convolution are known", "leave `from` and `to` out")
    differing = [i for i, pair in enumerate(zip(old, new, strict=True)) if pair[0] != pair[1]]
    if len(differing) != 1:
        weight.reject_mode(mode, "exactly one side must differ: that of the channels")
    [side] = differing
    if mode in EXTENDING_MODES and new[side] < old[side]:
        weight.reject_mode(mode, "it keeps all old channels, but the model has fewer", "use repeat or mean")
    return ChannelPlan(axis, old, new, side)


def linear_sides(weight: MismatchedWeight, adaptation: Adaptation, axis: int) -> tuple[Sides, Sides]:
    """Return the old and the new sides of a linear map's input axis, as the user states them."""
    mode, old, new = adaptation.mode, adaptation.old_sides, adaptation.new_sides
    old_size, new_size = weight.value.shape[axis], weight.location.shape[axis]
    if not old or not new:
        example = f"'{adaptation.pattern}={mode}(from={old_size}, to={new_size})'"
        hint = f"state the channels: {example}, or with positions: from=16x16x3, to=16x16x4"
        weight.reject_mode(mode, "it is unknown which inputs are channels", hint)
    if prod(old) != old_size or prod(new) != new_size:
        stated = f"`from` and `to` are {prod(old):,} and {prod(new):,} inputs"
        weight.reject_mode(mode, f"{stated}, not {old_size:,} and {new_size:,}")
    return old, new


def repeat_channels(old: Array, initial: Array, axis: int) -> Array:
    """Repeat the old channels up to the new number, scaled; a single new channel is their sum.

    This is what `adapt_input_conv` in timm does.
    """
    import numpy as np

    old_count, new_count = old.shape[axis], initial.shape[axis]
    if new_count == 1:
        return np.asarray(old.sum(axis, keepdims=True))
    return np.asarray(old.take(np.arange(new_count) % old_count, axis) * (old_count / new_count))


def average_channels(old: Array, initial: Array, axis: int) -> Array:
    """Fill every channel with the mean of the old ones, scaled."""
    import numpy as np

    old_count, new_count = old.shape[axis], initial.shape[axis]
    mean = old.mean(axis, keepdims=True) * (old_count / new_count)
    return np.asarray(mean.repeat(new_count, axis))


def append_channels(old: Array, initial: Array, axis: int) -> Array:
    """Append the initial values of the channels that the old kernel does not have."""
    import numpy as np

    rest = initial.take(np.arange(old.shape[axis], initial.shape[axis]), axis)
    return np.concatenate([old, rest], axis)


CHANNEL_FUNCTIONS: dict[str, Callable[[Array, Array, int], Array]] = {
    "repeat": repeat_channels,
    "mean": average_channels,
    "zero": lambda old, initial, axis: append_channels(old, initial * 0, axis),
    "random": append_channels,
}
