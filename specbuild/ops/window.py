"""Windows that slide: what convolutions, pooling and unfolding share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from specbuild.expressions import formula, plain, words
from specbuild.ops.base import Places
from specbuild.ops.types import CHANNEL, ShapeError, Tensor, listed, spatial

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """A window over `axes`: a number for each of them. `pads` is (before, after), or None for TensorFlow's `same`."""

    axes: tuple[str, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[Pair, ...] | None

    def sizes(self, x: Tensor) -> dict[str, int]:
        """The sizes that come out; raises ShapeError where the window does not fit."""
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
            found[axis] = room // stride + 1
        return found

    def places(self) -> dict[str, Places]:
        """How the places that come out lie on those that the window slides over."""
        return {axis: Places(axis, plain(n)) for axis, n in zip(self.axes, self.stride, strict=True)}

    def spread_places(self) -> dict[str, Places]:
        """The same where windows are spread over a longer axis, as a transposed convolution does."""
        return {axis: Places(axis, 1, plain(n)) for axis, n in zip(self.axes, self.stride, strict=True)}

    def reach(self, i: int) -> int:
        """How far the window reaches along the i-th axis."""
        kernel, dilation = self.kernel[i], self.dilation[i]
        if words(dilation) is None and dilation == 1:
            return kernel
        return formula("d * (k - 1) + 1", d=dilation, k=kernel)  # type: ignore[no-any-return]

    def ceiled(self) -> Window:
        """The window that also takes a last step beyond the end, if it begins before the padding there.

        So much more padding gives that step at every size: PyTorch's `ceil_mode` without the size of the input.
        """
        if self.pads is None:
            return self
        more = [
            (before, min(plain(after) + plain(stride), self.reach(i)) - 1)
            for i, ((before, after), stride) in enumerate(zip(self.pads, self.stride, strict=True))
        ]
        return replace(self, pads=tuple(more))

    def covers(self) -> None:
        """Raises ShapeError if a window could lie wholly in the padding."""
        for i, (axis, pads) in enumerate(zip(self.axes, self.pads or (), strict=False)):
            most = self.reach(i) // 2 if pads[0] == pads[1] else self.reach(i) - 1
            if max(pads) > most:
                raise ShapeError(
                    "SB403",
                    f"padding of {plain(max(pads))} along axis {axis} is more than a window of {self.reach(i)} can bridge",
                    f"pad by at most {most}",
                )


def window(
    x: Tensor, over: tuple[str, ...] | None, kernel: Any, stride: Any, padding: Any, dilation: Any = 1
) -> Window:
    """The window that attributes describe on this input; raises ShapeError."""
    axes = slid(x, over)
    kernels, strides, dilations = (
        spread(v, axes, w) for v, w in ((kernel, "kernel"), (stride, "stride"), (dilation, "dilation"))
    )
    return Window(axes, kernels, strides, dilations, padded(padding, axes, kernels, dilations))


def slid(x: Tensor, over: tuple[str, ...] | None) -> tuple[str, ...]:
    """The axes that a window slides over: one to three, and not C; raises ShapeError."""
    axes = over or spatial(x)
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


def beside(x: Tensor, axes: tuple[str, ...]) -> None:
    """Raises ShapeError if there is no axis but those that a window slides over."""
    if len(x.sizes) == len(axes):
        raise ShapeError(
            "SB404", f"{x} has no axis beside {listed(axes)}", "give it the axis C, if only of size 1"
        )


def padded(
    padding: Any, axes: tuple[str, ...], kernel: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Pair, ...] | None:
    if padding == "tf_same":
        return None
    if padding == "valid":
        return tuple((0, 0) for _ in axes)
    if padding == "same":
        halves = [half(k, d) for k, d in zip(kernel, dilation, strict=True)]
        return tuple((n, n) for n in halves)
    if padding == "causal":
        return tuple((span(k, d), 0) for k, d in zip(kernel, dilation, strict=True))
    return tuple(p if isinstance(p, tuple) else (p, p) for p in spread(padding, axes, "padding"))


def transposed(window: Window) -> tuple[tuple[Pair, ...], tuple[int, ...]]:
    """What Keras' `same` cuts off each side of a transposed convolution, and adds at its end: n * stride is left."""
    more = [window.reach(i) - plain(stride) for i, stride in enumerate(window.stride)]
    return tuple((max(n, 0) // 2, (max(n, 0) + 1) // 2) for n in more), tuple(max(-n, 0) for n in more)


def fill(mode: str, x: Tensor, axes: tuple[str, ...], pads: tuple[Pair, ...] | None) -> None:
    """Raises ShapeError if padding cannot be filled in this mode."""
    if mode in ("zeros", "constant"):
        return
    if pads is None:
        raise ShapeError(
            "SB404", f"tf_same pads with zeros, not in the mode {mode}", "give the padding as numbers"
        )
    for axis, sides in zip(axes, pads, strict=True):
        most = {"reflect": plain(x[axis]) - 1, "circular": plain(x[axis])}.get(mode)
        if most is not None and max(sides) > most:
            raise ShapeError(
                "SB403",
                f"{mode} padding of {plain(max(sides))} needs more than axis {axis} of size {plain(x[axis])} holds",
                f"pad by at most {most}",
            )


def half(kernel: int, dilation: int) -> int:
    """Half a window's reach: k // 2 where it is not dilated."""
    if words(dilation) is None and dilation == 1:
        return formula("k // 2", k=kernel)  # type: ignore[no-any-return]
    if words(kernel) is None and kernel % 2:
        return dilation if kernel == 3 else formula("n * d", n=kernel // 2, d=dilation)
    return formula("(d * (k - 1) + 1) // 2", k=kernel, d=dilation)  # type: ignore[no-any-return]


def span(kernel: int, dilation: int) -> int:
    """How far a window reaches beyond its first point."""
    before = kernel - 1 if words(kernel) is None else formula("k - 1", k=kernel)
    if words(dilation) is None and dilation == 1:
        return before
    return formula("d * n", d=dilation, n=before)  # type: ignore[no-any-return]


def spread(value: Any, axes: tuple[str, ...], what: str) -> tuple[Any, ...]:
    """One value for each axis, from a number, a list in the order of the axes, or a mapping by axis."""
    if isinstance(value, Mapping):
        if set(value) != set(axes):
            raise ShapeError(
                "SB404", f"{what} is given for {listed(value)}, but the window is over {listed(axes)}"
            )
        return tuple(value[axis] for axis in axes)
    if isinstance(value, tuple):
        if len(value) != len(axes):
            raise ShapeError(
                "SB404", f"{what} has {len(value)} numbers for the {len(axes)} axes {listed(axes)}"
            )
        return value
    return (value,) * len(axes)
