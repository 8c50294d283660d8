"""Numbers that remember the expression they come from, and the rewriting of such expressions."""

from __future__ import annotations

import ast
import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from specbuild.expressions.errors import ExpressionError, quote_expression, unknown_name_error
from specbuild.expressions.evaluator import Scope, Value, evaluate_tree
from specbuild.expressions.parser import LEAF_NODES, Expression, parse_expression

MAX_EXPRESSION_CHARACTERS = 80  # a longer expression no longer explains a number
MAX_TEXT_CHARACTERS = 4_096
MAX_PRODUCT = 2**53

T = TypeVar("T")


class SymInt(int):
    """An int that remembers its expression. Arithmetic on it gives a plain int."""

    expression: str

    def __new__(cls, value: int, expression: str) -> SymInt:
        self = super().__new__(cls, value)
        self.expression = expression
        return self

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        return int(self), self.expression

    def __repr__(self) -> str:
        return f"SymInt({int(self)}, {self.expression!r})"

    def __str__(self) -> str:
        return int.__repr__(self)


class SymFloat(float):
    """A float that remembers its expression. Arithmetic on it gives a plain float."""

    expression: str

    def __new__(cls, value: float, expression: str) -> SymFloat:
        self = super().__new__(cls, value)
        self.expression = expression
        return self

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]
        return float(self), self.expression

    def __repr__(self) -> str:
        return f"SymFloat({float(self)}, {self.expression!r})"

    def __str__(self) -> str:
        return float.__repr__(self)


def symbolic(value: T, text: str) -> T:
    """`value` with the expression `text`. The items of a list get `text[0]`, `text[1]` ..."""
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(symbolic(item, f"{text}[{i}]") for i, item in enumerate(value)))
    return _with_expression(value, text)


def expression_of(value: object) -> str | None:
    """The expression of a number; None if it has none."""
    return value.expression if isinstance(value, (SymInt, SymFloat)) else None


def concrete(value: T) -> T:
    """The same value without expressions. Lists are converted item by item."""
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(map(concrete, value)))
    return _with_expression(value, None)


def _with_expression(value: T, text: str | None) -> T:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return cast(T, int(value) if text is None else SymInt(value, text))
    if isinstance(value, float):
        return cast(T, float(value) if text is None else SymFloat(value, text))
    return value


def evaluate_expression(text: str, scope: Scope) -> Value:
    """The value of an expression; raises ExpressionError.

    A number in the result has an expression if all numbers that it is computed from have one.
    """
    expression = parse_expression(text)
    for name in expression.names:
        if name not in scope:
            raise unknown_name_error(name, scope)
    if expression.items is not None:
        return [evaluate_expression(item, scope) for item in expression.items]
    value, leaves = evaluate_tree(expression.tree, scope), expression.leaves
    if not leaves or leaves[0] is expression.tree:
        return value
    return _with_expression(value, rewrite_expression(text, scope, use_own_names=True))


def translate_expression(value: T, args: Mapping[str, Value]) -> T:
    """Rewrite the expression of a value from a block's parameters to the caller's arguments `args`.

    The number becomes plain if an argument has no expression. An argument that is the same wherever the block
    is used can have its literal as its expression: `SymInt(16, "16")`.
    """
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(translate_expression(item, args) for item in value))
    text = expression_of(value)
    if text is None or not parse_expression(text).leaves:
        return value
    return _with_expression(value, rewrite_expression(text, args))


def symbolic_formula(text: str, /, **values: Value) -> Any:
    """Compute with symbolic numbers in the compiler's own code: `symbolic_formula("k // 2", k=kernel)`.

    Unlike in `evaluate_expression`, a plain number becomes a literal if another operand has an expression.
    """
    value, expression = evaluate_expression(text, values), parse_expression(text)
    leaves = _leaf_values(expression.leaves, values)
    if isinstance(value, list) or not any(map(expression_of, leaves)):
        return value
    replacements = [expression_of(leaf) or _number_literal(leaf) for leaf in leaves]
    return _with_expression(value, _combine_leaves(text, expression, replacements))


def rewrite_expression(text: str, scope: Scope, use_own_names: bool = False) -> str | None:
    """Replace each name in an expression by the expression of its value; None if a value has none.

    With `use_own_names`, a name whose value is a flag, a string or a list stays as it is.
    """
    expression = parse_expression(text)

    def leaf_expression(leaf: ast.expr, value: Value) -> str | None:
        if use_own_names and isinstance(leaf, ast.Name) and isinstance(value, bool | str | list | tuple):
            return leaf.id
        return expression_of(value)

    pairs = zip(expression.leaves, _leaf_values(expression.leaves, scope), strict=True)
    return _combine_leaves(text, expression, [leaf_expression(leaf, value) for leaf, value in pairs])


def _number_literal(value: Value) -> str | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return repr(value) if is_number else None


