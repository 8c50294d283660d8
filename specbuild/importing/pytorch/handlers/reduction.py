"""Reductions over axes."""

from __future__ import annotations

from typing import Any

from specbuild.importing.handler_table import per_axis
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.meeting import combine_values
from specbuild.importing.named_values import BATCH, NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import ValueRef

OPS_BY_FUNCTION = {"mean": "mean", "sum": "sum", "amax": "max", "amin": "min", "logsumexp": "logsumexp"}


def reduce_value(
    low: Lowerer, op: str, value: NamedValue, dim: Any, keep: bool, **attributes: Any
) -> NamedValue:
    """Reduce the dimensions `dim`, which are not the batch."""
    if dim is None:
        raise Unsupported(f"{op} over everything, the batch too", code="SB964")
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


def register_reduction(name: str, op: str) -> None:
    @lowers(name)
    def lower_reduction(
        low: Lowerer, input: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None, **numpy: Any
    ) -> NamedValue:
        dim, keepdim = numpy.get("axis", dim), numpy.get("keepdims", keepdim)
        return reduce_value(low, op, low.value(input), dim, keepdim)


for _name, _op in OPS_BY_FUNCTION.items():
    register_reduction(_name, _op)


@lowers("max")
def lower_max(low: Lowerer, input: Any, dim: Any = None, keepdim: bool = False) -> list[NamedValue | None]:
    if isinstance(dim, ValueRef):
        return [combine_values(low, "maximum", input, dim)]
    return [reduce_value(low, "max", low.value(input), dim, keepdim), None]


@lowers("min")
def lower_min(low: Lowerer, input: Any, dim: Any = None, keepdim: bool = False) -> list[NamedValue | None]:
    if isinstance(dim, ValueRef):
        return [combine_values(low, "minimum", input, dim)]
    return [reduce_value(low, "min", low.value(input), dim, keepdim), None]


@lowers("var")
def lower_variance(low: Lowerer, input: Any, dim: Any = None, *rest: Any, **options: Any) -> NamedValue:
    return add_dispersion(low, "variance", input, dim, rest, options)


@lowers("std")
def lower_deviation(low: Lowerer, input: Any, dim: Any = None, *rest: Any, **options: Any) -> NamedValue:
    return add_dispersion(low, "std", input, dim, rest, options)


def add_dispersion(
    low: Lowerer, op: str, x: Any, dim: Any, rest: tuple[Any, ...], options: dict[str, Any]
) -> NamedValue:
    """Add a variance or deviation; `rest` are `unbiased` and `keepdim`."""
    unbiased, keep = [*rest, None, None][:2]
    unbiased, keep = options.get("unbiased", unbiased), options.get("keepdim", keep)
    correction = options.get("correction", 0 if unbiased is False else 1)
    attributes = {} if correction == 1 else {"correction": correction}
    return reduce_value(low, op, low.value(x), dim, bool(keep), **attributes)


@lowers("norm")
def lower_norm(
    low: Lowerer, input: Any, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> NamedValue:
    if p not in (2, "fro", None):
        raise Unsupported(f"norm with p = {p}")
    return reduce_value(low, "l2_norm", low.value(input), dim, keepdim)
