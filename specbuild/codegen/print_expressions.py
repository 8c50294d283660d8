"""Turns expressions into streams of text and break marks, with parentheses where precedence needs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from specbuild.codegen.line_breaks import BEGIN, CLOSE, COMMA, END, GAP, LINE, OPEN, SOFT, Stream
from specbuild.codegen.literals import check_dotted_name, check_identifier, format_literal
from specbuild.codegen.precedence import (
    OR,
    OR_BITS,
    Access,
    inner_expression,
    is_fluent,
    line_break_precedence,
    needs_inner_parentheses,
    needs_operand_parentheses,
    needs_side_parentheses,
    operator_precedence,
)
from specbuild.codegen.tree import (
    Attribute,
    Call,
    Conditional,
    DictOf,
    Expr,
    Generator,
    Index,
    Infix,
    ListComprehension,
    ListOf,
    Literal,
    Name,
    Prefix,
    SliceExpr,
    Star,
    TupleOf,
    ValuePlaceholder,
)


def expression_stream(expr: Expr) -> Stream:
    """Return an expression as a stream of text and break marks."""
    out: Stream = []
    _emit_expression(expr, out)
    return out


def join_expressions(items: Iterable[Expr]) -> Stream:
    """Return expressions separated by commas, with a trailing comma if each gets its own line."""
    out: Stream = []
    _emit_items(items, out)
    return out


def _emit_expression(expr: Expr, out: Stream) -> None:
    _EMITTERS[type(expr)](expr, out)


def _emit_at_level(expr: Expr, least: int, out: Stream) -> None:
    """Emit an operand, in parentheses if its precedence is below `least`."""
    if operator_precedence(expr) < least:
        _emit_parenthesized(expr, out)
    else:
        _emit_expression(expr, out)


def _emit_parenthesized(expr: Expr, out: Stream) -> None:
    out += ("(", OPEN)
    _emit_expression(expr, out)
    out += (CLOSE, ")")


def _emit_name(expr: Name, out: Stream) -> None:
    out.append("..." if expr.text == "..." else check_dotted_name(expr.text))


def _emit_literal(expr: Literal, out: Stream) -> None:
    if isinstance(expr.value, float) and not math.isfinite(expr.value):
        _emit_expression(Call(Name("float"), (Literal(float.__repr__(expr.value)),)), out)
    else:
        out.append(format_literal(expr.value))


def _refuse_input(expr: ValuePlaceholder, out: Stream) -> None:
    raise AssertionError(f"input {expr.index} was not substituted")


# -------------------------------------------------------------------------------------------------- operators


def _emit_infix(expr: Infix, out: Stream) -> None:
    out.append(BEGIN)
    _emit_operator_chain(expr, out)
    out.append(END)


def _emit_operator_chain(expr: Infix, out: Stream) -> None:
    wraps_left, wraps_right = needs_side_parentheses(expr)
    _emit_operand(expr, expr.left, wraps_left, out)
    if (
        expr.operator == "**"
        and not wraps_left
        and _is_simple(expr.left)
        and _is_simple(_power_base(expr.right))
    ):
        out += (SOFT, "**", GAP)
    else:
        out += (LINE, expr.operator, " ")
    _emit_operand(expr, expr.right, wraps_right, out)


def _emit_operand(expr: Infix, operand: Expr, wrapped: bool, out: Stream) -> None:
    if wrapped:
        _emit_parenthesized(operand, out)
    elif isinstance(operand, Infix) and line_break_precedence(operand) == line_break_precedence(expr):
        _emit_operator_chain(operand, out)
    else:
        _emit_expression(operand, out)


def _power_base(exponent: Expr) -> Expr:
    """Return the operand directly after `**`: `b` in `a**b**c`."""
    return exponent.left if isinstance(exponent, Infix) and exponent.operator == "**" else exponent


def _is_simple(expr: Expr) -> bool:
    """Return whether the formatter omits the spaces around `**` next to this operand."""
    match expr:
        case Name(path):
            return path != "..."
        case Literal(value):
            return value is None or (isinstance(value, int | float) and math.isfinite(value))
        case Prefix(operator, operand):
            return operator != "not" and not needs_operand_parentheses(expr) and _is_simple(operand)
        case Attribute(of):
            return _is_simple(of)
    return False


def _emit_prefix(expr: Prefix, out: Stream) -> None:
    out.append("not " if expr.operator == "not" else expr.operator)
    if needs_operand_parentheses(expr):
        _emit_parenthesized(expr.operand, out)
    else:
        _emit_expression(expr.operand, out)


def _emit_conditional(expr: Conditional, out: Stream) -> None:
    out.append(BEGIN)
    _emit_branches(expr, out)
    out.append(END)


def _emit_branches(expr: Conditional, out: Stream) -> None:
    _emit_at_level(expr.then, OR, out)
    out += (LINE, "if ")
    _emit_at_level(expr.test, OR, out)
    out += (LINE, "else ")
    if isinstance(expr.otherwise, Conditional):
        _emit_branches(expr.otherwise, out)
    else:
        _emit_expression(expr.otherwise, out)


# --------------------------------------------------------------------------------------------------- brackets


def _emit_brackets(left: str, items: Sequence[Expr], right: str, out: Stream) -> None:
    if not items:
        out.append(left + right)
        return
    out += (left, OPEN)
    _emit_items(items, out)
    out += (CLOSE, right)


def _emit_items(items: Iterable[Expr], out: Stream) -> None:
    count = 0
    for item in items:
        if count:
            out += (",", LINE)
        _emit_expression(item, out)
        count += 1
    if count > 1:
        out.append(COMMA)


def _emit_list(expr: ListOf, out: Stream) -> None:
    _emit_brackets("[", expr.items, "]", out)


def _emit_tuple(expr: TupleOf, out: Stream) -> None:
    if len(expr.items) == 1:
        out += ("(", OPEN)
        _emit_expression(expr.items[0], out)
        out += (",", CLOSE, ")")
    else:
        _emit_brackets("(", expr.items, ")", out)


def _emit_dict(expr: DictOf, out: Stream) -> None:
    if not expr.items:
        out.append("{}")
        return
    out += ("{", OPEN)
    for index, (key, value) in enumerate(expr.items):
        if index:
            out += (",", LINE)
        if key is None:
            out.append("**")
            _emit_at_level(value, OR_BITS, out)
        else:
            _emit_expression(key, out)
            out.append(": ")
            _emit_expression(value, out)
    if len(expr.items) > 1:
        out.append(COMMA)
    out += (CLOSE, "}")


def _emit_star(expr: Star, out: Stream) -> None:
    out.append("*")
    _emit_at_level(expr.of, OR_BITS, out)


def _emit_list_comprehension(expr: ListComprehension, out: Stream) -> None:
    out += ("[", OPEN)
    _emit_comprehension(expr, out)
    out += (CLOSE, "]")


def _emit_generator(expr: Generator, out: Stream) -> None:
    out += ("(", OPEN)
    _emit_comprehension(expr, out)
    out += (CLOSE, ")")


def _emit_comprehension(expr: Generator | ListComprehension, out: Stream) -> None:
    out += (BEGIN, BEGIN)
    _emit_expression(expr.element, out)
    out += (END, LINE, f"for {', '.join(loop_targets(expr.target))} in ")
    _emit_at_level(expr.iterable, OR, out)
    out.append(END)


def loop_targets(target: str) -> list[str]:
    """Return the target names of a loop, from a text such as `a` or `a, b`."""
    return [check_identifier(name) for name in target.split(", ")]


# ----------------------------------------------------------------------------------- calls, items, attributes


def _emit_access(expr: Access, out: Stream) -> None:
    if is_fluent(expr):
        out.append(BEGIN)
        _emit_access_link(expr, True, out)
        out.append(END)
    else:
        _emit_access_link(expr, False, out)


def _emit_access_link(expr: Access, fluent: bool, out: Stream) -> None:
    part, wrapped = inner_expression(expr), needs_inner_parentheses(expr)
    if wrapped:
        _emit_parenthesized(part, out)
    elif isinstance(part, Call | Index | Attribute):
        _emit_access_link(part, fluent, out)
    else:
        _emit_expression(part, out)
    if isinstance(expr, Call):
        _emit_arguments(expr, out)
    elif isinstance(expr, Index):
        _emit_index(expr, out)
    else:
        if fluent and (wrapped or isinstance(part, Call | Index)):
            out.append(SOFT)
        out += (".", check_identifier(expr.name))


def _emit_arguments(expr: Call, out: Stream) -> None:
    if not expr.args and not expr.keywords:
        out.append("()")
        return
    out += ("(", OPEN, BEGIN)
    if len(expr.args) == 1 and not expr.keywords and isinstance(expr.args[0], Generator):
        _emit_comprehension(expr.args[0], out)
    else:
        _emit_items(expr.args, out)
        if expr.keywords:
            _emit_keywords(expr, out)
    out += (END, CLOSE, ")")


def _emit_keywords(expr: Call, out: Stream) -> None:
    if out[-1] is COMMA:
        out.pop()
    for index, (name, value) in enumerate(expr.keywords):
        if index or expr.args:
            out += (",", LINE)
        out.append("**" if name == "**" else f"{check_identifier(name)}=")
        _emit_expression(value, out)
    if len(expr.args) + len(expr.keywords) > 1:
        out.append(COMMA)


def _emit_index(expr: Index, out: Stream) -> None:
    out += ("[", OPEN)
    if len(expr.items) > 1:
        out.append(BEGIN)
        _emit_items(expr.items, out)
        out.append(END)
    else:
        _emit_expression(expr.items[0], out)
    out += (CLOSE, "]")


def _emit_slice(expr: SliceExpr, out: Stream) -> None:
    parts = [part for part in (expr.lower, expr.upper, expr.step) if part is not None]
    space = "" if all(map(_is_simple_bound, parts)) else " "
    if expr.lower is not None:
        _emit_expression(expr.lower, out)
        out.append(space)
    out.append(":")
    if expr.upper is not None:
        out.append(space)
        _emit_expression(expr.upper, out)
    if expr.step is not None:
        out += (space if expr.upper is not None else "", ":", space)
        _emit_expression(expr.step, out)


def _is_simple_bound(expr: Expr) -> bool:
    match expr:
        case Prefix(operator, operand):
            return operator != "not" and _is_simple_bound(operand)
        case Name(path):
            return path == "..." or "." not in path
        case Literal(float() as value):
            return math.isfinite(value)
    return isinstance(expr, Literal)


_EMITTERS: dict[type, Callable[[Any, Stream], None]] = {
    Name: _emit_name,
    Literal: _emit_literal,
    ValuePlaceholder: _refuse_input,
    Infix: _emit_infix,
    Prefix: _emit_prefix,
    Conditional: _emit_conditional,
    ListOf: _emit_list,
    TupleOf: _emit_tuple,
    DictOf: _emit_dict,
    Star: _emit_star,
    Generator: _emit_generator,
    ListComprehension: _emit_list_comprehension,
    Call: _emit_access,
    Index: _emit_access,
    Attribute: _emit_access,
    SliceExpr: _emit_slice,
}
