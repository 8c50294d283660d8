"""Sliding windows, as convolution, pooling and unfolding use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete, expression_of, symbolic_formula
from specbuild.ops.base import AxisStride
from specbuild.ops.types import CHANNEL, MAX_AXIS, ShapeError, TensorType, spatial_axes

PaddingPair = tuple[int, int]


class SlidingWindow(Struct, frozen=True):
    """A sliding window over `axes`; the other fields have one entry for each of them.

    `pads` is (before, after) for each axis, or None for TensorFlow's `same`, which depends on the size.
    """

    axes: tuple[str, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[PaddingPair, ...] | None

    def output_sizes(self, x: TensorType) -> dict[str, int]:
        """Return the output sizes on an input; raises ShapeError SB403 if the window does not fit."""
        sizes = {}
        for i, axis in enumerate(self.axes):
            size, stride, length = x[axis], self.stride[i], self.effective_size(i)
            if self.pads is None:
                sizes[axis] = -(-size // stride)
                continue
            before, after = self.pads[i]
            room = size + before + after - length
            if room < 0:
                raise ShapeError(
                    "SB403",
                    f"a window of {concrete(length)} does not fit into axis {axis} of size {concrete(size)}"
                    + (f" padded by {concrete(before)} and {concrete(after)}" if before or after else ""),
                    "use a smaller kernel, more padding, or smaller strides before",
                )
            sizes[axis] = room // stride + 1
        return sizes

    def axis_strides(self) -> dict[str, AxisStride]:
        """Return the strides of the output axes."""
        return {axis: AxisStride(axis, concrete(n)) for axis, n in zip(self.axes, self.stride, strict=True)}

    def transposed_strides(self) -> dict[str, AxisStride]:
        """Return the strides of the output axes of a transposed convolution, which are fractions."""
        return {
            axis: AxisStride(axis, 1, concrete(n)) for axis, n in zip(self.axes, self.stride, strict=True)
        }

    def effective_size(self, i: int) -> int:
        """Return the length of the window along the i-th axis, including dilation."""
        kernel, dilation = self.kernel[i], self.dilation[i]
        if expression_of(dilation) is None and dilation == 1:
            return kernel
        return symbolic_formula("d * (k - 1) + 1", d=dilation, k=kernel)  # type: ignore[no-any-return]

    def with_ceil_mode(self) -> SlidingWindow:
        """Return the window with PyTorch's `ceil_mode`, expressed as more padding at the end, for any input size.

        With it, a last window that starts before the padding at the end may extend beyond it.
        """
        if self.pads is None:
            return self
        more = [
            (before, symbolic_formula("min(a + s, k) - 1", a=after, s=stride, k=self.effective_size(i)))
            for i, ((before, after), stride) in enumerate(zip(self.pads, self.stride, strict=True))
        ]
        return replace(self, pads=tuple(more))

    def check_padding(self) -> None:
        """Raise ShapeError SB403 if a window could lie entirely in the padding."""
        for i, (axis, pads) in enumerate(zip(self.axes, self.pads or (), strict=False)):
            length = self.effective_size(i)
            most = length // 2 if pads[0] == pads[1] else length - 1
            if max(pads) > most:
                padding = concrete(max(pads))
                raise ShapeError(
                    "SB403",
                    f"padding of {padding} along axis {axis} is too large for a window of {length}",
                    f"pad by at most {most}",
                )


def build_window(
    x: TensorType, over: tuple[str, ...] | None, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> SlidingWindow:
    """Return the window that an op's attributes describe for an input; raises ShapeError SB404 or SB504."""
    axes = window_axes(x, over)
    kernels = values_per_axis(kernel, axes, "kernel")
    strides = values_per_axis(stride, axes, "stride")
    dilations = values_per_axis(dilation, axes, "dilation")
    for name, values in (("kernel", kernels), ("stride", strides), ("dilation", dilations)):
        if (largest := max(map(concrete, values))) > MAX_AXIS:
            raise ShapeError(
                "SB504", f"{name} {largest:,} is too large", f"the largest size of an axis is {MAX_AXIS:,}"
            )
    pads = resolve_padding(padding, axes, kernels, dilations)
    return SlidingWindow(axes, kernels, strides, dilations, pads)


