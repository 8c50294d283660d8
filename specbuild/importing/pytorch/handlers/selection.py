"""Comparisons and choices, and what goes along an axis: running sums, positions of the largest, repetition."""

from __future__ import annotations

from typing import Any

from specbuild.importing.broadcasting import broadcast_values
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Unsupported
from specbuild.importing.pytorch.handlers.registry import lowers
from specbuild.importing.trace import FunctionCall

TESTS = {
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
    "eq": "equal",
    **{name: name for name in ("greater", "greater_equal", "less", "less_equal", "not_equal")},
    "ne": "not_equal",
}


def register_comparison(name: str, test: str) -> None:
    @lowers(name)
    def lower_comparison(low: Lowerer, input: Any, other: Any) -> NamedValue:
        value = low.value(input)
        if isinstance(other, int | float):
            return low.emit("compare", [value], {"test": test, "value": other}, dtype="bool")
        first, second, dims = broadcast_values(low, value, low.value(other))
        sizes = {**second.axes, **first.axes}
        return low.emit(
            "compare",
            [first, second],
            {"test": test},
            sizes=sizes,
            dims=dims,
            dtype="bool",
            roles=("x", "other"),
        )


for _name, _test in TESTS.items():
    register_comparison(_name, _test)


@lowers("where")
def lower_where(low: Lowerer, condition: Any, input: Any = None, other: Any = None) -> NamedValue:
    """Choose between two values, or a value and a number."""
    mask = low.value(condition)
    if isinstance(input, int | float):
        if isinstance(other, int | float):
            raise Unsupported("where with two numbers")
        mask, input, other = low.emit("logical_not", [mask]), other, input
    then, mask, dims = broadcast_values(low, low.value(input), mask)
    if isinstance(other, int | float):
        return low.emit("where", [then, mask], {"value": other}, dims=dims, roles=("then", "condition"))
    then, otherwise, dims = broadcast_values(low, then, low.value(other))
    mask = low.resolve(mask)
    sizes = {**otherwise.axes, **then.axes}
    roles = ("then", "condition", "otherwise")
    return low.emit("where", [then, mask, otherwise], sizes=sizes, dims=dims, roles=roles)


@lowers("cumsum")
def lower_cumsum(low: Lowerer, input: Any, dim: int, dtype: Any = None) -> NamedValue:
    value, axis = require_axis(low, low.value(input), dim)
    return low.emit("cumsum", [value], {"over": axis})


@lowers("argmax")
def lower_argmax(low: Lowerer, input: Any, dim: Any = None, keepdim: bool = False) -> NamedValue:
    if dim is None:
        raise Unsupported("argmax over all dimensions, with the batch", code="SB964")
    value, axis = require_axis(low, low.value(input), dim)
    dim %= len(value.dims)
    sizes = {a: 1 if a == axis else n for a, n in value.axes.items() if keepdim or a != axis}
    dims = [d for i, d in enumerate(value.dims) if keepdim or i != dim]
    attributes: dict[str, Any] = {"over": axis} | ({"keep": True} if keepdim else {})
    return low.emit("argmax", [value], attributes, sizes=sizes, dims=dims, dtype="int32")


@lowers("repeat_interleave")
def lower_repeat_interleave(low: Lowerer, input: Any, repeats: Any, dim: Any = None) -> NamedValue:
    if not isinstance(repeats, int) or dim is None:
        raise Unsupported("repeat_interleave with numbers that are computed, or over everything")
    value, axis = require_axis(low, low.value(input), dim)
    sizes = {axis: value.axes[axis] * repeats}
    return low.emit("repeat_interleave", [value], {"over": axis, "times": repeats}, sizes=sizes)


@lowers("nn.Threshold")
def lower_threshold(low: Lowerer, call: FunctionCall, x: Any) -> NamedValue:
    attributes = {"threshold": call.settings["threshold"], "value": call.settings["value"]}
    return low.emit("threshold", [low.value(x)], attributes)