def _leaf_values(leaves: Sequence[ast.expr], scope: Scope) -> list[Value]:
    """The value of each leaf; None for one that cannot be read, such as one in a branch not taken."""
    values: list[Value] = []
    for leaf in leaves:
        try:
            values.append(evaluate_tree(leaf, scope))
        except ExpressionError:
            values.append(None)
    return values


def _combine_leaves(text: str, expression: Expression, leaves: Sequence[str | None]) -> str | None:
    known = tuple(leaf for leaf in leaves if leaf is not None)
    if not expression.can_emit or len(known) < len(leaves):
        return None
    is_short = sum(map(len, known)) <= MAX_EXPRESSION_CHARACTERS
    return _replace_leaves(text, known) if is_short else None


@lru_cache(maxsize=8192)
def _replace_leaves(text: str, leaves: tuple[str, ...]) -> str | None:
    """`text` with its leaves replaced; None if the result is too long or has only literals."""
    replaced = ast.unparse(_LeafReplacer(iter(leaves)).visit(copy.deepcopy(parse_expression(text).tree)))
    if len(replaced) > MAX_EXPRESSION_CHARACTERS:
        return None
    try:
        return replaced if parse_expression(replaced).leaves else None
    except ExpressionError:  # nested too deeply
        return None


class _LeafReplacer(ast.NodeTransformer):
    """Replace the leaves, in the order of `Expression.leaves`. Works on trees: precedence is kept."""

    def __init__(self, leaves: Iterator[str]) -> None:
        self.leaves = leaves

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, LEAF_NODES):
            return copy.deepcopy(parse_expression(next(self.leaves)).tree)  # `unparse` needs distinct nodes
        if isinstance(node, ast.Call):  # the function name is not a leaf
            node.args = [cast(ast.expr, self.visit(argument)) for argument in node.args]
            return node
        return _fold_product(self.generic_visit(node))


def _fold_product(node: ast.AST) -> ast.AST:
    """`4 * (2 * width)` as `8 * width`, `2 * 2` as `4`."""
    match node:
        case ast.BinOp(ast.Constant(int() as left), ast.Mult(), ast.Constant(int() as right)) if (
            abs(left * right) <= MAX_PRODUCT
        ):
            return ast.Constant(left * right)
        case ast.BinOp(
            ast.Constant(int() as outer),
            ast.Mult(),
            ast.BinOp(ast.Constant(int() as inner), ast.Mult(), rest),
        ) if abs(outer * inner) <= MAX_PRODUCT:
            return ast.BinOp(ast.Constant(outer * inner), ast.Mult(), rest)
    return node


def bind_name(value: T, name: str, number: float) -> T:
    """Replace a name by its number in the expression of a value: at i = 1, `w * 2 ** i` becomes `w * 2`."""
    text = expression_of(value)
    if text is None or name not in parse_expression(text).names:
        return value
    bound = ast.unparse(_NameBinder(name, number).visit(copy.deepcopy(parse_expression(text).tree)))
    return _with_expression(value, bound if parse_expression(bound).leaves else None)


class _NameBinder(ast.NodeTransformer):
    """Replace a name by a number, then fold the subexpressions that have become constant."""

    def __init__(self, name: str, number: float) -> None:
        self.name, self.number = name, number

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(self.number) if node.id == self.name else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        match node:
            case ast.IfExp(ast.Constant(test), then, otherwise):
                return then if test else otherwise
            case ast.IfExp(_, then, otherwise) if ast.unparse(then) == ast.unparse(otherwise):
                return then
            case ast.BinOp(rest, ast.Mult(), ast.Constant(1)) | ast.BinOp(ast.Constant(1), ast.Mult(), rest):
                return rest
            case ast.BinOp(rest, ast.Add(), ast.Constant(0)) | ast.BinOp(ast.Constant(0), ast.Add(), rest):
                return rest
            case ast.BinOp(ast.Constant(), _, ast.Constant()) | ast.Compare(
                ast.Constant(), [_], [ast.Constant()]
            ):
                try:
                    return ast.Constant(cast(float, evaluate_tree(node, {})))
                except ExpressionError:
                    return node
        return node


_INTERPOLATION = re.compile(r"\$\$\{|\$\{(?P<expression>[^{}]*)(?P<end>\}?)")


def interpolate_text(text: str, scope: Scope) -> str:
    """`text` with every `${expression}` replaced by its value. `$${` stands for a literal `${`.

    Raises ExpressionError SB301 for a missing brace and SB501 if the result is too long.
    """

    def format_match(match: re.Match[str]) -> str:
        if match["end"] is None:
            return "${"
        if not match["end"]:
            message = f"{quote_expression(match[0])} lacks a closing brace"
            raise ExpressionError("SB301", message, "write $${ for a literal ${")
        return str(concrete(evaluate_expression(match["expression"], scope)))

    result = _INTERPOLATION.sub(format_match, text)
    if len(result) > MAX_TEXT_CHARACTERS:
        raise ExpressionError(
            "SB501", f"a text has at most {MAX_TEXT_CHARACTERS:,} characters; this becomes {len(result):,}"
        )
    return result
