"""From expressions to text and marks: what is said, where it needs parentheses, where a line may end."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from specbuild.codegen import literals as text
from specbuild.codegen.line_breaks import BEGIN, CLOSE, COMMA, END, GAP, LINE, OPEN, SOFT, Stream
from specbuild.codegen.precedence import (
    OR,
    OR_BITS,
    Access,
    inner,
    is_fluent,
    precedence,
    splits_with,
    wraps_inner,
    wraps_operand,
    wraps_sides,
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
    Input,
    ListComprehension,
    ListOf,
    Literal,
    Name,
    Prefix,
    Slice,
    Star,
    TupleOf,
)


def stream(expr: Expr) -> Stream:
    """The expression as text and marks."""
    out: Stream = []
    _emit(expr, out)
    return out


def joined(items: Iterable[Expr]) -> Stream:
    """Expressions with commas between them, and one after the last if they are on lines of their own."""
    out: Stream = []
    _join(items, out)
    return out


def _emit(expr: Expr, out: Stream) -> None:
    _EMITTERS[type(expr)](expr, out)


def _within(expr: Expr, least: int, out: Stream) -> None:
    """An operand, in parentheses if it binds less than `least`."""
    if precedence(expr) < least:
        _parenthesized(expr, out)
    else:
        _emit(expr, out)


def _parenthesized(expr: Expr, out: Stream) -> None:
    out += ("(", OPEN)
    _emit(expr, out)
    out += (CLOSE, ")")


def _name(expr: Name, out: Stream) -> None:
    out.append("..." if expr.text == "..." else text.name(expr.text))


def _literal(expr: Literal, out: Stream) -> None:
    if isinstance(expr.value, float) and not math.isfinite(expr.value):
        _emit(Call(Name("float"), (Literal(float.__repr__(expr.value)),)), out)
    else:
        out.append(text.literal(expr.value))


def _input(expr: Input, out: Stream) -> None:
    raise AssertionError(f"operand {expr.index} was never put in its place")


# -------------------------------------------------------------------------------------------------- operators


def _infix(expr: Infix, out: Stream) -> None:
    out.append(BEGIN)
    _chain(expr, out)
    out.append(END)


def _chain(expr: Infix, out: Stream) -> None:
    wraps_left, wraps_right = wraps_sides(expr)
    _operand(expr, expr.left, wraps_left, out)
    if expr.operator == "**" and not wraps_left and _is_simple(expr.left) and _is_simple(_base(expr.right)):
        out += (SOFT, "**", GAP)
    else:
        out += (LINE, expr.operator, " ")
    _operand(expr, expr.right, wraps_right, out)


def _operand(expr: Infix, operand: Expr, wrapped: bool, out: Stream) -> None:
    if wrapped:
        _parenthesized(operand, out)
    elif isinstance(operand, Infix) and splits_with(operand) == splits_with(expr):
        _chain(operand, out)
    else:
        _emit(operand, out)


def _base(exponent: Expr) -> Expr:
    """What stands right after `**`, as in `a**b**c`."""
    return exponent.left if isinstance(exponent, Infix) and exponent.operator == "**" else exponent


def _is_simple(expr: Expr) -> bool:
    """Whether a power needs no spaces beside this operand."""
    match expr:
        case Name(path):
            return path != "..."
        case Literal(value):
            return value is None or (isinstance(value, int | float) and math.isfinite(value))
        case Prefix(operator, operand):
            return operator != "not" and not wraps_operand(expr) and _is_simple(operand)
        case Attribute(of):
            return _is_simple(of)
    return False


def _prefix(expr: Prefix, out: Stream) -> None:
    out.append("not " if expr.operator == "not" else expr.operator)
    if wraps_operand(expr):
        _parenthesized(expr.operand, out)
    else:
        _emit(expr.operand, out)


def _conditional(expr: Conditional, out: Stream) -> None:
    out.append(BEGIN)
    _branches(expr, out)
    out.append(END)


def _branches(expr: Conditional, out: Stream) -> None:
    _within(expr.then, OR, out)
    out += (LINE, "if ")
    _within(expr.test, OR, out)
    out += (LINE, "else ")
    if isinstance(expr.otherwise, Conditional):
        _branches(expr.otherwise, out)
    else:
        _emit(expr.otherwise, out)


# --------------------------------------------------------------------------------------------------- brackets


def _bracket(left: str, items: Sequence[Expr], right: str, out: Stream) -> None:
    if not items:
        out.append(left + right)
        return
    out += (left, OPEN)
    _join(items, out)
    out += (CLOSE, right)


def _join(items: Iterable[Expr], out: Stream) -> None:
    count = 0
    for item in items:
        if count:
            out += (",", LINE)
        _emit(item, out)
        count += 1
    if count > 1:
        out.append(COMMA)


def _list(expr: ListOf, out: Stream) -> None:
    _bracket("[", expr.items, "]", out)


def _tuple(expr: TupleOf, out: Stream) -> None:
    if len(expr.items) == 1:
        out += ("(", OPEN)
        _emit(expr.items[0], out)
        out += (",", CLOSE, ")")
    else:
        _bracket("(", expr.items, ")", out)


def _dict(expr: DictOf, out: Stream) -> None:
    if not expr.items:
        out.append("{}")
        return
    out += ("{", OPEN)
    for at, (key, value) in enumerate(expr.items):
        if at:
            out += (",", LINE)
        if key is None:
            out.append("**")
            _within(value, OR_BITS, out)
        else:
            _emit(key, out)
            out.append(": ")
            _emit(value, out)
    if len(expr.items) > 1:
        out.append(COMMA)
    out += (CLOSE, "}")


def _star(expr: Star, out: Stream) -> None:
    out.append("*")
    _within(expr.of, OR_BITS, out)


def _list_comprehension(expr: ListComprehension, out: Stream) -> None:
    out += ("[", OPEN)
    _comprehension(expr, out)
    out += (CLOSE, "]")


def _generator(expr: Generator, out: Stream) -> None:
    out += ("(", OPEN)
    _comprehension(expr, out)
    out += (CLOSE, ")")


def _comprehension(expr: Generator | ListComprehension, out: Stream) -> None:
    out += (BEGIN, BEGIN)
    _emit(expr.element, out)
    out += (END, LINE, f"for {', '.join(targets(expr.target))} in ")
    _within(expr.iterable, OR, out)
    out.append(END)


def targets(names: str) -> list[str]:
    """The targets of a loop: one name, or several with commas between them."""
    return [text.identifier(name) for name in names.split(", ")]


# ----------------------------------------------------------------------------------- calls, items, attributes


def _access(expr: Access, out: Stream) -> None:
    if is_fluent(expr):
        out.append(BEGIN)
        _access_link(expr, True, out)
        out.append(END)
    else:
        _access_link(expr, False, out)


def _access_link(expr: Access, fluent: bool, out: Stream) -> None:
    part, wrapped = inner(expr), wraps_inner(expr)
    if wrapped:
        _parenthesized(part, out)
    elif isinstance(part, Call | Index | Attribute):
        _access_link(part, fluent, out)
    else:
        _emit(part, out)
    if isinstance(expr, Call):
        _arguments(expr, out)
    elif isinstance(expr, Index):
        _index(expr, out)
    else:
        if fluent and (wrapped or isinstance(part, Call | Index)):
            out.append(SOFT)
        out += (".", text.identifier(expr.name))


def _arguments(expr: Call, out: Stream) -> None:
    if not expr.args and not expr.keywords:
        out.append("()")
        return
    out += ("(", OPEN, BEGIN)
    if len(expr.args) == 1 and not expr.keywords and isinstance(expr.args[0], Generator):
        _comprehension(expr.args[0], out)
    else:
        _join(expr.args, out)
        if expr.keywords:
            _keywords(expr, out)
    out += (END, CLOSE, ")")


def _keywords(expr: Call, out: Stream) -> None:
    if out[-1] is COMMA:
        out.pop()
    for at, (name, value) in enumerate(expr.keywords):
        if at or expr.args:
            out += (",", LINE)
        out.append("**" if name == "**" else f"{text.identifier(name)}=")
        _emit(value, out)
    if len(expr.args) + len(expr.keywords) > 1:
        out.append(COMMA)


def _index(expr: Index, out: Stream) -> None:
    out += ("[", OPEN)
    if len(expr.items) > 1:
        out.append(BEGIN)
        _join(expr.items, out)
        out.append(END)
    else:
        _emit(expr.items[0], out)
    out += (CLOSE, "]")


def _slice(expr: Slice, out: Stream) -> None:
    parts = [part for part in (expr.lower, expr.upper, expr.step) if part is not None]
    space = "" if all(map(_is_simple_bound, parts)) else " "
    if expr.lower is not None:
        _emit(expr.lower, out)
        out.append(space)
    out.append(":")
    if expr.upper is not None:
        out.append(space)
        _emit(expr.upper, out)
    if expr.step is not None:
        out += (space if expr.upper is not None else "", ":", space)
        _emit(expr.step, out)


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
    Name: _name,
    Literal: _literal,
    Input: _input,
    Infix: _infix,
    Prefix: _prefix,
    Conditional: _conditional,
    ListOf: _list,
    TupleOf: _tuple,
    DictOf: _dict,
    Star: _star,
    Generator: _generator,
    ListComprehension: _list_comprehension,
    Call: _access,
    Index: _access,
    Attribute: _access,
    Slice: _slice,
}
