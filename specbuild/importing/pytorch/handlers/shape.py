"""Reordering, reshaping, slicing, joining and splitting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from specbuild.importing.broadcasting import broadcast_values, concat_values, stack_values
from specbuild.importing.handler_table import per_axis
from specbuild.importing.layouts import drop_axes, flatten_dims, require_axis, reshape_value
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, NamedValue, Unsupported, ValueSource
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.slicing import default_part_names
from specbuild.importing.trace import FunctionCall, Opaque, ValueRef


def list_sizes(sizes: Sequence[Any]) -> list[int]:
    """Return sizes that are given one by one or as one list."""
    return [int(n) for n in (sizes[0] if len(sizes) == 1 and isinstance(sizes[0], list) else sizes)]


@lowers("flatten")
def lower_flatten(low: Lowerer, input: Any, start_dim: int = 0, end_dim: int = -1) -> NamedValue:
    value = low.value(input)
    count = len(value.dims)
    return flatten_dims(low, value, start_dim % count, end_dim % count)


@lowers("nn.Flatten")
def lower_flatten_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_flatten(low, x, call.settings["start_dim"], call.settings["end_dim"])


@lowers("view", "reshape")
def lower_reshape(low: Lowerer, input: Any, *sizes: Any, shape: Any = None, size: Any = None) -> NamedValue:
    sizes = sizes or (shape or size,)
    if isinstance(sizes[0], Opaque):
        return low.value(input)
    return reshape_samples(low, input, list_sizes(sizes))


def reshape_samples(low: Lowerer, input: Any, shape: Sequence[int]) -> NamedValue:
    """Return a value in another shape. A value that was only repeated for the batch is still the same for all samples."""
    value = low.value(input)
    traced = low.trace.values[input.number].shape if isinstance(input, ValueRef) else ()
    if not value.dims or value.dims[0] or not traced or not traced[0] == shape[0] == low.batch:
        return reshape_value(low, value, shape)
    rest = reshape_value(low, value.with_dims(value.dims[1:]), shape[1:])
    return rest.with_dims([(), *rest.dims])


@lowers("reshape_as", "view_as")
def lower_reshape_like(low: Lowerer, input: Any, other: ValueRef) -> NamedValue:
    return reshape_samples(low, input, low.trace.values[other.number].shape)


@lowers("unflatten")
def lower_unflatten(low: Lowerer, input: Any, dim: int, sizes: Any) -> NamedValue:
    value = low.value(input)
    shape = [value.dim_size(i, low.batch) for i in range(len(value.dims))]
    dim, new = dim % len(shape), list(sizes)
    if -1 in new:
        new[new.index(-1)] = shape[dim] // -math.prod(new)
    return reshape_value(low, value, [*shape[:dim], *new, *shape[dim + 1 :]])


@lowers("nn.Unflatten")
def lower_unflatten_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    return lower_unflatten(low, x, call.settings["dim"], call.settings["unflattened_size"])


@lowers("permute")
def lower_permute(low: Lowerer, input: Any, *order: Any, dims: Any = None) -> NamedValue:
    value = low.value(input)
    return value.with_dims([value.dims[d] for d in list_sizes(order or (dims,))])


@lowers("transpose", "swapaxes", "swapdims")
def lower_transpose(low: Lowerer, input: Any, dim0: int, dim1: int) -> NamedValue:
    value = low.value(input)
    dims = list(value.dims)
    dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
    return value.with_dims(dims)


@lowers("t", "T")
def lower_reverse(low: Lowerer, input: Any) -> NamedValue:
    value = low.value(input)
    return value.with_dims(value.dims[::-1])


@lowers("mT")
def lower_matrix_transpose(low: Lowerer, input: Any) -> NamedValue:
    return lower_transpose(low, input, -1, -2)


@lowers("movedim", "moveaxis")
def lower_movedim(low: Lowerer, input: Any, source: Any, destination: Any) -> NamedValue:
    value = low.value(input)
    if not isinstance(source, int):
        raise Unsupported("movedim of several dimensions")
    dims = list(value.dims)
    moved = dims.pop(source)
    dims.insert(destination % len(value.dims), moved)
    return value.with_dims(dims)


@lowers("unsqueeze")
def lower_unsqueeze(low: Lowerer, input: Any, dim: int) -> NamedValue:
    value = low.value(input)
    dim %= len(value.dims) + 1
    return value.with_dims([*value.dims[:dim], (), *value.dims[dim:]])


@lowers("squeeze")
def lower_squeeze(low: Lowerer, input: Any, dim: Any = None) -> NamedValue:
    value = low.value(input)
    wanted = range(len(value.dims)) if dim is None else [d % len(value.dims) for d in per_axis(dim, 1)]
    gone_dims = [d for d in wanted if BATCH not in value.dims[d] and value.dim_size(d, low.batch) == 1]
    gone = [axis for d in gone_dims for axis in value.dims[d]]
    dims = [d for i, d in enumerate(value.dims) if i not in gone_dims]
    if all(map(low.is_free, gone)):
        return drop_axes(low, value.with_dims(dims), tuple(gone))
    sizes = {a: n for a, n in value.axes.items() if a not in gone}
    return low.emit("squeeze", [value], {"over": gone}, sizes=sizes, dims=dims)


@lowers("expand", "expand_copy")
def lower_expand(low: Lowerer, input: Any, *sizes: Any, size: Any = None) -> NamedValue:
    value, shape = low.value(input), list_sizes(sizes or (size,))
    value = value.with_dims([()] * (len(shape) - len(value.dims)) + list(value.dims))
    dims, new = list(value.dims), {}
    for i, wanted in enumerate(shape):
        axes = value.dims[i]
        if wanted in (-1, value.dim_size(i, low.batch)):
            continue
        if i == 0 and wanted == low.batch and all(map(low.is_free, axes)):
            value = drop_axes(low, value, axes)
            dims[0] = (BATCH,)
        elif not axes:
            if i == 0 and wanted == low.batch:
                raise Unsupported("expand along the batch", code="SB964")
            dims[i] = (low.names.new_placeholder(),)
            new[dims[i][0]] = wanted
        # else: a size of 1 gives way where it meets another
    if new:
        return low.emit("expand", [value], {"axes": new}, sizes={**new, **value.axes}, dims=dims)
    return name_tokens(low, value.with_dims(dims))


def name_tokens(low: Lowerer, value: NamedValue) -> NamedValue:
    """Name the two axes of a weight that is repeated for each sample: tokens and features."""
    first, *others = value.dims
    if (
        first == (BATCH,)
        and len(others) == 2
        and all(len(dim) == 1 and low.is_free(dim[0]) for dim in others)
    ):
        for [axis], name in zip(others, ("T", "C"), strict=True):
            if value.axes[axis] > 1:
                low.names.bind(axis, name)
    return low.resolve(value)


@lowers("expand_as")
def lower_expand_like(low: Lowerer, input: Any, other: Any) -> NamedValue:
    like, value, _ = broadcast_values(low, low.value(other), low.value(input))
    missing = {
        a: n for dim in like.dims for a in dim if a != BATCH for n in (like.axes[a],) if a not in value.axes
    }
    if not missing or len(value.dims) != len(like.dims) or like.dims[0] != value.dims[0]:
        return lower_expand(low, value, list(low.trace.values[other.number].shape))
    return low.emit("expand", [value], {"axes": missing}, sizes={**like.axes, **value.axes}, dims=like.dims)


@lowers("repeat", "tile")
def lower_repeat(low: Lowerer, input: Any, *times: Any) -> NamedValue:
    value, counts = low.value(input), list_sizes(times)
    counts = [1] * (len(value.dims) - len(counts)) + counts  # the last dimensions
    value = value.with_dims([()] * (len(counts) - len(value.dims)) + list(value.dims))
    has_batch = any(BATCH in dim for dim in value.dims)
    for i, count in enumerate(counts):
        axes = value.dims[i]
        if count == 1:
            continue
        if BATCH in axes:
            raise Unsupported("a repeat of the samples", code="SB964")
        if value.dim_size(i, low.batch) == 1 and all(map(low.is_free, axes)):
            value = drop_axes(low, value, axes)
            new = BATCH if count == low.batch and not has_batch else low.names.new_placeholder()
            has_batch = has_batch or new == BATCH
            dims = [(new,) if k == i else d for k, d in enumerate(value.dims)]
            sizes = {new: count, **value.axes}
            repeated = (
                low.emit("expand", [value], {"axes": {new: count}}, sizes=sizes, dims=dims)
                if new != BATCH
                else None
            )
            value = repeated or name_tokens(low, value.with_dims(dims))
            continue
        value, axis = require_axis(low, value, i)
        sizes = {axis: value.axes[axis] * count}
        value = low.emit("tile", [value], {"over": axis, "times": count}, sizes=sizes)
    return value


# ----------------------------------------------------------------------------------------- joining, splitting


@lowers("cat", "concat", "concatenate")
def lower_concat(low: Lowerer, tensors: Any, dim: int = 0, axis: int | None = None) -> NamedValue:
    dim = dim if axis is None else axis
    return concat_values(low, tensors, dim) if len(tensors) > 1 else low.value(tensors[0])


@lowers("stack")
def lower_stack(low: Lowerer, tensors: Any, dim: int = 0) -> NamedValue:
    return stack_values(low, tensors, dim)


def split_value(low: Lowerer, value: NamedValue, dim: int, sizes: Sequence[int]) -> list[NamedValue | None]:
    """Split a value along a dimension into parts of these sizes."""
    if len(sizes) == 1:
        return [value]
    value, axis = require_axis(low, value, dim)
    names = default_part_names(len(sizes))
    into = list(names) if len(set(sizes)) == 1 else dict(zip(names, sizes, strict=True))
    attributes: dict[str, Any] = ({} if axis == "C" else {"over": axis}) | {"into": into}
    split = low.emit("split", [value], attributes, hint="parts")
    return [
        NamedValue(ValueSource(split.source.step, name), {**value.axes, axis: size}, value.dims, value.dtype)
        for name, size in zip(names, sizes, strict=True)
    ]


@lowers("chunk", "tensor_split")
def lower_chunk(low: Lowerer, input: Any, chunks: int, dim: int = 0) -> list[NamedValue | None]:
    value = low.value(input)
    size = value.dim_size(dim, low.batch)
    step = -(-size // chunks)
    return split_value(low, value, dim, [min(step, size - start) for start in range(0, size, step)])


@lowers("split", "split_with_sizes")
def lower_split(
    low: Lowerer, input: Any, split_size_or_sections: Any = None, dim: int = 0, split_size: Any = None
) -> list[NamedValue | None]:
    value, sections = low.value(input), split_size_or_sections or split_size
    if isinstance(sections, list):
        return split_value(low, value, dim, sections)
    size = value.dim_size(dim, low.batch)
    return split_value(low, value, dim, [min(sections, size - i) for i in range(0, size, sections)])


@lowers("unbind")
def lower_unbind(low: Lowerer, input: Any, dim: int = 0) -> list[NamedValue | None]:
    value, axis = require_axis(low, low.value(input), dim)
    dim %= len(value.dims)
    sizes = {a: n for a, n in value.axes.items() if a != axis}
    dims = [d for i, d in enumerate(value.dims) if i != dim]
    count = value.axes[axis]
    names = default_part_names(count)
    attributes = {"over": axis, "into": list(names), "keep": False}
    split = low.emit("split", [value], attributes, sizes=sizes, dims=dims, hint="parts")
    return [
        NamedValue(ValueSource(split.source.step, name), sizes, tuple(dims), value.dtype) for name in names
    ]


@lowers("roll")
def lower_roll(low: Lowerer, input: Any, shifts: Any, dims: Any = None) -> NamedValue:
    value, shift = low.value(input), {}
    for dim, amount in zip(per_axis(dims, 1), per_axis(shifts, 1), strict=True):
        value, axis = require_axis(low, value, dim)
        if amount:
            shift[axis] = amount
    return low.emit("roll", [value], {"shift": shift}) if shift else value


@lowers("flip")
def lower_flip(low: Lowerer, input: Any, *order: Any, dims: Any = None) -> NamedValue:
    value, over = low.value(input), []
    for dim in list_sizes(order or (dims,)):
        value, axis = require_axis(low, value, dim)
        over.append(axis)
    return low.emit("flip", [value], {"over": over})
