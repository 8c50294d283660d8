"""Reshaping, reordering and joining."""

from __future__ import annotations

from typing import Any

from specbuild.importing.broadcasting import concat_values
from specbuild.importing.keras.handlers.registry import lowers, result_shape
from specbuild.importing.layouts import flatten_dims, reshape_value
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, NamedValue, Unsupported
from specbuild.importing.trace import FunctionCall


@lowers("Flatten")
def lower_flatten_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value = low.value(x)
    return value if len(value.dims) == 2 else flatten_dims(low, value, 1, len(value.dims) - 1)


@lowers("Reshape", "ops.Reshape")
def lower_reshape_layer(low: Lowerer, call: FunctionCall, x: Any, *shape: Any, **options: Any) -> NamedValue:
    return reshape_value(low, low.value(x), result_shape(low, call))


@lowers("Permute")
def lower_permute_layer(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    value = low.value(x)
    return value.with_dims([value.dims[0], *(value.dims[d] for d in call.settings["dims"])])


@lowers("ops.Transpose")
def lower_transpose_function(low: Lowerer, call: FunctionCall, x: Any, **options: Any) -> NamedValue:
    value = low.value(x)
    axes = {**call.settings, **options}.get("axes") or list(range(len(value.dims)))[::-1]
    return value.with_dims([value.dims[d] for d in axes])


@lowers("Concatenate", "ops.Concatenate")
def lower_concatenate(low: Lowerer, call: FunctionCall, values: Any, **options: Any) -> NamedValue:
    axis = {**call.settings, **options}.get("axis", -1)
    return concat_values(low, values, -1 if axis is None else axis)


@lowers("ops.ExpandDims")
def lower_expand_dims(low: Lowerer, call: FunctionCall, x: Any, **options: Any) -> NamedValue:
    value = low.value(x)
    dim = {**call.settings, **options}["axis"] % (len(value.dims) + 1)
    return value.with_dims([*value.dims[:dim], (), *value.dims[dim:]])


@lowers("ops.Squeeze")
def lower_squeeze_function(low: Lowerer, call: FunctionCall, x: Any, **options: Any) -> NamedValue:
    value = low.value(x)
    axis = {**call.settings, **options}.get("axis")
    wanted = range(1, len(value.dims)) if axis is None else [axis % len(value.dims)]
    gone_dims = [d for d in wanted if value.dim_size(d, low.batch) == 1]
    gone = [a for d in gone_dims for a in value.dims[d]]
    if BATCH in gone:
        raise Unsupported("squeeze of the batch", code="SB964")
    dims = [d for i, d in enumerate(value.dims) if i not in gone_dims]
    if not gone:
        return value.with_dims(dims)
    sizes = {a: n for a, n in value.axes.items() if a not in gone}
    return low.emit("squeeze", [value], {"over": gone}, sizes=sizes, dims=dims)


@lowers("ops.GetItem")
def lower_item(low: Lowerer, call: FunctionCall, x: Any, key: Any) -> NamedValue:
    """Take whole axes, or one slice of one axis."""
    value = low.value(x)
    keys = list(key) if isinstance(key, list | tuple) else [key]
    if any(not isinstance(k, slice) for k in keys):
        raise Unsupported("an index that is no slice", "use a slice such as x[:, 0:1] and a Reshape")
    for dim, part in enumerate(keys):
        if part == slice(None):
            continue
        [axis] = value.dims[dim] if len(value.dims[dim]) == 1 else [BATCH]
        if axis == BATCH:
            raise Unsupported("a slice of the batch", code="SB964")
        start, stop, step = part.indices(value.axes[axis])
        attributes: dict[str, Any] = {"over": axis} | ({"start": start} if start else {})
        attributes |= ({"stop": stop} if stop < value.axes[axis] else {}) | (
            {"step": step} if step != 1 else {}
        )
        value = low.emit("slice", [value], attributes, sizes={axis: len(range(start, stop, step))})
    return value
