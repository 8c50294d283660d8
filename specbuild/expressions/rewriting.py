"""Rewrite expressions: put other expressions in place of what they read. Trees are copied, never changed."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

from specbuild.expressions.errors import ExpressionError
from specbuild.expressions.evaluator import Value, evaluate_tree
from specbuild.expressions.expression_tree import LEAF_NODES, Expression, from_tree
from specbuild.expressions.input_values import InputList
from specbuild.expressions.parser import MAX_DEPTH, walk_depths

MAX_EXPRESSION_CHARACTERS = 80  # a longer expression no longer explains a number
MAX_PRODUCT = 2**53


@lru_cache(maxsize=8192)
def replace_leaves(expression: Expression, leaves: tuple[Expression, ...]) -> Expression | None:
    """Replace the leaves of an expression, in their order.

    Returns None if the result is too long or too deep, or has only literals.
    """
    separators = len(leaves) - 1
    if sum(len(leaf.text) for leaf in leaves) + separators > MAX_EXPRESSION_CHARACTERS:
        return None
    replaced = from_tree(_split_signs(_insert_leaves(expression.tree, iter(leaves))))
    if len(replaced.text) > MAX_EXPRESSION_CHARACTERS or not replaced.leaves:
        return None
    is_too_deep = any(depth > MAX_DEPTH for _, depth in walk_depths(replaced.tree))
    return None if is_too_deep else replaced


def replace_lengths(expression: Expression, env: Mapping[str, object]) -> Expression:
    """Replace the length of an input that takes a list, `len(maps)`, by its number."""
    if not any(isinstance(env.get(name), InputList) for name in expression.names):
        return expression

    def replace_length(node: ast.expr) -> ast.expr:
        match node:
            case ast.Call(ast.Name("len"), [ast.Name(name)]) if isinstance(items := env.get(name), InputList):
                return ast.Constant(len(items))
        return map_operands(node, replace_length)

    return from_tree(replace_length(expression.tree))


def _insert_leaves(node: ast.expr, leaves: Iterator[Expression]) -> ast.expr:
    if isinstance(node, LEAF_NODES):
        return _copy_tree(next(leaves).tree)
    return _fold_constants(_fold_product(map_operands(node, lambda operand: _insert_leaves(operand, leaves))))


def _copy_tree(node: ast.expr) -> ast.expr:
    """Return a copy: `ast.unparse` needs distinct nodes, because it keeps the precedence of each."""
    return map_operands(node, _copy_tree)


def map_operands(node: ast.expr, change: Callable[[ast.expr], ast.expr]) -> ast.expr:
    """Return a copy of a node with changed operands. The function name of a call is not an operand."""

    def copy_field(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [change(item) if isinstance(item, ast.expr) else item for item in value]
        return change(value) if isinstance(value, ast.expr) and name != "func" else value

    return type(node)(**{name: copy_field(name, value) for name, value in ast.iter_fields(node)})


def _fold_product(node: ast.expr) -> ast.expr:
    """Return `4 * (2 * width)` as `8 * width`, `2 * 2` as `4`."""
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


@lru_cache(maxsize=8192, typed=True)
def replace_name(expression: Expression, name: str, value: Value) -> Expression | None:
    """Replace a name by its value, which has no list in it but tuples, and fold what becomes constant.

    None if only literals remain, or if the expression reads more of a list than a number.
    """
    bound = _insert_value(expression.tree, name, value)
    replaced = None if bound is None else from_tree(_split_signs(bound))
    return replaced if replaced is not None and replaced.leaves else None


def _insert_value(node: ast.expr, name: str, value: Value) -> ast.expr | None:
    if isinstance(node, ast.Name) and node.id != name:
        return _copy_tree(node)
    if isinstance(node, (*LEAF_NODES, ast.Call)) and set(from_tree(node).names) == {name}:
        try:
            known = evaluate_tree(node, {name: value})
        except ExpressionError:
            return None
        return None if isinstance(known, list | tuple) else ast.Constant(known)
    parts: list[ast.expr | None] = []

    def insert_into(operand: ast.expr) -> ast.expr:
        parts.append(_insert_value(operand, name, value))
        return parts[-1] or operand

    copy = map_operands(node, insert_into)
    return None if None in parts else _fold_constants(copy)


def _fold_constants(node: ast.expr) -> ast.expr:
    """Compute an operation on constants, drop `* 1`, `* 0` and `+ 0`, and take the branch of a decided conditional."""
    match node:
        case ast.IfExp(ast.Constant(test), then, otherwise):
            return then if test else otherwise
        case ast.UnaryOp(ast.Not(), ast.Constant(bool(truth))):
            return ast.Constant(not truth)
        case ast.BoolOp(operator, operands):
            return _fold_truths(operator, operands)
        case ast.IfExp(_, then, otherwise) if type(then) is type(otherwise) and (
            ast.unparse(then) == ast.unparse(otherwise)
        ):
            return then
        case ast.BinOp(rest, ast.Mult(), ast.Constant(1)) | ast.BinOp(ast.Constant(1), ast.Mult(), rest):
            return rest
        case ast.BinOp(_, ast.Mult(), ast.Constant(int(0))) | ast.BinOp(ast.Constant(int(0)), ast.Mult(), _):
            return ast.Constant(0)
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


def _fold_truths(operator: ast.boolop, operands: list[ast.expr]) -> ast.expr:
    """Drop the operands of `and` or `or` that are constants, or return the one that decides."""
    deciding = isinstance(operator, ast.Or)
    truths = [bool(node.value) for node in operands if isinstance(node, ast.Constant)]
    rest = [node for node in operands if not isinstance(node, ast.Constant)]
    if deciding in truths:
        return ast.Constant(deciding)
    if not rest:
        return ast.Constant(not deciding)
    return rest[0] if len(rest) == 1 else ast.BoolOp(operator, rest)


def _split_signs(node: ast.expr) -> ast.expr:
    """Write negative constants as the parser does: a minus sign and a positive number."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        is_negative = math.copysign(1, node.value) < 0
        return ast.UnaryOp(ast.USub(), ast.Constant(-node.value)) if is_negative else node
    return map_operands(node, _split_signs)
