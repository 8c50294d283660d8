"""Evaluate an expression: one small function for each kind of syntax node. No Python code is executed."""

from __future__ import annotations

import ast
import math
import operator
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from specbuild.expressions.errors import (
    ExpressionError,
    describe_kind,
    quote_node,
    too_large_error,
    unknown_error,
    unknown_name_error,
    wrong_kind_error,
)
from specbuild.expressions.expression_tree import Expression
from specbuild.expressions.input_values import InputList, OptionalInput
from specbuild.expressions.parser import is_bounded

Value: TypeAlias = "int | float | bool | str | list[Value] | tuple[Value, ...] | None"
Env: TypeAlias = Mapping[str, "Value | Mapping[str, Value]"]


class EnvWithLets(Mapping[str, "Value | Mapping[str, Value]"]):
    """An env with `let` names for truth values, texts and lists; numbers carry their expression themselves.

    `let_expressions` has the expression of each of these names, or None if emitted code cannot contain it.
    """

    @property
    @abstractmethod
    def let_expressions(self) -> Mapping[str, Expression | None]: ...

    @abstractmethod
    def is_runtime_size(self, name: str) -> bool:
        """Return whether code reads the size of this name when it runs."""

    @abstractmethod
    def note_fixed_sizes(self, names: Collection[str]) -> None:
        """Note that a value that follows from these sizes has become one that code has as it is."""


MAX_ITEMS = 10_000
MAX_EXPONENT = 53  # an integer other than -1, 0 and 1 to a higher power exceeds 2^53

_NUMBER_TYPES = (int, float)
_LIST_TYPES = (list, tuple)
_VALUE_TYPES = (int, float, str, list, tuple, type(None))


def evaluate_tree(node: ast.expr, env: Env) -> Value:
    """Return the value of a tree that `parse_tree` accepted."""
    return _EVALUATORS[type(node)](node, env)


def _evaluate_constant(node: ast.Constant, env: Env) -> Any:
    return node.value


def _evaluate_name(node: ast.Name, env: Env) -> Value:
    try:
        value = env[node.id]
    except KeyError:
        raise unknown_name_error(node.id, env) from None
    if isinstance(value, _VALUE_TYPES):
        return value
    if not isinstance(value, Mapping):
        raise ExpressionError("SB305", f"{node.id!r} is not a value that an expression can use")
    raise _not_a_number_error(node.id, value)


def _evaluate_axis(node: ast.Attribute, env: Env) -> Value:
    size = _read_attribute(node, env)
    if isinstance(size, Mapping):
        raise _not_a_number_error(ast.unparse(node), size)
    return size


def _read_attribute(node: ast.Attribute, env: Env) -> Value | Mapping[str, Value]:
    """Return the size of an axis, `x.C`, or all sizes of a value inside another: `body.stem` in `body.stem.C`."""
    path = ast.unparse(node.value)
    axes: Value | Mapping[str, Value]
    if isinstance(node.value, ast.Attribute):
        axes = _read_attribute(node.value, env)
    elif isinstance(node.value, ast.Subscript):
        axes = _evaluate_item(node.value, env)
    elif path in env:
        axes = env[path]
    else:
        raise unknown_name_error(path, env, is_value=False)
    if isinstance(axes, InputList) and node.attr.isdigit():
        axes = {str(i): sizes for i, sizes in enumerate(axes)}  # type: ignore[misc]
    if not isinstance(axes, Mapping):
        raise ExpressionError("SB305", f"{path!r} is {describe_kind(axes)} and has no axes")
    if isinstance(axes, OptionalInput) and not axes.is_given:
        hint = f"ask before: `{path}.{node.attr} if given({path}) else 1`"
        raise ExpressionError("SB305", f"the input {path} is not given here, so it has no sizes", hint)
    if node.attr not in axes:
        raise unknown_error(f"{path!r} has no axis {node.attr!r}", node.attr, axes)
    return axes[node.attr]


def _not_a_number_error(path: str, axes: Mapping[str, Value]) -> ExpressionError:
    hint = f"read the size of an axis: {', '.join(f'{path}.{axis}' for axis in axes)}" if axes else ""
    return ExpressionError("SB305", f"{path!r} has axes and is not a number", hint)


def _evaluate_item(node: ast.Subscript, env: Env) -> Value:
    items, index = _evaluate_items(node.value, env), evaluate_tree(node.slice, env)
    if not isinstance(index, int) or isinstance(index, bool):
        raise wrong_kind_error(node.slice, index, "a whole number")
    if not -len(items) <= index < len(items):
        count = "1 item" if len(items) == 1 else f"{len(items)} items"
        message = f"{quote_node(node)} asks for item {index} of a list of {count}"
        raise ExpressionError("SB304", message, "items are counted from 0")
    return items[index]


def _evaluate_list(node: ast.List, env: Env) -> Value:
    return [evaluate_tree(item, env) for item in node.elts]


def _evaluate_binary(node: ast.BinOp, env: Env) -> Value:
    left, right = _evaluate_number(node.left, env), _evaluate_number(node.right, env)
    return _call_checked(node, _BINARY_OPERATORS[type(node.op)], left, right)


def _evaluate_unary(node: ast.UnaryOp, env: Env) -> Value:
    if isinstance(node.op, ast.Not):
        return not _evaluate_truth(node.operand, env)
    value = _evaluate_number(node.operand, env)
    return -value if isinstance(node.op, ast.USub) else +value


