"""Reductions over axes."""

from __future__ import annotations

from typing import Any

from specbuild.importing.broadcasting import combine_values
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.reducing import reduce_value
from specbuild.importing.trace import ValueRef

OPS_BY_FUNCTION = {"mean": "mean", "sum": "sum", "amax": "max", "amin": "min", "logsumexp": "logsumexp"}


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


@lowers("norm", "vector_norm")
def lower_norm(
    low: Lowerer, input: Any, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> NamedValue:
    if p == 1:
        return reduce_value(low, "sum", low.emit("abs", [low.value(input)]), dim, keepdim)
    if p not in (2, "fro", None):
        raise Unsupported(f"norm with p = {p}")
    return reduce_value(low, "l2_norm", low.value(input), dim, keepdim)
