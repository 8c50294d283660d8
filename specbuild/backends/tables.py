"""Tables as array code: an index for each axis, the author's expression over them."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from specbuild.backends.base import fixed
from specbuild.codegen.constructions import Computed, literal
from specbuild.codegen.tree import Call, Conditional, Expr, Index, Infix, Literal, Name, Prefix, Slice
from specbuild.expressions import words
from specbuild.ops import expression
from specbuild.ops.expression import REAL, WHOLE, Expression
from specbuild.ops.table import Const

OPERATORS: dict[type[ast.AST], str] = {
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
SCALARS = {"abs": "abs", "minimum": "min", "maximum": "max"}  # the others are in Python's `math`


class Tables:
    """How a framework writes a table; a subclass knows its functions."""

    functions: ClassVar[dict[str, str]]
    where: str

    def arange(self, size: Expr, floats: bool, filled: bool) -> Expr:
        """The index of an axis; `filled` says that integers may meet arrays filled with one."""
        raise NotImplementedError

    def extreme(self, function: str, left: Expr, right: Expr, scalar: bool) -> Expr:
        """`minimum` or `maximum`; `scalar` says that the right side is a plain number."""
        raise NotImplementedError

    def filled(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        raise NotImplementedError

    def expanded(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        raise NotImplementedError

    def whole(self, value: Expr) -> Expr:
        """Floats without fractions as integers."""
        raise NotImplementedError

    def floats(self, e: Expression, dtype: str) -> bool:
        """Whether the indices are floats."""
        raise NotImplementedError

    def table(self, op: Const, order: tuple[str, ...]) -> Computed:
        """The table with its axes in this order."""
        return Written(self, op, order).computed()


class Written:
    """One table while it is written."""

    def __init__(self, style: Tables, op: Const, order: tuple[str, ...]):
        self.style, self.op, self.order, self.e = style, op, order, op.value
        self.indices: dict[str, Expr] = {}

    def computed(self) -> Computed:
        read = self.e.axes()
        sizes = tuple(literal(self.op.axes[axis]) for axis in self.order)
        if not read:
            value = self.number(self.e.tree, floats=self.op.dtype == "float")
            return Computed((), self.style.filled(sizes, value, self.op.dtype))
        variables = []
        floats = self.style.floats(self.e, self.op.dtype)
        filled = any(
            isinstance(node, ast.IfExp | ast.Call) and self.fills(node) for node in ast.walk(self.e.tree)
        )
        for place, axis in enumerate(self.order):
            index = self.style.arange(literal(self.op.axes[axis]), floats, filled)
            behind = len(self.order) - place - 1
            if behind:
                index = Index(index, (Slice(), *[Literal(None)] * behind))
            if read.count(axis) > 1:
                variables.append((axis.lower(), index))
                index = Name(axis.lower())
            self.indices[axis] = index
        value = self.write(self.e.tree)
        if self.op.dtype == "int32" and expression.kind(self.e) == WHOLE:
            value = self.style.whole(value)
        if self.order[0] not in read or any(
            axis not in read and not fixed(n, 1) for axis, n in self.op.axes.items()
        ):
            value = self.style.expanded(value, sizes)
        return Computed(tuple(variables), value)

    def write(self, node: ast.expr) -> Expr:
        if not self.e.axes(node):
            return self.number(node)
        match node:
            case ast.Name(axis):
                return self.indices[axis]
            case ast.BinOp(left, operator, right):
                base, exponent = self.write(left), self.write(right)
                if isinstance(operator, ast.Pow) and expression.kind(self.e, node) == REAL != expression.kind(
                    self.e, right
                ):
                    base = real(base)
                return Infix(OPERATORS[type(operator)], base, exponent)
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.write(operand)
            case ast.UnaryOp(operator, operand):
                return Prefix(OPERATORS[type(operator)], self.write(operand))
            case ast.BoolOp(operator, operands):
                return joined(OPERATORS[type(operator)], [self.write(operand) for operand in operands])
            case ast.Compare(left, operators, rights):
                sides = [self.write(side) for side in (left, *rights)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                return joined("&", [Infix(OPERATORS[type(operator)], a, b) for operator, a, b in pairs])
            case ast.IfExp(test, body, otherwise):
                return self.either(test, body, otherwise)
            case ast.Call(ast.Name("where"), [test, body, otherwise]):
                return self.either(test, body, otherwise)
            case ast.Call(ast.Name("minimum" | "maximum" as function), [left, right]):
                if not self.e.axes(left):
                    left, right = right, left
                return self.style.extreme(
                    function, self.write(left), self.write(right), not self.e.axes(right)
                )
            case ast.Call(ast.Name(function), [argument]):
                return Call(Name(self.style.functions[function]), (self.write(argument),))
        raise AssertionError(ast.unparse(node))

    def either(self, test: ast.expr, body: ast.expr, otherwise: ast.expr) -> Expr:
        if not self.e.axes(test):
            return chosen(self.number(test), self.array(body), self.array(otherwise))
        plain = not self.e.axes(body) and not self.e.axes(otherwise)
        sides = (
            self.number(part, self.op.dtype == "float") if plain else self.write(part)
            for part in (body, otherwise)
        )
        return Call(Name(self.style.where), (self.write(test), *sides))

    def fills(self, node: ast.expr) -> bool:
        """Whether it chooses, by numbers, between a number and an array."""
        match node:
            case ast.Call(ast.Name("where"), [test, body, otherwise]) | ast.IfExp(test, body, otherwise):
                return not self.e.axes(test) and bool(self.e.axes(body)) != bool(self.e.axes(otherwise))
        return False

    def array(self, node: ast.expr) -> Expr:
        """A part as an array, also where it reads no axis."""
        if self.e.axes(node):
            return self.write(node)
        kind = expression.kind(self.e, node)
        floats = kind != expression.BOOL and (
            kind != expression.INT or self.style.floats(self.e, self.op.dtype)
        )
        dtype = "bool" if kind == expression.BOOL else "float" if floats else "int32"
        sizes = tuple(literal(self.op.axes[axis]) for axis in self.order)
        return self.style.filled(sizes, self.number(node, floats), dtype)

    def number(self, node: ast.expr, floats: bool = False) -> Expr:
        """A part that reads no axis, as Python; `floats` says that a whole number is to be a float."""
        value = self.python(node, floats)
        if isinstance(value, Literal | Conditional) or not floats or expression.kind(self.e, node) == REAL:
            return real(value) if floats else value
        return value if self.e.known(node) else Call(Name("float"), (value,))

    def python(self, node: ast.expr, floats: bool) -> Expr:
        if self.e.known(node):
            value = self.e.value(node)
            return real(literal(value)) if floats and type(value) is not bool else literal(value)
        match node:
            case ast.Call(ast.Name("where"), [test, body, otherwise]) | ast.IfExp(test, body, otherwise):
                return chosen(self.number(test), self.number(body, floats), self.number(otherwise, floats))
            case ast.Call(ast.Name("sign"), [argument]):
                return signed(self.number(argument), floats or expression.kind(self.e, node) == REAL)
            case ast.Call(ast.Name(function), arguments):
                inner = [self.number(argument) for argument in arguments]
                told = Call(Name(SCALARS.get(function, f"math.{function}")), tuple(inner))
                known: dict[str, Callable[..., Any]] = {"abs": abs, "minimum": min, "maximum": max}
                return folded(told, known.get(function) or getattr(math, function, None))
            case ast.BinOp(left, operator, right):
                return Infix(OPERATORS[type(operator)], self.number(left), self.number(right))
            case ast.UnaryOp(ast.USub(), operand):
                return Prefix("-", self.number(operand))
            case ast.UnaryOp(ast.UAdd(), operand):
                return self.number(operand)
            case ast.UnaryOp(_, operand):
                return Prefix("not", self.number(operand))
            case ast.BoolOp(operator, operands):
                return joined(
                    "and" if isinstance(operator, ast.And) else "or",
                    [self.number(operand) for operand in operands],
                )
            case ast.Compare(left, operators, rights):
                sides = [self.number(side) for side in (left, *rights)]
                pairs = zip(operators, sides, sides[1:], strict=False)
                return joined("and", [compared(OPERATORS[type(o)], a, b) for o, a, b in pairs])
        raise AssertionError(ast.unparse(node))


def chosen(test: Expr, then: Expr, otherwise: Expr) -> Expr:
    """One of two, as a condition says; it is not asked where the file has no name for what it reads."""
    if isinstance(test, Literal) and words(test.value) is None:
        return then if test.value else otherwise
    return Conditional(test, then, otherwise)


COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def compared(sign: str, left: Expr, right: Expr) -> Expr:
    """A comparison; of two plain numbers, what comes of it."""
    match left, right:
        case Literal(a), Literal(b) if words(a) is None and words(b) is None:
            return Literal(COMPARED[sign](a, b))
    return Infix(sign, left, right)


def joined(operator: str, sides: Sequence[Expr]) -> Expr:
    whole = sides[0]
    for side in sides[1:]:
        whole = Infix(operator, whole, side)
    return whole


def real(value: Expr) -> Expr:
    """An integer as a float: `2` as `2.0`, `n` as `float(n)`."""
    if not isinstance(value, Literal) or not isinstance(value.value, int) or isinstance(value.value, bool):
        return value
    return Literal(float(value.value)) if words(value.value) is None else Call(Name("float"), (value,))


def signed(value: Expr, floats: bool) -> Expr:
    """-1, 0 or 1: Python has no function for it."""
    if isinstance(value, Literal) and isinstance(value.value, int | float) and words(value.value) is None:
        return Literal((float if floats else int)((value.value > 0) - (value.value < 0)))
    above, below = (Infix(sign, value, Literal(0)) for sign in "><")
    return Infix("-", Call(Name("float"), (above,)) if floats else above, below)


def folded(call: Call, function: Callable[..., Any] | None) -> Expr:
    """A function of plain numbers, computed."""
    values = [a.value for a in call.args if isinstance(a, Literal) and words(a.value) is None]
    return Literal(function(*values)) if function and len(values) == len(call.args) else call
