"""Padding, windows and their sums in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline, scalar
from specbuild.backends.torch.layout import emits, method
from specbuild.backends.torch.ops.convolution import PAD, pads, places
from specbuild.backends.torch.ops.resize import size_of
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result, Unsupported
from specbuild.codegen.tree import Attribute, Expr, Index, Infix, Literal, Name, Slice, TupleOf
from specbuild.expressions import plain
from specbuild.ops.neighbourhood import Fold, Pad, Unfold
from specbuild.ops.types import CHANNEL, Tensor
from specbuild.ops.window import Pair, Window, spread

FOLD = External("F.fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1)")


def around(x: Expr, order: tuple[str, ...], sides: Mapping[str, Pair], **more: Any) -> Expr:
    """A value with something at both ends of axes; `order` are its last dimensions, of which all may be padded."""
    if all(fixed(n, 0) for pair in sides.values() for n in pair):
        return x
    return PAD(x, pads(*(n for axis in reversed(order) for n in sides.get(axis, (0, 0)))), **more)


def padded_from(x: Operand, axes: Iterable[str]) -> tuple[str, ...]:
    """The dimensions from the first one of these axes on."""
    return x.order[min(x.order.index(axis) for axis in axes) :]


@emits(Pad)
def pad(op: Pad, x: Operand, out: Tensor) -> Result:
    sides = op.sides(x.type)
    if op.mode == "constant":
        here = unfolded(x, sides)
        value = plain(op.value) if x.type.dtype == "float" else int(op.value)
        more = {"value": value} if value else {}
        return inline(around(here.expr, padded_from(here, sides), sides, **more), here.layout)
    here = spread_out(x, tuple(sides))
    order = here.order if len(here.order) == len(sides) else here.order[1:]
    return inline(around(here.expr, order, sides, mode=op.mode), here.layout)


def spread_out(x: Operand, axes: tuple[str, ...]) -> Operand:
    """The operand as PyTorch pads it by its own values: one dimension beside one to three that may be padded."""
    if x.layout.batched and x.order[0] not in axes and set(axes) < set(x.order) and len(x.order) <= 4:
        return x
    others = [a for a in (*x.layout.folded, *x.order) if a not in axes]
    if x.layout.batched and others:
        return places(x, axes)
    if x.layout.batched or len(others) == 1:
        return x.unfolded().to(*others, *axes)  # the first dimension stands for C
    raise Unsupported("by its own values it pads only what has a batch or one axis more")


@emits(Unfold)
def unfold(op: Unfold, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = unfolded(x, window.axes)
    sides = dict(zip(window.axes, window.pads or (), strict=True))
    value = around(here.expr, padded_from(here, sides), sides)
    for i, axis in enumerate(window.axes):
        value = method(value, "unfold", here.dim(axis), window.reach(i), window.stride[i])
        if not fixed(window.dilation[i], 1):
            value = Index(value, (Name("..."), Slice(step=literal(window.dilation[i]))))
    n = len(window.axes)
    value = value if n == 1 else method(value, "flatten", -n)
    return inline(value, Layout((*here.order, op.into), here.layout.folded, here.layout.batched))


@emits(Fold)
def fold(op: Fold, x: Operand, like: Operand | None, out: Tensor) -> Result:
    window = op.window(x.type)
    others = [a for a in (*x.layout.folded, *x.order) if a not in (*window.axes, op.axis)]
    if not x.layout.batched:
        raise Unsupported("windows of a value without a batch are not folded")
    channel = CHANNEL if CHANNEL in others else others[-1]
    here = x.to(channel, op.axis, *window.axes, folded=tuple(a for a in others if a != channel))
    axes, halves = window.axes, tuple(before for before, _ in window.pads or ())
    each = sizes(op, here, like, window)
    layout = Layout((channel, *axes), here.layout.folded)
    how: dict[str, tuple[tuple[int, ...], int]] = {
        "dilation": (window.dilation, 1),
        "padding": (halves, 0),
        "stride": (window.stride, 1),
    }
    given = {
        name: value for name, (value, default) in how.items() if not all(fixed(n, default) for n in value)
    }
    value: Expr
    size: Expr
    if len(axes) == 2:
        value = method(method(here.expr, "flatten", 3), "flatten", 1, 2)
        more = {name: scalar(value) for name, value in given.items()}
        size = TupleOf(tuple(each)) if like is None else size_of(like, axes)
        return inline(FOLD(value, size, scalar(window.kernel), **more), layout)
    value = method(here.expr, "flatten", 1, 2)  # F.fold has two axes: the second one is of size 1 here
    more = {name: (*value, how[name][1]) for name, value in given.items()}
    size = TupleOf((*each, Literal(1)))
    return inline(method(FOLD(value, size, (*window.kernel, 1), **more), "squeeze", -1), layout)


def sizes(op: Fold, x: Operand, like: Operand | None, window: Window) -> list[Expr]:
    """The size for each axis: that of another value, the one that is given, or the least, read off the windows."""
    if like is not None:
        there = unfolded(like, window.axes)
        return [Index(Attribute(there.expr, "shape"), (Literal(there.dim(axis)),)) for axis in window.axes]
    if op.size is not None:
        return [literal(n) for n in spread(op.size, window.axes, "size")]
    return [grown(x, window, i) for i in range(len(window.axes))]


def grown(x: Operand, window: Window, i: int) -> Expr:
    """(n - 1) * stride + reach - padding, for n windows."""
    count: Expr = Index(Attribute(x.expr, "shape"), (Literal(x.dim(window.axes[i])),))
    more = window.reach(i) - sum(map(plain, (window.pads or ())[i]))
    if fixed(window.stride[i], 1):
        more -= 1
    else:
        count = Infix("*", Infix("-", count, Literal(1)), literal(window.stride[i]))
    return Infix("+" if more > 0 else "-", count, Literal(abs(more))) if more else count
