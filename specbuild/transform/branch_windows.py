"""The windows of parallel convolutions, and the one window that covers them all."""

from __future__ import annotations

from math import prod

from msgspec import Struct

from specbuild.expressions import concrete
from specbuild.ops.convolution import Conv
from specbuild.ops.types import TensorType

MOST_TAPS = 2  # times those of the branches together: a larger kernel costs more than it saves


class BranchWindow(Struct, frozen=True):
    """The window of one branch, as plain numbers, with one entry for each of its axes."""

    axes: tuple[str, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]  # the padding
    after: tuple[int, ...]

    @property
    def tap_count(self) -> int:
        return prod(self.kernel)

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        return tuple(zip(self.before, self.after, strict=True))


def read_window(op: Conv, x: TensorType) -> BranchWindow | None:
    """Return the window of a convolution on this input; None if its padding depends on the size of the input."""
    window = op.sliding_window(x)
    kernel, stride, dilation = (concrete(n) for n in (window.kernel, window.stride, window.dilation))
    pads = window.pads
    if pads is None:
        if any(n > 1 for n in stride):
            return None
        around = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        pads = tuple((n // 2, n - n // 2) for n in around)
    before, after = (tuple(concrete(p[side]) for p in pads) for side in (0, 1))
    return BranchWindow(window.axes, kernel, stride, dilation, before, after)


def point_window(like: BranchWindow) -> BranchWindow:
    """Return the window of the identity over the same axes."""
    ones, zeros = (1,) * len(like.axes), (0,) * len(like.axes)
    return BranchWindow(like.axes, ones, ones, ones, zeros, zeros)


def cover_windows(windows: list[BranchWindow]) -> BranchWindow | str:
    """Return the smallest window with the taps of all, or why there is none."""
    first = windows[0]
    if any(w.axes != first.axes for w in windows):
        return "their windows have other axes"
    if any(w.stride != first.stride for w in windows):
        return "their strides differ"
    kernel, dilation, before, after = [], [], [], []
    for i in range(len(first.axes)):
        steps = {w.dilation[i] for w in windows if w.kernel[i] > 1} or {1}
        if len(steps) > 1:
            return "their dilations differ"
        [step] = steps
        # what a window adds to the size of the axis; equal for all, or the outputs would differ in size
        if len({w.before[i] + w.after[i] - step * (w.kernel[i] - 1) for w in windows}) > 1:
            return "they pad by other amounts"
        most = max(w.before[i] for w in windows)
        if any((most - w.before[i]) % step for w in windows):
            return "their taps do not lie on one grid"
        size = max((most - w.before[i]) // step + w.kernel[i] for w in windows)
        kernel.append(size)
        dilation.append(step)
        before.append(most)
        after.append(first.before[i] + first.after[i] + step * (size - first.kernel[i]) - most)
    if min(after) < 0:
        return "they pad by other amounts"
    cover = BranchWindow(
        first.axes, tuple(kernel), first.stride, tuple(dilation), tuple(before), tuple(after)
    )
    if cover.tap_count > MOST_TAPS * sum(w.tap_count for w in windows):
        size_text = "x".join(map(str, cover.kernel))
        return f"one {size_text} kernel would cost more than they do"
    return cover


def leading_taps(window: BranchWindow, cover: BranchWindow) -> tuple[int, ...]:
    """Return how many taps of the covering window lie before those of this one, along each axis."""
    return tuple(
        (most - own) // step
        for most, own, step in zip(cover.before, window.before, cover.dilation, strict=True)
    )
