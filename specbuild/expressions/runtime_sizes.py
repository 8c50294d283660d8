"""Expressions that read sizes which emitted code reads when it runs: they may only use what such code can compute."""

from __future__ import annotations

import ast

from specbuild.expressions.errors import ExpressionError
from specbuild.expressions.evaluator import Env, EnvWithLets, Value, evaluate_tree
from specbuild.expressions.expression_tree import Expression, from_tree
from specbuild.expressions.rewriting import map_operands
from specbuild.expressions.symbolic_numbers import expression_of


def list_runtime_sizes(values: list[Value], env: Env) -> set[str]:
    """Return the variables for sizes that code reads when it runs, in the expressions of these values."""
    if not isinstance(env, EnvWithLets):
        return set()
    found = [expression for value in values if (expression := expression_of(value)) is not None]
    return {name for expression in found for name in expression.names if env.is_runtime_size(name)}


def note_fixed_sizes(names: set[str], env: Env) -> None:
    """Note that a value with these sizes in it has no expression: code is right at these sizes only."""
    if names and isinstance(env, EnvWithLets):
        env.note_fixed_sizes(names)


def write_operators(expression: Expression, env: Env) -> Expression:
    """Return the expression with operators for the functions that Python has only in a module: `-(-n // 2)`."""

    def is_whole(node: ast.expr) -> bool:
        try:
            value = evaluate_tree(node, env)
        except ExpressionError:
            return False
        return isinstance(value, int) and not isinstance(value, bool)

    def rewrite(node: ast.expr) -> ast.expr:
        copy = map_operands(node, rewrite)
        match node, copy:
            case ast.Call(ast.Name("sqrt")), ast.Call(_, [number]):
                return ast.BinOp(number, ast.Pow(), ast.Constant(0.5))
            case ast.Call(ast.Name("floor" | "ceil"), [given]), ast.Call(_, [number]) if is_whole(given):
                return number
            case (
                ast.Call(ast.Name("floor" | "ceil" as name), [ast.BinOp(left, ast.Div(), right)]),
                ast.Call(_, [ast.BinOp(number, _, divisor)]),
            ) if is_whole(left) and is_whole(right):
                return divide_down(number, divisor) if name == "floor" else divide_up(number, divisor)
            case ast.Call(ast.Name("floor")), ast.Call(_, [number]):
                return make_whole(divide_down(number, ast.Constant(1)))
            case ast.Call(ast.Name("ceil")), ast.Call(_, [number]):
                return make_whole(divide_up(number, ast.Constant(1)))
        return copy

    return expression if expression.can_emit_for_sizes else from_tree(rewrite(expression.tree))


def divide_down(number: ast.expr, divisor: ast.expr) -> ast.expr:
    return ast.BinOp(number, ast.FloorDiv(), divisor)


def divide_up(number: ast.expr, divisor: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), divide_down(ast.UnaryOp(ast.USub(), number), divisor))


def make_whole(number: ast.expr) -> ast.expr:
    return ast.Call(ast.Name("int", ast.Load()), [number], [])