def window_axes(x: TensorType, over: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the axes that a window slides over: one to three, without C; raises ShapeError SB404."""
    axes = over or spatial_axes(x)
    for axis in axes:
        x[axis]
    if CHANNEL in axes:
        raise ShapeError("SB404", "a window cannot slide over the axis C", "rename the axis first")
    if not 1 <= len(axes) <= 3:
        raise ShapeError(
            "SB404",
            f"a window slides over one to three axes; {x} has {len(axes)} beside C",
            "name them with `over`",
        )
    return axes


def require_other_axis(x: TensorType, axes: tuple[str, ...]) -> None:
    """Raise ShapeError SB404 if `x` has no other axes than `axes`."""
    if len(x.sizes) == len(axes):
        raise ShapeError(
            "SB404", f"{x} has no axis beside {join_names(axes)}", "add an axis C, for example of size 1"
        )


def resolve_padding(
    padding: Any, axes: tuple[str, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[PaddingPair, ...] | None:
    """(before, after) for each axis; None for TensorFlow's `same`."""
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
    """Return padding and output padding of a transposed convolution with Keras' `same`, for size n * stride."""
    excess = [window.effective_size(i) - concrete(stride) for i, stride in enumerate(window.stride)]
    return tuple((max(n, 0) // 2, (max(n, 0) + 1) // 2) for n in excess), tuple(max(-n, 0) for n in excess)


def check_padding_mode(
    mode: str, x: TensorType, axes: tuple[str, ...], pads: tuple[PaddingPair, ...] | None
) -> None:
    """Raise ShapeError SB403 or SB404 if padding is not possible in this mode."""
    if mode in ("zeros", "constant"):
        return
    if pads is None:
        raise ShapeError(
            "SB404", f"tf_same cannot be used with the padding mode {mode}", "give the padding as numbers"
        )
    for axis, sides in zip(axes, pads, strict=True):
        most = {"reflect": concrete(x[axis]) - 1, "circular": concrete(x[axis])}.get(mode)
        if most is not None and max(sides) > most:
            padding, size = concrete(max(sides)), concrete(x[axis])
            raise ShapeError(
                "SB403",
                f"{mode} padding of {padding} is too large for axis {axis} of size {size}",
                f"pad by at most {most}",
            )


def same_padding(kernel: int, dilation: int) -> int:
    """Return the symmetric padding that keeps the size of an axis: k // 2 without dilation."""
    if expression_of(dilation) is None and dilation == 1:
        return symbolic_formula("k // 2", k=kernel)  # type: ignore[no-any-return]
    if expression_of(kernel) is None and kernel % 2:
        return dilation if kernel == 3 else symbolic_formula("n * d", n=kernel // 2, d=dilation)
    return symbolic_formula("(d * (k - 1) + 1) // 2", k=kernel, d=dilation)  # type: ignore[no-any-return]


def causal_padding(kernel: int, dilation: int) -> int:
    """Return the padding before the first position: dilation * (kernel - 1)."""
    before = kernel - 1 if expression_of(kernel) is None else symbolic_formula("k - 1", k=kernel)
    if expression_of(dilation) is None and dilation == 1:
        return before
    return symbolic_formula("d * n", d=dilation, n=before)  # type: ignore[no-any-return]


def values_per_axis(value: Any, axes: tuple[str, ...], name: str) -> tuple[Any, ...]:
    """Return one value for each axis, from one number, a list in the order of the axes, or a mapping.

    Raises ShapeError SB404; `name` is the attribute in its message.
    """
    if isinstance(value, Mapping):
        if set(value) != set(axes):
            raise ShapeError(
                "SB404", f"{name} is given for {join_names(value)}, but the window is over {join_names(axes)}"
            )
        return tuple(value[axis] for axis in axes)
    if isinstance(value, tuple):
        if len(value) != len(axes):
            raise ShapeError(
                "SB404",
                f"{name} has {len(value)} numbers for the {len(axes)} axes {join_names(axes)}",
                f"write one number for all axes, such as `{name}: {concrete(value[0])}`, or one for each",
            )
        return value
    return (value,) * len(axes)
