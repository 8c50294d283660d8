"""Indexing: parts and positions of dimensions."""

from __future__ import annotations

import math
from typing import Any

from specbuild.importing.layouts import rename_axes, require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Step, Unsupported
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import ValueRef


@lowers("getitem", "__getitem__")
def lower_getitem(low: Lowerer, input: Any, index: Any) -> NamedValue:
    items, value = index if isinstance(index, list) else [index], low.value(input)
    given = sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis in [item for item in items if not isinstance(item, ValueRef)]:
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        items = [*items[:at], *[slice(None)] * (len(value.dims) - given), *items[at + 1 :]]
    if any(isinstance(item, ValueRef) for item in items):
        return gather_value(low, value, items)
    dim = 0
    for item in items:
        if item is None:
            value = value.with_dims([*value.dims[:dim], (), *value.dims[dim:]])
            dim += 1
        elif isinstance(item, slice):
            value = slice_dim(low, value, dim, item)
            dim += 1
        elif isinstance(item, int):
            value = select_position(low, value, dim, item)
        elif isinstance(item, list) and all(isinstance(i, int) and not isinstance(i, bool) for i in item):
            value = take_positions(low, value, dim, item)
            dim += 1
        else:
            raise Unsupported(f"an index {item!r}")
    return value


def slice_dim(low: Lowerer, value: NamedValue, dim: int, item: slice) -> NamedValue:
    size = value.dim_size(dim, low.batch)
    start, stop, step = item.indices(size)
    if (start, stop, step) == (0, size, 1):
        return value
    value, axis = require_axis(low, value, dim)
    attributes: dict[str, Any] = {"over": axis}
    if start:
        attributes["start"] = item.start
    if stop != size:
        attributes["stop"] = item.stop
    if step != 1:
        attributes["step"] = step
    return low.emit("slice", [value], attributes, sizes={axis: len(range(start, stop, step))})


def select_position(low: Lowerer, value: NamedValue, dim: int, index: int) -> NamedValue:
    dims = [*value.dims[:dim], *value.dims[dim + 1 :]]
    if not value.dims[dim]:
        return value.with_dims(dims)
    step = value.source.step
    if isinstance(step, Step) and step.op == "stack" and value.dims[dim][0] == step.attributes["axis"]:
        return select_stacked(low, value, dim, index, step)
    value, axis = require_axis(low, value, dim)
    dims = [*value.dims[:dim], *value.dims[dim + 1 :]]
    sizes = {a: n for a, n in value.axes.items() if a != axis}
    return low.emit("slice", [value], {"over": axis, "at": index}, sizes=sizes, dims=dims)


def select_stacked(low: Lowerer, value: NamedValue, dim: int, index: int, stack: Step) -> NamedValue:
    """Return a position of values that were stacked along the first axis of this dimension: that of one of them."""
    first, *others = value.dims[dim]
    inner = math.prod(value.axes[axis] for axis in others)
    index %= value.axes[first] * inner
    axes = {axis: size for axis, size in value.axes.items() if axis != first}
    dims = [tuple(others) if i == dim else d for i, d in enumerate(value.dims)]
    member = NamedValue(stack.sources[index // inner], axes, tuple(dims), value.dtype)
    return select_position(low, member, dim, index % inner)


def take_positions(low: Lowerer, value: NamedValue, dim: int, positions: list[int]) -> NamedValue:
    """Return the positions of one dimension that a list names."""
    value, axis = require_axis(low, value, dim)
    name = low.unused_axis(axis, value)
    count = value.axes[axis]
    wanted = [i % count for i in positions]
    table = Step(
        "const", {"axes": {name: len(wanted)}, "values": wanted, "dtype": "int32"}, axes={name: len(wanted)}
    )
    index = low.add_step(table, ((name,),), "int32")
    sizes = {name if a == axis else a: len(wanted) if a == axis else n for a, n in value.axes.items()}
    dims = [(name,) if i == dim else d for i, d in enumerate(value.dims)]
    taken = low.emit("gather", [value, index], {"over": axis}, sizes=sizes, dims=dims, roles=("x", "index"))
    return rename_axes(low, taken, {name: axis})


def gather_value(low: Lowerer, value: NamedValue, items: list[Any]) -> NamedValue:
    """Return the positions of one dimension that a tensor of integers names."""
    places = [i for i, item in enumerate(items) if isinstance(item, ValueRef)]
    if len(places) > 1 or any(i not in places and item != slice(None) for i, item in enumerate(items)):
        raise Unsupported("indexing with several tensors")
    [dim] = places
    index = low.value(items[dim])
    if index.dtype != "int32":
        raise Unsupported("indexing with a mask: the size of the result depends on the data", code="SB962")
    value, axis = require_axis(low, value, dim)
    if low.is_free(axis):
        value, axis = require_axis(low, value, dim, "R")
    sizes = {**{a: n for a, n in value.axes.items() if a != axis}, **index.axes}
    dims = [*value.dims[:dim], *index.dims, *value.dims[dim + 1 :]]
    return low.emit("gather", [value, index], {"over": axis}, sizes=sizes, dims=dims, roles=("x", "index"))


@lowers("select")
def lower_select(low: Lowerer, input: Any, dim: int, index: int) -> NamedValue:
    value = low.value(input)
    return select_position(low, value, dim % len(value.dims), index)


@lowers("narrow")
def lower_narrow(low: Lowerer, input: Any, dim: int, start: int, length: int) -> NamedValue:
    value = low.value(input)
    return slice_dim(low, value, dim % len(value.dims), slice(start, start + length))


@lowers("index_select")
def lower_index_select(low: Lowerer, input: Any, dim: int, index: ValueRef) -> NamedValue:
    value = low.value(input)
    return gather_value(low, value, [*[slice(None)] * (dim % len(value.dims)), index])
