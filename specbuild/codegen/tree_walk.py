"""Visit and rewrite the parts of code: the traversal of code trees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import is_
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.tree import (
    NO_MARK,
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

LEAVES = frozenset((Literal, Name, ValuePlaceholder))  # the most frequent expressions; they have no parts


def child_expressions(expr: Expr) -> Iterator[Expr]:
    """Yield the direct parts of an expression, in reading order."""
    if type(expr) in LEAVES:
        return
    match expr:
        case Call(function, args, keywords):
            yield function
            yield from args
            yield from (value for _, value in keywords)
        case DictOf(items):
            yield from (part for item in items for part in item if part is not None)
        case Index(of, items):
            yield of
            yield from items
        case TupleOf(items) | ListOf(items):
            yield from items
        case SliceExpr(lower, upper, step):
            yield from (part for part in (lower, upper, step) if part is not None)
        case Infix(_, left, right):
            yield from (left, right)
        case Conditional(test, then, otherwise):
            yield from (then, test, otherwise)
        case Generator(element, _, iterable) | ListComprehension(element, _, iterable):
            yield from (element, iterable)
        case Attribute(of) | Star(of) | Prefix(_, of):
            yield of


@cache
def code_fields_of_any(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a node that are part of the code; none of what is no node."""
    return code_field_names(kind) if issubclass(kind, Struct) else ()


def code_fields(node: Any) -> Iterator[Any]:
    """Return the values of a node's fields that are part of the code."""
    kind: type[Struct] = type(node)
    return (getattr(node, name) for name in code_field_names(kind))


@cache
def code_field_names(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name != "mark")


def walk_expression(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and all expressions inside it, in pre-order."""
    if type(expr) in LEAVES:
        yield expr
        return
    waiting = [expr]
    while waiting:
        yield (expr := waiting.pop())
        if type(expr) not in LEAVES:
            waiting += reversed(tuple(child_expressions(expr)))


def list_read_names(expr: Expr) -> Iterator[str]:
    """Yield the variables that an expression reads: all plain names except those of functions that it calls."""
    if isinstance(expr, Name) and "." not in expr.text:
        yield expr.text
    for part in child_expressions(expr):
        if not (isinstance(expr, Call) and part is expr.function and isinstance(part, Name)):
            yield from list_read_names(part)


def map_children(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return an expression with each direct part replaced by `change(part)`, and with its marks.

    Where no part becomes another, it is the same object: most calls change little, and copies take time.
    """
    if type(expr) in LEAVES:
        return expr
    if isinstance(expr, Call):
        return map_call(expr, change)
    copy = rebuild_expression(expr, change)
    if copy is expr or expr.mark is NO_MARK:
        return copy
    return replace(copy, mark=expr.mark)


def map_call(expr: Call, change: Callable[[Expr], Expr]) -> Call:
    """Return what `map_children` returns for a call, the most frequent expression with parts."""
    is_changed = False
    keywords = []
    for pair in expr.keywords:
        value = change(pair[1])
        is_changed |= value is not pair[1]
        keywords.append((pair[0], value))
    function = change(expr.function)
    args = map_parts(expr.args, change)
    if not is_changed and function is expr.function and args is expr.args:
        return expr
    return Call(function, args, tuple(keywords), mark=expr.mark)


def map_parts(parts: tuple[Expr, ...], change: Callable[[Expr], Expr]) -> tuple[Expr, ...]:
    """Return the changed parts, in the same tuple if none becomes another."""
    changed = tuple(map(change, parts))
    return parts if all(map(is_, changed, parts)) else changed


def rebuild_expression(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return an expression, or a copy without marks, with each direct part replaced by `change(part)`."""

    def change_optional(part: Expr | None) -> Expr | None:
        return None if part is None else change(part)

    parts: tuple[Any, ...]
    match expr:
        case Attribute(of, name):
            parts = (change(of), name)
        case Index(of, items):
            parts = (change(of), map_parts(items, change))
        case SliceExpr(lower, upper, step):
            parts = (change_optional(lower), change_optional(upper), change_optional(step))
        case Infix(operator, left, right):
            parts = (operator, change(left), change(right))
        case Prefix(operator, operand):
            parts = (operator, change(operand))
        case Conditional(test, then, otherwise):
            parts = (change(test), change(then), change(otherwise))
        case TupleOf(items) | ListOf(items):
            parts = (map_parts(items, change),)
        case DictOf(pairs):
            return DictOf(tuple((change_optional(key), change(value)) for key, value in pairs))
        case Star(of):
            parts = (change(of),)
        case Generator(element, target, iterable) | ListComprehension(element, target, iterable):
            parts = (change(element), target, change(iterable))
        case _:
            return expr
    kind: type = type(expr)
    if all(getattr(expr, name) is part for name, part in zip(code_field_names(kind), parts, strict=True)):
        return expr
    copy: Expr = kind(*parts)
    return copy


def substitute_placeholders(expr: Expr, inputs: Sequence[Expr]) -> Expr:
    """Replace each `ValuePlaceholder(i)` by `inputs[i]`."""
    if isinstance(expr, ValuePlaceholder):
        return inputs[expr.index]
    return map_children(expr, lambda part: substitute_placeholders(part, inputs))
