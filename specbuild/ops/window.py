"""Windows that slide: what convolutions, pooling and unfolding share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from specbuild.expressions import concrete, expression_of, symbolic_formula
from specbuild.ops.base import AxisStride
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, join_names, spatial_axes

PaddingPair = tuple[int, int]


@dataclass(frozen=True)
class SlidingWindow:
    """A window over `axes`: a number for each of them. `pads` is (before, after), or None for TensorFlow's `same`."""

    axes: tuple[str, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[PaddingPair, ...] | None

    def output_sizes(self, x: TensorType) -> dict[str, int]:
        """The sizes that come out; raises ShapeError where the window does not fit."""
        found = {}
        for i, axis in enumerate(self.axes):
            size, stride, reach = x[axis], self.stride[i], self.effective_size(i)
            if self.pads is None:
                found[axis] = -(-size // stride)
                continue
            before, after = self.pads[i]
            room = size + before + after - reach
            if room < 0:
                raise ShapeError(
                    "SB403",
                    f"a window of {concrete(reach)} does not fit into axis {axis} of size {concrete(size)}"
                    + (f" padded by {concrete(before)} and {concrete(after)}" if before or after else ""),
                    "use a smaller kernel, more padding, or fewer strides before",
                )
            found[axis] = room // stride + 1
        return found

    def axis_strides(self) -> dict[str, AxisStride]:
        """How the places that come out lie on those that the window slides over."""
        return {axis: AxisStride(axis, concrete(n)) for axis, n in zip(self.axes, self.stride, strict=True)}

    def transposed_strides(self) -> dict[str, AxisStride]:
        """The same where windows are spread over a longer axis, as a transposed convolution does."""
        return {
            axis: AxisStride(axis, 1, concrete(n)) for axis, n in zip(self.axes, self.stride, strict=True)
        }

    def effective_size(self, i: int) -> int:
        """How far the window reaches along the i-th axis."""
        kernel, dilation = self.kernel[i], self.dilation[i]
        if expression_of(dilation) is None and dilation == 1:
            return kernel
        return symbolic_formula("d * (k - 1) + 1", d=dilation, k=kernel)  # type: ignore[no-any-return]

    def with_ceil_mode(self) -> SlidingWindow:
        """The window that also takes a last step beyond the end, if it begins before the padding there.

        So much more padding gives that step at every size: PyTorch's `ceil_mode` without the size of the input.
        """
        if self.pads is None:
            return self
        more = [
            (before, min(concrete(after) + concrete(stride), self.effective_size(i)) - 1)
            for i, ((before, after), stride) in enumerate(zip(self.pads, self.stride, strict=True))
        ]
        return replace(self, pads=tuple(more))

    def check_padding(self) -> None:
        """Raises ShapeError if a window could lie wholly in the padding."""
        for i, (axis, pads) in enumerate(zip(self.axes, self.pads or (), strict=False)):
            most = self.effective_size(i) // 2 if pads[0] == pads[1] else self.effective_size(i) - 1
            if max(pads) > most:
                raise ShapeError(
                    "SB403",
                    f"padding of {concrete(max(pads))} along axis {axis} is more than a window of {self.effective_size(i)} can bridge",
                    f"pad by at most {most}",
                )


def build_window(
    x: TensorType, over: tuple[str, ...] | None, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> SlidingWindow:
    """The window that attributes describe on this input; raises ShapeError."""
    axes = window_axes(x, over)
    kernels, strides, dilations = (
        values_per_axis(v, axes, w)
        for v, w in ((kernel, "kernel"), (stride, "stride"), (dilation, "dilation"))
    )
    return SlidingWindow(
        axes, kernels, strides, dilations, resolve_padding(padding, axes, kernels, dilations)
    )


def window_axes(x: TensorType, over: tuple[str, ...] | None) -> tuple[str, ...]:
    """The axes that a window slides over: one to three, and not C; raises ShapeError."""
    axes = over or spatial_axes(x)
    for axis in axes:
        x[axis]
    if CHANNEL in axes:
        raise ShapeError("SB404", "a window slides over places, not over C", "rename the axis first")
    if not 1 <= len(axes) <= 3:
        raise ShapeError(
            "SB404",
            f"a window slides over one to three axes; {x} has {len(axes)} beside C",
            "name them with `over`",
        )
    return axes


def require_other_axis(x: TensorType, axes: tuple[str, ...]) -> None:
    """Raises ShapeError if there is no axis but those that a window slides over."""
    if len(x.sizes) == len(axes):
        raise ShapeError(
            "SB404", f"{x} has no axis beside {join_names(axes)}", "give it the axis C, if only of size 1"
        )


def resolve_padding(
    padding: Any, axes: tuple[str, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[PaddingPair, ...] | None:
    if padding == "tf_same":
        return None
    if padding == "valid":
        return tuple((0, 0) for _ in axes)
    if padding == "same":
        halves = [same_padding(k, d) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((n, n) for n in halves)
    if padding == "causal":
        return tuple((causal_padding(k, d), 0) for k, d in zip(kernel, dilation, strict=True))
    return tuple(p if isinstance(p, tuple) else (p, p) for p in values_per_axis(padding, axes, "padding"))


def transposed_same_padding(window: SlidingWindow) -> tuple[tuple[PaddingPair, ...], tuple[int, ...]]:
    """What Keras' `same` cuts off each side of a transposed convolution, and adds at its end: n * stride is left."""
    more = [window.effective_size(i) - concrete(stride) for i, stride in enumerate(window.stride)]
    return tuple((max(n, 0) // 2, (max(n, 0) + 1) // 2) for n in more), tuple(max(-n, 0) for n in more)


def check_padding_mode(
    mode: str, x: TensorType, axes: tuple[str, ...], pads: tuple[PaddingPair, ...] | None
) -> None:
    """Raises ShapeError if padding cannot be filled in this mode."""
    if mode in ("zeros", "constant"):
        return
    if pads is None:
        raise ShapeError(
            "SB404", f"tf_same pads with zeros, not in the mode {mode}", "give the padding as numbers"
        )
    for axis, sides in zip(axes, pads, strict=True):
        most = {"reflect": concrete(x[axis]) - 1, "circular": concrete(x[axis])}.get(mode)
        if most is not None and max(sides) > most:
            raise ShapeError(
                "SB403",
                f"{mode} padding of {concrete(max(sides))} needs more than axis {axis} of size {concrete(x[axis])} holds",
                f"pad by at most {most}",
            )


def same_padding(kernel: int, dilation: int) -> int:
    """Half a window's reach: k // 2 where it is not dilated."""
    if expression_of(dilation) is None and dilation == 1:
        return symbolic_formula("k // 2", k=kernel)  # type: ignore[no-any-return]
    if expression_of(kernel) is None and kernel % 2:
        return dilation if kernel == 3 else symbolic_formula("n * d", n=kernel // 2, d=dilation)
    return symbolic_formula("(d * (k - 1) + 1) // 2", k=kernel, d=dilation)  # type: ignore[no-any-return]


def causal_padding(kernel: int, dilation: int) -> int:
    """How far a window reaches beyond its first point."""
    before = kernel - 1 if expression_of(kernel) is None else symbolic_formula("k - 1", k=kernel)
    if expression_of(dilation) is None and dilation == 1:
        return before
    return symbolic_formula("d * n", d=dilation, n=before)  # type: ignore[no-any-return]


def values_per_axis(value: Any, axes: tuple[str, ...], what: str) -> tuple[Any, ...]:
    """One value for each axis, from a number, a list in the order of the axes, or a mapping by axis."""
    if isinstance(value, Mapping):
        if set(value) != set(axes):
            raise ShapeError(
                "SB404", f"{what} is given for {join_names(value)}, but the window is over {join_names(axes)}"
            )
        return tuple(value[axis] for axis in axes)
    if isinstance(value, tuple):
        if len(value) != len(axes):
            raise ShapeError(
                "SB404", f"{what} has {len(value)} numbers for the {len(axes)} axes {join_names(axes)}"
            )
        return value
    return (value,) * len(axes)
