"""Evaluate expressions over symbolic numbers: the result's expression is built from theirs."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add, mul, sub
from typing import Any, TypeVar, cast

from specbuild.expressions.errors import ExpressionError, quote_expression, unknown_name_error
from specbuild.expressions.evaluator import Env, EnvWithLets, Value, evaluate_tree
from specbuild.expressions.expression_tree import Expression, parse_expression
from specbuild.expressions.input_values import InputList
from specbuild.expressions.parser import MAX_DEPTH
from specbuild.expressions.part_meter import count_evaluation
from specbuild.expressions.rewriting import replace_leaves, replace_lengths, replace_name
from specbuild.expressions.runtime_sizes import list_runtime_sizes, note_fixed_sizes, write_operators
from specbuild.expressions.simplify import simplify_whole_number
from specbuild.expressions.symbolic_numbers import concrete, expression_of, to_expression, with_expression

MAX_TEXT_CHARACTERS = 4_096
MAX_LIST_VALUES = 2_000  # of a list that an expression makes, and of the lists in it

T = TypeVar("T")


def evaluate_expression(source: Expression | str, env: Env) -> Value:
    """Return the value of an expression; raises ExpressionError.

    A number in the result has an expression if one of the numbers that it is computed from has one; the others are
    literals in it. Inside of `count_evaluations`, its parts are counted.
    """
    expression = to_expression(source)
    count_evaluation(expression)
    return _evaluate_uncounted(expression, env)


def _evaluate_uncounted(expression: Expression, env: Env) -> Value:
    for name in expression.names:
        if name not in env:
            raise unknown_name_error(name, env, f"{name}." not in expression.text)
    given, expression = expression, replace_lengths(expression, env)
    if expression.items is not None:
        items: list[Value] = [_evaluate_uncounted(item, env) for item in expression.items]
        check_list_size(expression, items)
        return items
    value, leaves = evaluate_tree(expression.tree, env), expression.leaves
    if not leaves and expression is not given and isinstance(value, int):
        return with_expression(value, repr(value))
    if not leaves or leaves[0] is expression.tree:
        return value
    sizes = list_runtime_sizes(_leaf_values(expression, env), env) if isinstance(env, EnvWithLets) else set()
    if isinstance(value, bool) or not isinstance(value, int | float):
        note_fixed_sizes(sizes, env)
        return value
    if sizes:
        expression = write_operators(expression, env)
    can_rewrite = not sizes or expression.can_emit_for_sizes
    rewritten = rewrite_expression(expression, env, use_own_names=True) if can_rewrite else None
    if rewritten is None:
        note_fixed_sizes(sizes, env)
    if rewritten == expression:  # what the author wrote stays as it is
        return with_expression(value, rewritten)
    return with_simplified_expression(value, rewritten)


def check_list_size(expression: Expression, items: Value) -> None:
    """Raise ExpressionError SB501 if a list has too many values, counted in all lists in it."""
    todo, count = [items], 0
    while todo:
        item = todo.pop()
        if isinstance(item, list | tuple):
            todo += item
            count += len(item)
        if count > MAX_LIST_VALUES:
            quoted = quote_expression(expression.text)
            raise ExpressionError("SB501", f"{quoted} makes a list of more than {MAX_LIST_VALUES:,} values")


def translate_expression(value: T, args: Mapping[str, Value]) -> T:
    """Rewrite the expression of a value from a block's parameters to the caller's arguments `args`.

    An argument without an expression becomes a literal; the number becomes plain if no argument has one. An argument
    that is the same wherever the block is used can have its literal as its expression: `SymInt(16, "16")`.
    """
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(translate_expression(item, args) for item in value))
    expression = expression_of(value)
    if expression is None or not expression.leaves:
        return value
    return with_simplified_expression(value, rewrite_expression(expression, args))


def symbolic_formula(text: str, /, **values: Value) -> Any:
    """Compute with symbolic numbers in the compiler's own code: `symbolic_formula("k // 2", k=kernel)`.

    Unlike in `evaluate_expression`, a plain number becomes a literal if another operand has an expression.
    """
    expression = parse_expression(text)
    leaves = _leaf_values(expression, values)
    if expression.items is None and not any(map(expression_of, leaves)):
        return evaluate_tree(expression.tree, values)
    value = _evaluate_uncounted(expression, values)
    if isinstance(value, list) or not any(map(expression_of, leaves)):
        return value
    replacements = [expression_of(leaf) or _number_literal(leaf) for leaf in leaves]
    return with_simplified_expression(value, _combine_leaves(expression, replacements))


def symbolic_chain(operator: str, operands: Sequence[int]) -> Any:
    """Return `a + b + c` of symbolic numbers, or another operator between them.

    The result of more operands than an expression is deep is a plain number.
    """
    names = [f"x{i}" for i in range(len(operands))]
    if len(operands) < MAX_DEPTH:
        return symbolic_formula(f" {operator} ".join(names), **dict(zip(names, operands, strict=True)))
    compute = {"+": add, "-": sub, "*": mul}[operator]
    return reduce(compute, map(concrete, operands))


def with_simplified_expression(value: T, expression: Expression | None) -> T:
    """Return the same value with an expression, which is simplified for a whole number."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return with_expression(
        value, simplify_whole_number(expression) if expression and is_whole else expression
    )