def _evaluate_boolean(node: ast.BoolOp, env: Env) -> Value:
    combine = all if isinstance(node.op, ast.And) else any
    return combine(_evaluate_truth(part, env) for part in node.values)


def _evaluate_comparison(node: ast.Compare, env: Env) -> Value:
    left_node, left = node.left, evaluate_tree(node.left, env)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = evaluate_tree(right_node, env)
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(right, _LIST_TYPES):
                raise wrong_kind_error(right_node, right, "a list")
        elif not isinstance(op, (ast.Eq, ast.NotEq)):
            for side_node, side in ((left_node, left), (right_node, right)):
                if not isinstance(side, _NUMBER_TYPES):
                    raise wrong_kind_error(side_node, side, "a number")
        if not _COMPARISONS[type(op)](left, right):
            return False
        left_node, left = right_node, right
    return True


def _evaluate_conditional(node: ast.IfExp, env: Env) -> Value:
    return evaluate_tree(node.body if _evaluate_truth(node.test, env) else node.orelse, env)


def _evaluate_call(node: ast.Call, env: Env) -> Value:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    first = node.args[0]
    if name == "given":
        return _evaluate_given(first, env)
    if name == "len":
        return len(_evaluate_items(first, env))
    if name != "sum" and (name not in ("min", "max") or len(node.args) > 1):
        return _call_checked(
            node, _FUNCTIONS[name], *(_evaluate_number(argument, env) for argument in node.args)
        )
    numbers = _evaluate_items(first, env)
    for item in numbers:
        if not isinstance(item, _NUMBER_TYPES):
            raise ExpressionError(
                "SB305", f"{quote_node(first)} contains {describe_kind(item)}, not only numbers"
            )
    if not numbers and name != "sum":
        raise ExpressionError("SB304", f"{quote_node(node)} has no value: the list is empty")
    return _call_checked(node, _FUNCTIONS[name], numbers)


def _evaluate_given(node: ast.expr, env: Env) -> bool:
    """Return whether an optional input of the block is given."""
    value = env.get(node.id) if isinstance(node, ast.Name) else None
    if not isinstance(value, OptionalInput):
        hint = "a block declares one by `mask: {axes: [T], optional: true}`"
        raise ExpressionError("SB305", f"{quote_node(node)} is not an optional input", hint)
    return value.is_given


def _evaluate_number(node: ast.expr, env: Env) -> int | float:
    value = evaluate_tree(node, env)
    if not isinstance(value, _NUMBER_TYPES):
        raise wrong_kind_error(node, value, "a number")
    return value


def _evaluate_truth(node: ast.expr, env: Env) -> bool:
    value = evaluate_tree(node, env)
    if isinstance(value, (str, list, tuple)):
        raise wrong_kind_error(node, value, "true or false")
    return bool(value)


def _evaluate_items(node: ast.expr, env: Env) -> list[Value] | tuple[Value, ...]:
    items = evaluate_tree(node, env)
    if not isinstance(items, _LIST_TYPES):
        raise wrong_kind_error(node, items, "a list")
    if len(items) > MAX_ITEMS:
        message = f"a list has at most {MAX_ITEMS:,} items; {quote_node(node)} has {len(items):,}"
        raise ExpressionError("SB501", message)
    return items


def _call_checked(node: ast.expr, function: Callable[..., Any], *arguments: Any) -> int | float:
    """Return the number that `function` returns; raises ExpressionError if it fails or is out of range."""
    try:
        value = function(*arguments)
    except ZeroDivisionError:
        raise ExpressionError("SB303", f"{quote_node(node)} divides by zero") from None
    except ValueError:
        raise ExpressionError("SB304", f"{quote_node(node)} has no value at {arguments[-1]}") from None
    except OverflowError:
        raise too_large_error(quote_node(node)) from None
    if not isinstance(value, _NUMBER_TYPES):
        raise ExpressionError("SB304", f"{quote_node(node)} is not a real number")
    if not is_bounded(value):
        raise too_large_error(quote_node(node))
    return value


def _bounded_power(base: int | float, exponent: int | float) -> Any:
    if isinstance(base, int) and abs(base) > 1 and exponent > MAX_EXPONENT:
        raise OverflowError
    return base**exponent


def _round_to_divisible(value: float, divisor: float) -> int | float:
    """Return the multiple of `divisor` closest to `value`, at least `divisor` and 0.9 * `value` (MobileNet)."""
    if divisor <= 0:
        raise ValueError
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


_BINARY_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _bounded_power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "abs": abs,
    "int": int,
    "sqrt": math.sqrt,
    "log": math.log,
    "sum": sum,
    "divisible": _round_to_divisible,
}
_EVALUATORS: dict[type[ast.expr], Callable[[Any, Env], Value]] = {
    ast.Constant: _evaluate_constant,
    ast.Name: _evaluate_name,
    ast.Attribute: _evaluate_axis,
    ast.Subscript: _evaluate_item,
    ast.List: _evaluate_list,
    ast.BinOp: _evaluate_binary,
    ast.UnaryOp: _evaluate_unary,
    ast.BoolOp: _evaluate_boolean,
    ast.Compare: _evaluate_comparison,
    ast.IfExp: _evaluate_conditional,
    ast.Call: _evaluate_call,
}
