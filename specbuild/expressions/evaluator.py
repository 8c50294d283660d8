"""Computing an expression: one small function a kind of node. No Python is run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from specbuild.expressions.errors import (
    WordsError,
    kind,
    source,
    too_large,
    unknown,
    unknown_name,
    wrong_kind,
)
from specbuild.expressions.parser import bounded

Value: TypeAlias = "int | float | bool | str | list[Value] | tuple[Value, ...] | None"
Scope: TypeAlias = Mapping[str, "Value | Mapping[str, Value]"]

MAX_ITEMS = 10_000
MAX_EXPONENT = 53  # an integer other than -1, 0 and 1 to a higher power exceeds 2^53

_NUMBER = (int, float)
_LIST = (list, tuple)
_VALUE = (int, float, str, list, tuple, type(None))


def compute(node: ast.expr, scope: Scope) -> Value:
    """The value of a tree that `parse` let through."""
    return _COMPUTE[type(node)](node, scope)


def _constant(node: ast.Constant, scope: Scope) -> Any:
    return node.value


def _name(node: ast.Name, scope: Scope) -> Value:
    try:
        value = scope[node.id]
    except KeyError:
        raise unknown_name(node.id, scope) from None
    if isinstance(value, _VALUE):
        return value
    if not isinstance(value, Mapping):
        raise WordsError("SB305", f"{node.id!r} is no value to compute with")
    hint = f"read the size of an axis: {', '.join(f'{node.id}.{axis}' for axis in value)}" if value else ""
    raise WordsError("SB305", f"{node.id!r} has axes and is not a number", hint)


def _axis(node: ast.Attribute, scope: Scope) -> Value:
    name = node.value.id if isinstance(node.value, ast.Name) else ""
    if name not in scope:
        raise unknown_name(name, scope)
    axes = scope[name]
    if not isinstance(axes, Mapping):
        raise WordsError("SB305", f"{name!r} is {kind(axes)} and has no axes")
    if node.attr not in axes:
        raise unknown(f"{name!r} has no axis {node.attr!r}", node.attr, axes)
    return axes[node.attr]


def _item(node: ast.Subscript, scope: Scope) -> Value:
    items, index = _items(node.value, scope), compute(node.slice, scope)
    if not isinstance(index, int) or isinstance(index, bool):
        raise wrong_kind(node.slice, index, "a whole number")
    if not -len(items) <= index < len(items):
        has = "1 item" if len(items) == 1 else f"{len(items)} items"
        message = f"{source(node)} asks for item {index} of a list of {has}"
        raise WordsError("SB304", message, "items are counted from 0")
    return items[index]


def _list(node: ast.List, scope: Scope) -> Value:
    return [compute(item, scope) for item in node.elts]


def _binary(node: ast.BinOp, scope: Scope) -> Value:
    left, right = _number(node.left, scope), _number(node.right, scope)
    return _guarded(node, _BINARY[type(node.op)], left, right)


def _unary(node: ast.UnaryOp, scope: Scope) -> Value:
    if isinstance(node.op, ast.Not):
        return not _truth(node.operand, scope)
    value = _number(node.operand, scope)
    return -value if isinstance(node.op, ast.USub) else +value


def _boolean(node: ast.BoolOp, scope: Scope) -> Value:
    holds = all if isinstance(node.op, ast.And) else any
    return holds(_truth(part, scope) for part in node.values)


def _compare(node: ast.Compare, scope: Scope) -> Value:
    left_node, left = node.left, compute(node.left, scope)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = compute(right_node, scope)
        if isinstance(op, (ast.In, ast.NotIn)):
            if not isinstance(right, _LIST):
                raise wrong_kind(right_node, right, "a list")
        elif not isinstance(op, (ast.Eq, ast.NotEq)):
            for side_node, side in ((left_node, left), (right_node, right)):
                if not isinstance(side, _NUMBER):
                    raise wrong_kind(side_node, side, "a number")
        if not _COMPARE[type(op)](left, right):
            return False
        left_node, left = right_node, right
    return True


def _conditional(node: ast.IfExp, scope: Scope) -> Value:
    return compute(node.body if _truth(node.test, scope) else node.orelse, scope)


def _call(node: ast.Call, scope: Scope) -> Value:
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    first = node.args[0]
    if name == "len":
        return len(_items(first, scope))
    if name != "sum" and (name not in ("min", "max") or len(node.args) > 1):
        return _guarded(node, _CALL[name], *(_number(argument, scope) for argument in node.args))
    numbers = _items(first, scope)
    for item in numbers:
        if not isinstance(item, _NUMBER):
            raise WordsError("SB305", f"{source(first)} holds {kind(item)}, not only numbers")
    if not numbers and name != "sum":
        raise WordsError("SB304", f"{source(node)} has no value: the list is empty")
    return _guarded(node, _CALL[name], numbers)


def _number(node: ast.expr, scope: Scope) -> int | float:
    value = compute(node, scope)
    if not isinstance(value, _NUMBER):
        raise wrong_kind(node, value, "a number")
    return value


def _truth(node: ast.expr, scope: Scope) -> bool:
    value = compute(node, scope)
    if isinstance(value, (str, list, tuple)):
        raise wrong_kind(node, value, "true or false")
    return bool(value)


def _items(node: ast.expr, scope: Scope) -> list[Value] | tuple[Value, ...]:
    items = compute(node, scope)
    if not isinstance(items, _LIST):
        raise wrong_kind(node, items, "a list")
    if len(items) > MAX_ITEMS:
        message = f"a list has at most {MAX_ITEMS:,} items; {source(node)} has {len(items):,}"
        raise WordsError("SB501", message)
    return items


def _guarded(node: ast.expr, function: Callable[..., Any], *arguments: Any) -> int | float:
    """A number that `function` gives, or the reason why it gives none."""
    try:
        value = function(*arguments)
    except ZeroDivisionError:
        raise WordsError("SB303", f"{source(node)} divides by zero") from None
    except ValueError:
        raise WordsError("SB304", f"{source(node)} has no value at {arguments[-1]}") from None
    except OverflowError:
        raise too_large(source(node)) from None
    if not isinstance(value, _NUMBER):
        raise WordsError("SB304", f"{source(node)} is not a real number")
    if not bounded(value):
        raise too_large(source(node))
    return value


def _power(base: int | float, exponent: int | float) -> Any:
    if isinstance(base, int) and abs(base) > 1 and exponent > MAX_EXPONENT:
        raise OverflowError
    return base**exponent


def _divisible(value: float, divisor: float) -> int | float:
    """The multiple of `divisor` nearest to `value`, at least `divisor`, never below 0.9 of it (MobileNet)."""
    if divisor <= 0:
        raise ValueError
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
_CALL: dict[str, Callable[..., Any]] = {
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
    "divisible": _divisible,
}
_COMPUTE: dict[type[ast.expr], Callable[[Any, Scope], Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _axis,
    ast.Subscript: _item,
    ast.List: _list,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.Call: _call,
}
