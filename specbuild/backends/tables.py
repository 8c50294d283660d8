"""Tables as array code: an index for each axis, the author's expression over them."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from specbuild.backends.base import is_fixed
from specbuild.codegen.constructions import ComputedTable, literal_expression
from specbuild.codegen.tree import Call, Conditional, Expr, Index, Infix, Literal, Name, Prefix, Slice
from specbuild.expressions import expression_of
from specbuild.ops import table_expression as expression
from specbuild.ops.table import Const
from specbuild.ops.table_expression import INTEGRAL, REAL, TableExpression

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
BUILTIN_NAMES = {"abs": "abs", "minimum": "min", "maximum": "max"}  # the others are in Python's `math`


class TableStyle:
    """How a framework writes a table; a subclass knows its functions."""

    functions: ClassVar[dict[str, str]]
    where_function: str

    def emit_arange(self, size: Expr, floats: bool, filled: bool) -> Expr:
        """The index of an axis; `filled` says that integers may meet arrays filled with one."""
        raise NotImplementedError

    def emit_extreme(self, function: str, left: Expr, right: Expr, scalar: bool) -> Expr:
        """`minimum` or `maximum`; `scalar` says that the right side is a plain number."""
        raise NotImplementedError

    def emit_full(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        raise NotImplementedError

    def emit_expand(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        raise NotImplementedError

    def emit_integer_cast(self, value: Expr) -> Expr:
        """Floats without fractions as integers."""
        raise NotImplementedError

    def has_float_indices(self, e: TableExpression, dtype: str) -> bool:
        """Whether the indices are floats."""
        raise NotImplementedError

    def build_table(self, op: Const, order: tuple[str, ...]) -> ComputedTable:
        """The table with its axes in this order."""
        return TableEmitter(self, op, order).emit_table()


class TableEmitter:
    """One table while it is written."""

    def __init__(self, style: TableStyle, op: Const, order: tuple[str, ...]):
        self.style, self.op, self.order, self.e = style, op, order, op.value
        self.indices: dict[str, Expr] = {}

    def emit_table(self) -> ComputedTable:
        read = self.e.list_axes()
        sizes = tuple(literal_expression(self.op.axes[axis]) for axis in self.order)
        if not read:
            value = self.emit_number(self.e.syntax_tree, floats=self.op.dtype == "float")
            return ComputedTable((), self.style.emit_full(sizes, value, self.op.dtype))
        variables = []
        floats = self.style.has_float_indices(self.e, self.op.dtype)
        filled = any(
            isinstance(node, ast.IfExp | ast.Call) and self.is_mixed_choice(node)
            for node in ast.walk(self.e.syntax_tree)
        )
        for place, axis in enumerate(self.order):
            index = self.style.emit_arange(literal_expression(self.op.axes[axis]), floats, filled)
            behind = len(self.order) - place - 1
            if behind:
                index = Index(index, (Slice(), *[Literal(None)] * behind))
            if read.count(axis) > 1:
                variables.append((axis.lower(), index))
                index = Name(axis.lower())
            self.indices[axis] = index
        value = self.emit_node(self.e.syntax_tree)
        if self.op.dtype == "int32" and expression.infer_kind(self.e) == INTEGRAL:
            value = self.style.emit_integer_cast(value)
        if self.order[0] not in read or any(
            axis not in read and not is_fixed(n, 1) for axis, n in self.op.axes.items()
        ):
            value = self.style.emit_expand(value, sizes)
        return ComputedTable(tuple(variables), value)

    def emit_node(self, node: ast.expr) -> Expr:
        if not self.e.list_axes(node):
            return self.emit_number(node)
        match node:
            case ast.Name(axis):
                return self.indices[axis]
            case ast.BinOp(left, operator, right):
                base, exponent = self.emit_node(left), self.emit_node(right)
                if isinstance(operator, ast.Pow) and expression.infer_kind(
                    self.e, node
                ) == REAL != expression.infer_kind(self.e, right):
                    base = to_float(base)
                return Infix(OPERATOR_SYMBOLS[type(operator)], base, exponent)
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.emit_node(operand)
            case ast.UnaryOp(operator, operand):
                return Prefix(OPERATOR_SYMBOLS[type(operator)], self.emit_node(operand))
            case ast.BoolOp(operator, operands):
                return join_operands(
                    OPERATOR_SYMBOLS[type(operator)], [self.emit_node(operand) for operand in operands]
                )
            case ast.Compare(left, operators, rights):
                sides = [self.emit_node(side) for side in (left, *rights)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                return join_operands(
                    "&", [Infix(OPERATOR_SYMBOLS[type(operator)], a, b) for operator, a, b in pairs]
                )
            case ast.IfExp(test, body, otherwise):
                return self.emit_choice(test, body, otherwise)
            case ast.Call(ast.Name("where"), [test, body, otherwise]):
                return self.emit_choice(test, body, otherwise)
            case ast.Call(ast.Name("minimum" | "maximum" as function), [left, right]):
                if not self.e.list_axes(left):
                    left, right = right, left
                return self.style.emit_extreme(
                    function, self.emit_node(left), self.emit_node(right), not self.e.list_axes(right)
                )
            case ast.Call(ast.Name(function), [argument]):
                return Call(Name(self.style.functions[function]), (self.emit_node(argument),))
        raise AssertionError(ast.unparse(node))

    def emit_choice(self, test: ast.expr, body: ast.expr, otherwise: ast.expr) -> Expr:
        if not self.e.list_axes(test):
            return choose_branch(self.emit_number(test), self.emit_array(body), self.emit_array(otherwise))
        plain = not self.e.list_axes(body) and not self.e.list_axes(otherwise)
        sides = (
            self.emit_number(part, self.op.dtype == "float") if plain else self.emit_node(part)
            for part in (body, otherwise)
        )
        return Call(Name(self.style.where_function), (self.emit_node(test), *sides))

    def is_mixed_choice(self, node: ast.expr) -> bool:
        """Whether it chooses, by numbers, between a number and an array."""
        match node:
            case ast.Call(ast.Name("where"), [test, body, otherwise]) | ast.IfExp(test, body, otherwise):
                return not self.e.list_axes(test) and bool(self.e.list_axes(body)) != bool(
                    self.e.list_axes(otherwise)
                )
        return False

    def emit_array(self, node: ast.expr) -> Expr:
        """A part as an array, also where it reads no axis."""
        if self.e.list_axes(node):
            return self.emit_node(node)
        kind = expression.infer_kind(self.e, node)
        floats = kind != expression.BOOL and (
            kind != expression.INT or self.style.has_float_indices(self.e, self.op.dtype)
        )
        dtype = "bool" if kind == expression.BOOL else "float" if floats else "int32"
        sizes = tuple(literal_expression(self.op.axes[axis]) for axis in self.order)
        return self.style.emit_full(sizes, self.emit_number(node, floats), dtype)

    def emit_number(self, node: ast.expr, floats: bool = False) -> Expr:
        """A part that reads no axis, as Python; `floats` says that a whole number is to be a float."""
        value = self.emit_python(node, floats)
        if (
            isinstance(value, Literal | Conditional)
            or not floats
            or expression.infer_kind(self.e, node) == REAL
        ):
            return to_float(value) if floats else value
        return value if self.e.is_constant(node) else Call(Name("float"), (value,))

    def emit_python(self, node: ast.expr, floats: bool) -> Expr:
        if self.e.is_constant(node):
            value = self.e.constant_value(node)
            return (
                to_float(literal_expression(value))
                if floats and type(value) is not bool
                else literal_expression(value)
            )
        match node:
            case ast.Call(ast.Name("where"), [test, body, otherwise]) | ast.IfExp(test, body, otherwise):
                return choose_branch(
                    self.emit_number(test),
                    self.emit_number(body, floats),
                    self.emit_number(otherwise, floats),
                )
            case ast.Call(ast.Name("sign"), [argument]):
                return emit_sign(
                    self.emit_number(argument), floats or expression.infer_kind(self.e, node) == REAL
                )
            case ast.Call(ast.Name(function), arguments):
                inner = [self.emit_number(argument) for argument in arguments]
                told = Call(Name(BUILTIN_NAMES.get(function, f"math.{function}")), tuple(inner))
                known: dict[str, Callable[..., Any]] = {"abs": abs, "minimum": min, "maximum": max}
                return fold_constants(told, known.get(function) or getattr(math, function, None))
            case ast.BinOp(left, operator, right):
                return Infix(
                    OPERATOR_SYMBOLS[type(operator)], self.emit_number(left), self.emit_number(right)
                )
            case ast.UnaryOp(ast.USub(), operand):
                return Prefix("-", self.emit_number(operand))
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.emit_number(operand)
            case ast.UnaryOp(_, operand):
                return Prefix("not", self.emit_number(operand))
            case ast.BoolOp(operator, operands):
                return join_operands(
                    "and" if isinstance(operator, ast.And) else "or",
                    [self.emit_number(operand) for operand in operands],
                )
            case ast.Compare(left, operators, rights):
                sides = [self.emit_number(side) for side in (left, *rights)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                return join_operands(
                    "and", [emit_comparison(OPERATOR_SYMBOLS[type(o)], a, b) for o, a, b in pairs]
                )
        raise AssertionError(ast.unparse(node))


def choose_branch(test: Expr, then: Expr, otherwise: Expr) -> Expr:
    """One of two, as a condition says; it is not asked where the file has no name for what it reads."""
    if isinstance(test, Literal) and expression_of(test.value) is None:
        return then if test.value else otherwise
    return Conditional(test, then, otherwise)


COMPARISON_FUNCTIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def emit_comparison(sign: str, left: Expr, right: Expr) -> Expr:
    """A comparison; of two plain numbers, what comes of it."""
    match left, right:
        case Literal(a), Literal(b) if expression_of(a) is None and expression_of(b) is None:
            return Literal(COMPARISON_FUNCTIONS[sign](a, b))
    return Infix(sign, left, right)


def join_operands(operator: str, sides: Sequence[Expr]) -> Expr:
    whole = sides[0]
    for side in sides[1:]:
        whole = Infix(operator, whole, side)
    return whole


def to_float(value: Expr) -> Expr:
    """An integer as a float: `2` as `2.0`, `n` as `float(n)`."""
    if not isinstance(value, Literal) or not isinstance(value.value, int) or isinstance(value.value, bool):
        return value
    return (
        Literal(float(value.value)) if expression_of(value.value) is None else Call(Name("float"), (value,))
    )


def emit_sign(value: Expr, floats: bool) -> Expr:
    """-1, 0 or 1: Python has no function for it."""
    if (
        isinstance(value, Literal)
        and isinstance(value.value, int | float)
        and expression_of(value.value) is None
    ):
        return Literal((float if floats else int)((value.value > 0) - (value.value < 0)))
    above, below = (Infix(sign, value, Literal(0)) for sign in "><")
    return Infix("-", Call(Name("float"), (above,)) if floats else above, below)


def fold_constants(call: Call, function: Callable[..., Any] | None) -> Expr:
    """A function of plain numbers, computed."""
    values = [a.value for a in call.args if isinstance(a, Literal) and expression_of(a.value) is None]
    return Literal(function(*values)) if function and len(values) == len(call.args) else call