def rewrite_expression(source: Expression | str, env: Env, use_own_names: bool = False) -> Expression | None:
    """Replace each name in an expression by the expression of its value, or by its number; None if all have only these.

    With `use_own_names`, a name whose value is a bool, a string or a list stays in the expression.
    """
    expression = replace_lengths(to_expression(source), env)
    lets = env.let_expressions if isinstance(env, EnvWithLets) else {}

    def leaf_expression(leaf: ast.expr, value: Value) -> Expression | None:
        if isinstance(leaf, ast.Name) and leaf.id in lets:
            return lets[leaf.id]
        if isinstance(value, InputList):
            return None
        if use_own_names and isinstance(leaf, ast.Name) and isinstance(value, bool | str | list | tuple):
            return Expression(leaf, leaf.id)
        return expression_of(value)

    values = _leaf_values(expression, env)
    pairs = zip(expression.leaves, values, strict=True)
    leaves = [leaf_expression(leaf, value) for leaf, value in pairs]
    if any(leaves):
        leaves = [leaf or _number_literal(value) for leaf, value in zip(leaves, values, strict=True)]
    return _combine_leaves(expression, leaves)


def _number_literal(value: Value) -> Expression | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return parse_expression(repr(value)) if is_number else None


def _leaf_values(expression: Expression, env: Env) -> list[Value]:
    """Return the value of each leaf; None for one that cannot be read, such as one in a branch not taken."""
    values: list[Value] = []
    for leaf in expression.leaves:
        try:
            values.append(evaluate_tree(leaf, env))
        except ExpressionError:
            values.append(None)
    return values


def _combine_leaves(expression: Expression, leaves: Sequence[Expression | None]) -> Expression | None:
    known = tuple(leaf for leaf in leaves if leaf is not None)
    can_replace = expression.can_emit and len(known) == len(leaves)
    return replace_leaves(expression, known) if can_replace else None


def bind_name(value: T, name: str, known: Value) -> T:
    """Replace a name by its value in the expression of a number: at i = 1, `w * 2 ** i` becomes `w * 2`.

    A list can only be replaced where the expression reads one number of it: its length, an item, the largest.
    """
    expression = expression_of(value)
    if expression is None or name not in expression.names:
        return value
    return with_simplified_expression(value, replace_name(expression, name, freeze_lists(known)))


def freeze_lists(value: Value) -> Any:
    """Return a value with tuples for its lists, which can be a key."""
    return tuple(map(freeze_lists, value)) if isinstance(value, list | tuple) else value


_INTERPOLATION = re.compile(r"\$\$\{|\$\{(?P<expression>[^{}]*)(?P<end>\}?)")


def interpolate_text(text: str, env: Env) -> str:
    """Return `text` with every `${expression}` replaced by its value. `$${` stands for a literal `${`.

    Raises ExpressionError SB301 for a missing brace and SB501 if the result is too long.
    """

    def format_match(match: re.Match[str]) -> str:
        if match["end"] is None:
            return "${"
        if not match["end"]:
            message = f"{quote_expression(match[0])} lacks a closing brace"
            raise ExpressionError("SB301", message, "write $${ for a literal ${")
        return str(concrete(evaluate_expression(match["expression"], env)))

    result = _INTERPOLATION.sub(format_match, text)
    if len(result) > MAX_TEXT_CHARACTERS:
        raise ExpressionError(
            "SB501", f"a text has at most {MAX_TEXT_CHARACTERS:,} characters; this becomes {len(result):,}"
        )
    return result
