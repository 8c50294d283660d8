"""The names that Keras gives to operations of a model by itself, where an author may want one of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    Comment,
    Do,
    Expr,
    For,
    If,
    Index,
    Infix,
    Literal,
    Name,
    Prefix,
    Statement,
    Unpack,
    walk,
)

OPERATORS = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "true_divide",
    "//": "floor_divide",
    "%": "mod",
    "**": "power",
}
OTHERWISE = {"rms_normalization": "rms_norm"}  # elsewhere an operation is called as its function is


def reserved(
    names: Iterable[str], statements: Iterable[Statement], helpers: Mapping[str, str]
) -> list[Statement]:
    """What makes Keras number its own operations where it would give them one of these names too."""
    own = set(given(statements, helpers))
    taken = [name for name in dict.fromkeys(names) if name in own]
    if not taken:
        return []
    get_uid = Attribute(Attribute(Name("keras"), "backend"), "get_uid")
    told = Comment("Keras numbers its own operations of these names, which layers here have")
    return [told, *(Do(Call(get_uid, (Literal(name),))) for name in taken)]


def given(statements: Iterable[Statement], helpers: Mapping[str, str]) -> Iterator[str]:
    """The names that the operations of these statements may get."""
    for statement in statements:
        match statement:
            case Assign(_, value) | Unpack(_, value):
                yield from told(value, helpers)
            case For(_, iterable, inner):
                yield from told(iterable, helpers)
                yield from given(inner, helpers)
            case If(test, inner, otherwise):
                yield from told(test, helpers)
                yield from given((*inner, *otherwise), helpers)


def told(expr: Expr, helpers: Mapping[str, str]) -> Iterator[str]:
    for part in walk(expr):
        match part:
            case Call(Name(function)) if function.startswith("ops."):
                name = function.removeprefix("ops.")
                yield OTHERWISE.get(name, name)
            case Call(Name(function)) if helpers.get(function, "").startswith("def "):
                yield from re.findall(r"\bops\.(\w+)", helpers[function])
                yield from ("get_item", *OPERATORS.values())
            case Infix(operator):
                yield OPERATORS.get(operator, "")
            case Prefix("-"):
                yield "negative"
            case Index():
                yield "get_item"
