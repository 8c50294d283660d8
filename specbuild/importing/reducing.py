"""Reductions over dimensions of traced tensors."""

from __future__ import annotations

from typing import Any

from specbuild.importing.handler_table import per_axis
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, NamedValue, Unsupported


def reduce_value(
    low: Lowerer, op: str, value: NamedValue, dim: Any, keep: bool, **attributes: Any
) -> NamedValue:
    """Reduce the dimensions `dim`, which are not the batch."""
    if dim is None and not any(BATCH in axes for axes in value.dims):
        dim = list(range(len(value.dims)))
    if dim is None:
        raise Unsupported(f"{op} over all dimensions, with the batch", code="SB964")
    dims = [d % len(value.dims) for d in per_axis(dim, 1)]
    for d in dims:
        if value.dims[d] == (BATCH,):
            raise Unsupported(f"{op} over the batch", code="SB964")
        if value.dims[d]:
            value, _ = require_axis(low, value, d)
    over = [value.dims[d][0] for d in dims if value.dims[d]]
    left = {i: d if i not in dims or keep else () for i, d in enumerate(value.dims) if i not in dims or keep}
    if not over:
        return value.with_dims(list(left.values()))
    sizes = {a: 1 if a in over else n for a, n in value.axes.items() if keep or a not in over}
    options: dict[str, Any] = {"over": over[0] if len(over) == 1 else over} | ({"keep": True} if keep else {})
    return low.emit(op, [value], options | attributes, sizes=sizes, dims=list(left.values()))
