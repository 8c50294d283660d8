"""Elementwise ops and concatenations of traced values.

PyTorch matches dimensions by their position, a spec matches axes by their name: the axes of both values get the same names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from specbuild.importing.layouts import drop_axes, rename_axes, require_axis, split_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, Dim, NamedValue, Step, Unsupported
from specbuild.importing.trace import ValueRef

Pair = tuple[NamedValue, NamedValue]


def align_dims(first: NamedValue, second: NamedValue) -> tuple[list[Dim], list[Dim]]:
    """Return the dimensions of both, with empty ones before those of the shorter."""
    count = max(len(first.dims), len(second.dims))
    before: list[Dim] = [()] * count
    return [*before, *first.dims][-count:] if count else [], [*before, *second.dims][-count:] if count else []


def broadcast_values(
    low: Lowerer, first: NamedValue, second: NamedValue, skipped: int | None = None
) -> tuple[NamedValue, NamedValue, list[Dim]]:
    """Give two values the same names of axes at the same positions; returns the dimensions of their sum too.

    `skipped` is a dimension, counted from the end, that need not agree.
    """
    first, second = low.resolve(first), low.resolve(second)
    for index in range(-max(len(first.dims), len(second.dims)), 0):
        if index != skipped:
            first, second = broadcast_dims(low, first, second, index)
    dims = []
    for one, other in zip(*align_dims(first, second), strict=True):
        sizes = [math.prod(low.axis_size(v, a) for a in dim) for v, dim in ((first, one), (second, other))]
        dims.append(one if one and sizes[0] >= sizes[1] else other)
    return first, second, dims


def broadcast_dims(low: Lowerer, first: NamedValue, second: NamedValue, index: int) -> Pair:
    """Give two values the same names at one dimension, counted from the end."""
    one, other = (d[index] for d in align_dims(first, second))
    if one == other or not one or not other:
        return first, second
    sizes = [math.prod(low.axis_size(v, a) for a in dim) for v, dim in ((first, one), (second, other))]
    if 1 in sizes:
        return broadcast_unit_dim(low, first, second, index, sizes)
    if len(one) != len(other):
        return split_like_other(low, first, second, index)
    for mine, yours in zip(one, other, strict=True):
        first, second = unify_axes(low, first, second, low.names.resolve(mine), low.names.resolve(yours))
    return first, second


def unify_axes(low: Lowerer, first: NamedValue, second: NamedValue, mine: str, yours: str) -> Pair:
    """Give two axes of the same size one name."""
    if mine == yours:
        return first, second
    if BATCH in (mine, yours):
        raise Unsupported("the batch is combined with another axis", code="SB964")
    if mine not in second.axes and low.names.can_bind(yours, mine):
        low.names.bind(yours, mine)
    elif yours not in first.axes and low.names.can_bind(mine, yours):
        low.names.bind(mine, yours)
    elif mine in second.axes and yours not in first.axes:
        first = rename_axes(low, first, {mine: yours})
    else:
        names = {yours: mine}
        if mine in second.axes:
            names[mine] = yours if yours not in first.axes else low.unused_axis(f"{mine}2", first, second)
        second = rename_axes(low, second, names)
    return low.resolve(first), low.resolve(second)


def broadcast_unit_dim(
    low: Lowerer, first: NamedValue, second: NamedValue, index: int, sizes: list[int]
) -> Pair:
    """Let a dimension of size 1 take the name of the other, or vanish if it has none."""
    values = [first, second]
    for i in (0, 1):
        axes = align_dims(first, second)[i][index]
        if sizes[i] == 1 and all(a != BATCH and low.is_free(a) for a in axes):
            values[i] = drop_axes(low, values[i], axes)
            return values[0], values[1]
    mine, yours = (d[index] for d in align_dims(first, second))
    if len(mine) == len(yours) == 1:
        if sizes[1] == 1 and mine[0] != BATCH:
            second = rename_axes(low, second, {yours[0]: mine[0]})
        elif sizes[0] == 1 and yours[0] != BATCH:
            first = rename_axes(low, first, {mine[0]: yours[0]})
    return first, second


def split_like_other(low: Lowerer, first: NamedValue, second: NamedValue, index: int) -> Pair:
    """Split the axis of one value where the other has several."""
    values = [first, second]
    dims = [d[index] for d in align_dims(first, second)]
    short = 0 if len(dims[0]) < len(dims[1]) else 1
    long_axes = dims[1 - short]
    if len(dims[short]) != 1 or BATCH in long_axes:
        raise Unsupported("two values are combined whose dimensions consist of different axes", code="SB964")
    sizes = [low.axis_size(values[1 - short], a) for a in long_axes]
    values[short], _ = split_axis(low, values[short], dims[short][0], sizes)
    first, second = map(low.resolve, values)
    return broadcast_dims(low, first, second, index)


# ------------------------------------------------------------------------------------------------ elementwise


def combine_values(low: Lowerer, op: str, first: Any, second: Any, alpha: float = 1) -> NamedValue:
    """Return the result of an elementwise op on two values, or on a value and a number."""
    for number, other, is_swapped in ((first, second, True), (second, first, False)):
        if isinstance(number, int | float):
            return combine_number(
                low, op, low.value(other), number * (1 if is_swapped else alpha), is_swapped
            )
    first, second = low.value(first), low.value(second)
    for table, other, is_swapped in ((first, second, True), (second, first, False)):
        step = table.source.step
        if isinstance(step, Step) and step.op == "const" and step.table.size == 1 and table.dtype == "float":
            low.steps.remove(step)
            for key in [k for k, v in low.values.items() if v.source.step is step]:
                del low.values[key]
            return combine_number(low, op, other, float(step.table), is_swapped)
    if alpha != 1:
        second = low.emit("scale", [second], {"by": alpha})
    first, second, dims = broadcast_values(low, first, second)
    axes = dict(first.axes)
    for axis, size in second.axes.items():
        axes[axis] = max(size, axes.get(axis, 1))
    strict = op in ("add", "subtract", "maximum", "minimum")
    attributes = {"broadcast": True} if strict and first.axes.items() ^ second.axes.items() else {}
    return low.emit(op, [first, second], attributes, sizes=axes, dims=dims)


def combine_number(low: Lowerer, op: str, value: NamedValue, number: float, is_swapped: bool) -> NamedValue:
    """Return the result of an elementwise op on a value and a number, which is the first if `is_swapped`."""
    if op in ("maximum", "minimum"):
        return low.emit("clip", [value], {"min" if op == "maximum" else "max": number})
    if op == "divide" and is_swapped:
        value = low.emit("reciprocal", [value])
        return value if number == 1 else low.emit("scale", [value], {"by": number})
    attributes: dict[str, float] = {
        "add": {"plus": number},
        "multiply": {"by": number},
        "divide": {"by": 1 / number if number else math.inf},
        "subtract": {"by": -1, "plus": number} if is_swapped else {"plus": -number},
    }[op]
    if attributes in ({"plus": 0}, {"by": 1}):
        return value
    return low.emit("scale", [value], attributes)


# ---------------------------------------------------------------------------------------------------- joining


def concat_values(low: Lowerer, arguments: Sequence[Any], dim: int) -> NamedValue:
    """Join values along a dimension; those without a position are left out."""
    values = [low.value(x) for x in arguments]
    dim %= len(values[0].dims)
    arguments = [x for x, value in zip(arguments, values, strict=True) if value.dim_size(dim, low.batch)]
    if len(arguments) == 1:
        return low.value(arguments[0])
    values = [low.value(x) for x in arguments]
    leader = next(
        (i for i, x in enumerate(values) if x.dims[dim] and not any(map(low.is_free, x.dims[dim]))), 0
    )
    values[leader], axis = require_axis(low, values[leader], dim)
    if low.is_free(axis):
        values[leader], axis = require_axis(low, values[leader], dim, low.unused_axis("C", values[leader]))
    for i in range(len(values)):
        if i == leader:
            continue
        values[i] = fill_dim(low, values[i], arguments[i], dim, axis)
        values[i], _ = require_axis(low, values[i], dim, axis)
        values[leader], values[i], _ = broadcast_values(
            low, values[leader], values[i], skipped=dim - len(values[i].dims)
        )
    first = values[leader]
    for i, value in enumerate(values):
        missing = {a: n for a, n in first.axes.items() if a not in value.axes}
        if missing:
            values[i] = low.emit(
                "expand", [value], {"axes": missing}, sizes={**missing, **value.axes}, dims=first.dims
            )
    values = [low.resolve(x) for x in values]
    sizes = {**first.axes, axis: sum(x.axes[axis] for x in values)}
    dims = [(axis,) if i == dim else d for i, d in enumerate(low.resolve(first).dims)]
    return low.emit("concat", values, {} if axis == "C" else {"over": axis}, sizes=sizes, dims=dims)


def fill_dim(low: Lowerer, value: NamedValue, argument: Any, dim: int, axis: str) -> NamedValue:
    """Add an axis to a table that does not have it because its numbers are equal along it."""
    if value.dims[dim] or not isinstance(argument, ValueRef) or axis in value.axes:
        return value
    size = low.trace.values[argument.number].shape[dim]
    if size == 1:
        return value
    dims = [(axis,) if i == dim else d for i, d in enumerate(value.dims)]
    sizes = {axis: size, **value.axes}
    return low.emit("expand", [value], {"axes": {axis: size}}, sizes=sizes, dims=dims)


def stack_values(low: Lowerer, arguments: Sequence[Any], dim: int) -> NamedValue:
    """Join values along a new dimension."""
    values = [low.value(x) for x in arguments]
    for i in range(1, len(values)):
        values[0], values[i], _ = broadcast_values(low, values[0], values[i])
    first = values[0]
    dim %= len(first.dims) + 1
    axis = low.unused_axis("part", first)
    dims = [*first.dims[:dim], (axis,), *first.dims[dim:]]
    sizes = {axis: len(values), **first.axes}
    return low.emit("stack", values, {"axis": axis}, sizes=sizes, dims=dims)
