"""Sliding windows: which axes they slide over, and how the language writes their numbers."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from specbuild.importing.handler_table import one_or_list, per_axis
from specbuild.importing.layouts import rename_axes, require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported

PLACES = {1: ("W",), 2: ("H", "W"), 3: ("D", "H", "W")}


class Window(Struct, frozen=True):
    """A value whose channels are called C, the axes of the window, and the attribute `over`, if it must be given."""

    value: NamedValue
    axes: tuple[str, ...]
    over: dict[str, Any]

    @classmethod
    def find(cls, low: Lowerer, value: NamedValue, count: int, channels_last: bool = False) -> Window:
        """Return the window over the `count` dimensions after, or before, the one that has the channels."""
        channels, first = (-1, -count - 1) if channels_last else (-count - 1, -count)
        if not value.dims[channels] and "C" in value.axes:  # over the channels themselves
            value = rename_axes(low, value, {"C": low.unused_axis("T", value)})
        value, _ = require_axis(low, value, channels, "C")
        for i, place in enumerate(PLACES[count]):
            value, axis = require_axis(low, value, first + i, place if count > 1 else None)
            if low.is_free(axis) or axis == "C":
                value, _ = require_axis(low, value, first + i, place)
        value, _ = require_axis(low, value, channels, "C")
        axes = tuple(low.names.resolve(value.dims[first + i][0]) for i in range(count))
        spatial = tuple(a for a in ("D", "H", "W") if a in value.axes)
        return cls(value, axes, {} if axes == spatial else {"over": list(axes)})

    def output_sizes(
        self, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False
    ) -> dict[str, int]:
        """Return the sizes of the axes of the window in the result."""
        count = len(self.axes)
        numbers = zip(
            self.axes,
            *(per_axis(v, count) for v in (kernel, stride, dilation)),
            pad_numbers(padding, kernel, dilation, count),
            strict=True,
        )
        sizes = {}
        for axis, size, step, gap, pad in numbers:
            room = self.value.axes[axis] + 2 * pad - gap * (size - 1) - 1
            sizes[axis] = room // step + 1
            if ceil and room % step and (room // step + 1) * step < self.value.axes[axis] + pad:
                sizes[axis] += 1
        return sizes


def pad_numbers(padding: Any, kernel: Any, dilation: Any, count: int) -> list[int]:
    """Return the padding of each axis; raises Unsupported for `same` with a window of an even length."""
    if padding == "valid":
        return [0] * count
    if padding != "same":
        return [int(p) for p in per_axis(padding, count)]
    lengths = [d * (k - 1) for k, d in zip(per_axis(kernel, count), per_axis(dilation, count), strict=True)]
    if any(length % 2 for length in lengths):
        raise Unsupported("padding `same` of a window of an even length")
    return [length // 2 for length in lengths]


def window_attributes(count: int, kernel: Any, stride: Any, padding: Any, dilation: Any) -> dict[str, Any]:
    """Return the attributes of a convolution that are not as by default: padding is half of the kernel."""
    attributes = {"kernel": one_or_list(kernel, count)}
    if one_or_list(stride, count) != 1:
        attributes["stride"] = one_or_list(stride, count)
    if one_or_list(dilation, count) != 1:
        attributes["dilation"] = one_or_list(dilation, count)
    pads = pad_numbers(padding, kernel, dilation, count)
    lengths = [d * (k - 1) for k, d in zip(per_axis(kernel, count), per_axis(dilation, count), strict=True)]
    if pads != [(length + 1) // 2 for length in lengths] or any(length % 2 for length in lengths):
        attributes["padding"] = one_or_list(pads, count)
    return attributes
