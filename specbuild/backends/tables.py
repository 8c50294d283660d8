"""Tables as array code: an index array for each axis, and the table's expression over them."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from specbuild.backends.base import is_fixed
from specbuild.codegen.constructions import INDEX_VARIABLE, ComputedTable, literal_expression
from specbuild.codegen.from_expression import negate
from specbuild.codegen.tree import (
    Call,
    Conditional,
    Expr,
    Index,
    Infix,
    ListOf,
    Literal,
    Name,
    Prefix,
    SliceExpr,
)
from specbuild.expressions import expression_of
from specbuild.ops.table import Const
from specbuild.ops.table_expression import BOOL, INT, INTEGRAL, REAL, TableExpression, infer_kind
from specbuild.ops.table_values import arrange_values, flatten_values

OPERATOR_SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.And: "&",
    ast.Or: "|",
    ast.USub: "-",
    ast.Not: "~",
}
BUILTIN_NAMES = {"abs": "abs", "minimum": "min", "maximum": "max"}  # all others are in Python's `math`
CONSTANT_FUNCTIONS = {"0.0": "zeros", "1.0": "ones"}
COMPARISON_FUNCTIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def constant_function(value: Expr) -> str | None:
    """Return the function that fills an array with a number: `zeros` for 0.0; None if there is none for it."""
    return (
        CONSTANT_FUNCTIONS.get(repr(value.value))
        if isinstance(value, Literal) and type(value.value) is float
        else None
    )


class TableStyle:
    """The array functions of a framework. A subclass names them."""

    functions: ClassVar[dict[str, str]]
    where_function: str

    def emit_arange(self, size: Expr, floats: bool, is_mixed: bool) -> Expr:
        """Return the indices of an axis. `is_mixed`: they may be combined with constant integer arrays."""
        raise NotImplementedError

    def emit_extreme(self, function: str, left: Expr, right: Expr, is_scalar: bool) -> Expr:
        """Return `minimum` or `maximum` of two operands. `is_scalar` says that the right one is a number."""
        raise NotImplementedError

    def emit_full(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        raise NotImplementedError

    def emit_expand(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        raise NotImplementedError

    def emit_values(self, values: Expr, dtype: str, shape: tuple[Expr, ...] | None) -> Expr:
        """Return an array of given numbers.

        `shape` is None if the code has the numbers; else they are parameters, and others may not fit it.
        """
        raise NotImplementedError

    def emit_integer_cast(self, value: Expr) -> Expr:
        raise NotImplementedError

    def has_float_indices(self, e: TableExpression, dtype: str) -> bool:
        """Return whether the indices of the axes must be floats."""
        raise NotImplementedError

    def build_table(self, op: Const, order: tuple[str, ...]) -> ComputedTable:
        """Return the table with its axes in this order."""
        if (given := op.short_values()) is not None:
            values = arrange_values(given, tuple(op.axes), order)
            is_float = op.dtype == "float"
            has_numbers = all(expression_of(value) is None for value in flatten_values(values))
            code = nested_list(values, is_float and has_numbers)
            sizes = tuple(literal_expression(op.axes[axis]) for axis in order)
            value = self.emit_values(code, op.dtype, None if has_numbers else sizes)
            return ComputedTable((), value, sizes, op.dtype)
        return TableEmitter(self, op, order).emit_table()


class TableEmitter:
    """Emits one table. Parts that read an axis become array code, all others become Python numbers."""

    def __init__(self, style: TableStyle, op: Const, order: tuple[str, ...]):
        assert op.value is not None
        self.style, self.op, self.order, self.expression = style, op, order, op.value
        self.has_float_indices = style.has_float_indices(op.value, op.dtype)
        self.indices: dict[str, Expr] = {}

    def emit_table(self) -> ComputedTable:
        tree, dtype = self.expression.syntax_tree, self.op.dtype
        read_axes = self.expression.list_axes()
        if not read_axes:
            value = self.emit_number(tree, floats=dtype == "float")
            whole = self.style.emit_full(self.axis_sizes(), value, dtype)
            return ComputedTable((), whole, self.axis_sizes(), dtype)
        variables = self.define_indices(read_axes)
        value = self.emit_node(tree)
        has_floats = infer_kind(self.expression) == INTEGRAL or self.has_float_indices
        if dtype == "int32" and has_floats:
            value = self.style.emit_integer_cast(value)
        has_constant_axis = any(
            axis not in read_axes and not is_fixed(n, 1) for axis, n in self.op.axes.items()
        )
        if self.order[0] not in read_axes or has_constant_axis:
            value = self.style.emit_expand(value, self.axis_sizes())
        return ComputedTable(variables, value, self.axis_sizes(), dtype)

    def axis_sizes(self) -> tuple[Expr, ...]:
        return tuple(literal_expression(self.op.axes[axis]) for axis in self.order)

    def define_indices(self, read_axes: list[str]) -> tuple[tuple[str, Expr], ...]:
        """Set the code of each axis index. Return variables for the indices that are read more than once."""
        variables = []
        floats = self.has_float_indices
        is_mixed = any(
            isinstance(node, ast.IfExp | ast.Call) and self.is_mixed_choice(node)
            for node in ast.walk(self.expression.syntax_tree)
        )
        for position, axis in enumerate(self.order):
            index = self.style.emit_arange(literal_expression(self.op.axes[axis]), floats, is_mixed)
            axes_after = len(self.order) - position - 1
            if axes_after:
                index = Index(index, (SliceExpr(), *[Literal(None)] * axes_after))
            if read_axes.count(axis) > 1:
                variable = f"{axis.lower()}{INDEX_VARIABLE}"
                variables.append((variable, index))
                index = Name(variable)
            self.indices[axis] = index
        return tuple(variables)

    def emit_node(self, node: ast.expr) -> Expr:
        """Return a part of the expression as array code, or as a number if it reads no axis."""
        if not self.expression.list_axes(node):
            return self.emit_number(node)
        match node:
            case ast.Name(axis):
                return self.indices[axis]
            case ast.BinOp(left, operator, right):
                base, exponent = self.emit_node(left), self.emit_node(right)
                if isinstance(operator, ast.Pow) and self.is_real(node) and not self.is_real(right):
                    base = to_float(base)
                return Infix(OPERATOR_SYMBOLS[type(operator)], base, exponent)
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.emit_node(operand)
            case ast.UnaryOp(operator, operand):
                return Prefix(OPERATOR_SYMBOLS[type(operator)], self.emit_node(operand))
            case ast.BoolOp(operator, operands):
                sides = [self.emit_node(operand) for operand in operands]
                return join_operands(OPERATOR_SYMBOLS[type(operator)], sides)
            case ast.Compare(left, operators, rights):
                sides = [self.emit_node(side) for side in (left, *rights)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                return join_operands("&", [Infix(OPERATOR_SYMBOLS[type(o)], a, b) for o, a, b in pairs])
            case ast.IfExp(test, body, otherwise):
                return self.emit_choice(test, body, otherwise)
            case ast.Call(ast.Name("where"), [test, body, otherwise]):
                return self.emit_choice(test, body, otherwise)
            case ast.Call(ast.Name("minimum" | "maximum" as function), [left, right]):
                if not self.expression.list_axes(left):
                    left, right = right, left
                is_scalar = not self.expression.list_axes(right)
                return self.style.emit_extreme(
                    function, self.emit_node(left), self.emit_node(right), is_scalar
                )
            case ast.Call(ast.Name(function), [argument]):
                return Call(Name(self.style.functions[function]), (self.emit_node(argument),))
        raise AssertionError(ast.unparse(node))

    def emit_choice(self, test: ast.expr, body: ast.expr, otherwise: ast.expr) -> Expr:
        """Return `body` where `test` holds, else `otherwise`."""
        if not self.expression.list_axes(test):
            return choose_branch(self.emit_number(test), self.emit_array(body), self.emit_array(otherwise))
        has_arrays = self.expression.list_axes(body) or self.expression.list_axes(otherwise)
        # numbers become an array here, and TensorFlow does not add arrays of integers and floats
        floats = self.op.dtype == "float" or self.has_float_indices
        sides = (
            self.emit_node(part)
            if has_arrays
            else self.emit_number(part, floats and infer_kind(self.expression, part) != BOOL)
            for part in (body, otherwise)
        )
        return Call(Name(self.style.where_function), (self.emit_node(test), *sides))

    def is_mixed_choice(self, node: ast.expr) -> bool:
        """Return whether a condition without axes chooses between a number and an array."""
        list_axes = self.expression.list_axes
        match node:
            case ast.Call(ast.Name("where"), [test, body, otherwise]) | ast.IfExp(test, body, otherwise):
                return not list_axes(test) and bool(list_axes(body)) != bool(list_axes(otherwise))
        return False

    def is_real(self, node: ast.expr) -> bool:
        return infer_kind(self.expression, node) == REAL

    def emit_array(self, node: ast.expr) -> Expr:
        """Return a part as an array, even if it reads no axis."""
        if self.expression.list_axes(node):
            return self.emit_node(node)
        kind = infer_kind(self.expression, node)
        floats = kind != BOOL and (kind != INT or self.has_float_indices)
        dtype = "bool" if kind == BOOL else "float" if floats else "int32"
        return self.style.emit_full(self.axis_sizes(), self.emit_number(node, floats), dtype)

    def emit_number(self, node: ast.expr, floats: bool = False) -> Expr:
        """Return a part that reads no axis as a Python number, with `floats` as a float."""
        value = self.emit_python(node, floats)
        if not floats:
            return value
        if isinstance(value, Literal | Conditional) or self.is_real(node):
            return to_float(value)
        return value if self.expression.is_constant(node) else Call(Name("float"), (value,))

    def emit_python(self, node: ast.expr, floats: bool) -> Expr:
        """Return a part that reads no axis as Python code."""
        if self.expression.is_constant(node):
            value = self.expression.constant_value(node)
            literal = literal_expression(value)
            return to_float(literal) if floats and type(value) is not bool else literal
        match node:
            case ast.Call(ast.Name("where"), [test, body, otherwise]) | ast.IfExp(test, body, otherwise):
                return choose_branch(
                    self.emit_number(test),
                    self.emit_number(body, floats),
                    self.emit_number(otherwise, floats),
                )
            case ast.Call(ast.Name("sign"), [argument]):
                return emit_sign(self.emit_number(argument), floats or self.is_real(node))
            case ast.Call(ast.Name(function), arguments):
                return emit_number_call(function, [self.emit_number(argument) for argument in arguments])
            case ast.BinOp(left, operator, right):
                symbol = OPERATOR_SYMBOLS[type(operator)]
                return Infix(symbol, self.emit_number(left), self.emit_number(right))
            case ast.UnaryOp(ast.USub(), operand):
                return Prefix("-", self.emit_number(operand))
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.emit_number(operand)
            case ast.UnaryOp(_, operand):
                return negate(self.emit_number(operand))
            case ast.BoolOp(operator, operands):
                symbol = "and" if isinstance(operator, ast.And) else "or"
                return join_operands(symbol, [self.emit_number(operand) for operand in operands])
            case ast.Compare(left, operators, rights):
                sides = [self.emit_number(side) for side in (left, *rights)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                return join_operands(
                    "and", [emit_comparison(OPERATOR_SYMBOLS[type(o)], a, b) for o, a, b in pairs]
                )
        raise AssertionError(ast.unparse(node))


def nested_list(values: Any, floats: bool) -> Expr:
    """Return nested tuples of numbers as nested lists, with `floats` of floats."""
    if isinstance(values, tuple):
        return ListOf(tuple(nested_list(item, floats) for item in values))
    return Literal(float(values) if floats else values)


def choose_branch(test: Expr, then: Expr, otherwise: Expr) -> Expr:
    """Return `then if test else otherwise`, or just one of them if the test is a constant."""
    if isinstance(test, Literal) and expression_of(test.value) is None:
        return then if test.value else otherwise
    return Conditional(test, then, otherwise)


def emit_comparison(sign: str, left: Expr, right: Expr) -> Expr:
    """Return a comparison; its result if both sides are constants."""
    match left, right:
        case Literal(a), Literal(b) if expression_of(a) is None and expression_of(b) is None:
            return Literal(COMPARISON_FUNCTIONS[sign](a, b))
    return Infix(sign, left, right)


def join_operands(operator: str, operands: Sequence[Expr]) -> Expr:
    """Return `a + b + c` for an operator and its operands."""
    joined = operands[0]
    for operand in operands[1:]:
        joined = Infix(operator, joined, operand)
    return joined


def to_float(value: Expr) -> Expr:
    """Return an integer as a float: `2` as `2.0`, `n` as `float(n)`."""
    if not isinstance(value, Literal) or not isinstance(value.value, int) or isinstance(value.value, bool):
        return value
    if expression_of(value.value) is None:
        return Literal(float(value.value))
    return Call(Name("float"), (value,))


def emit_sign(value: Expr, floats: bool) -> Expr:
    """Return the sign of a number, -1, 0 or 1. Python has no function for it."""
    if isinstance(value, Literal) and isinstance(value.value, int | float):
        number = value.value
        if expression_of(number) is None:
            return Literal((float if floats else int)((number > 0) - (number < 0)))
    is_positive, is_negative = (Infix(sign, value, Literal(0)) for sign in "><")
    return Infix("-", Call(Name("float"), (is_positive,)) if floats else is_positive, is_negative)


def emit_number_call(function: str, arguments: Sequence[Expr]) -> Expr:
    """Return a call of a Python function; its result if all arguments are constants."""
    python_name = BUILTIN_NAMES.get(function, f"math.{function}")
    values = [a.value for a in arguments if isinstance(a, Literal) and expression_of(a.value) is None]
    builtins: dict[str, Callable[..., Any]] = {"abs": abs, "minimum": min, "maximum": max}
    callee = builtins.get(function) or getattr(math, function, None)
    if callee and len(values) == len(arguments):
        return Literal(callee(*values))
    return Call(Name(python_name), tuple(arguments))
