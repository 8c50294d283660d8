"""Windows that slide: what convolutions, pooling and unfolding share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.axes import CHANNEL, ShapeError, Tensor, listed, spatial
from specbuild.words import formula, plain

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window over `axes`: a number for each of them. `pads` is (before, after), or None for TensorFlow's `same`."""

    axes: tuple[str, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[Pair, ...] | None

    def sizes(self, x: Tensor, ceil: bool = False) -> dict[str, int]:
        """The sizes that come out; `ceil` keeps a last window that begins inside the padded input."""
        found = {}
        for i, axis in enumerate(self.axes):
            size, stride, reach = x[axis], self.stride[i], self.reach(i)
            if self.pads is None:
                found[axis] = -(-size // stride)
                continue
            before, after = self.pads[i]
            room = size + before + after - reach
            if room < 0:
                raise ShapeError(
                    "SB403",
                    f"a window of {plain(reach)} does not fit into axis {axis} of size {plain(size)}"
                    + (f" padded by {plain(before)} and {plain(after)}" if before or after else ""),
                    "use a smaller kernel, more padding, or fewer strides before",
                )
            count = -(-room // stride) if ceil else room // stride
            if ceil and count * stride >= size + before:
                count -= 1  # the last window would begin in the padding after the input
            found[axis] = count + 1
        return found

    def reach(self, i: int) -> int:
        """How far the window reaches along the i-th axis."""
        return self.dilation[i] * (self.kernel[i] - 1) + 1


def window(x: Tensor, over: tuple[str, ...] | None, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> Window:
    """The window that attributes describe on this input; raises ShapeError."""
    axes = over or spatial(x)
    for axis in axes:
        x[axis]
    if CHANNEL in axes:
        raise ShapeError("SB404", "a window slides over places, not over C", "rename the axis first")
    if not 1 <= len(axes) <= 3:
        raise ShapeError("SB404", f"a window slides over one to three axes; {x} has {len(axes)} beside C", "name them with `over`")
    kernels, strides, dilations = (spread(v, axes, w) for v, w in ((kernel, "kernel"), (stride, "stride"), (dilation, "dilation")))
    return Window(axes, kernels, strides, dilations, padded(padding, axes, kernels, dilations))


def padded(padding: Any, axes: tuple[str, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[Pair, ...] | None:
    if padding == "tf_same":
        return None
    if padding == "valid":
        return tuple((0, 0) for _ in axes)
    if padding == "same":
        halves = [formula("k // 2", k=k) if d == 1 else (plain(d) * (plain(k) - 1) + 1) // 2 for k, d in zip(kernel, dilation, strict=True)]
        return tuple((half, half) for half in halves)
    if padding == "causal":
        return tuple((formula("d * (k - 1)", k=k, d=d) if d != 1 else formula("k - 1", k=k), 0) for k, d in zip(kernel, dilation, strict=True))
    return tuple(p if isinstance(p, tuple) else (p, p) for p in spread(padding, axes, "padding"))


def spread(value: Any, axes: tuple[str, ...], what: str) -> tuple[Any, ...]:
    """One value for each axis, from a number, a list in the order of the axes, or a mapping by axis."""
    if isinstance(value, Mapping):
        if set(value) != set(axes):
            raise ShapeError("SB404", f"{what} is given for {listed(value)}, but the window is over {listed(axes)}")
        return tuple(value[axis] for axis in axes)
    if isinstance(value, tuple):
        if len(value) != len(axes):
            raise ShapeError("SB404", f"{what} has {len(value)} numbers for the {len(axes)} axes {listed(axes)}")
        return value
    return (value,) * len(axes)
