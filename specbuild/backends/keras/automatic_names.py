"""Names that Keras gives to the operations of a model, which may collide with the author's names."""

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
)
from specbuild.codegen.tree_walk import walk_expression

# Up to this number of a layer, such as `sum_1`, operations named `sum` get higher numbers.
MAX_NUMBER = 16
OPERATOR_NAMES = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "true_divide",
    "//": "floor_divide",
    "%": "mod",
    "**": "power",
}
RENAMED_OPERATIONS = {"rms_normalization": "rms_norm"}  # all other operations have the name of their function


def reserve_automatic_names(
    names: Iterable[str], statements: Iterable[Statement], helpers: Mapping[str, str]
) -> list[Statement]:
    """Return statements that reserve those names of the author that operations in `statements` would get.

    Keras then gives these operations a number: `add_1`.
    """
    automatic = set(operation_names(statements, helpers))
    uses: dict[str, int] = {}  # name of an operation -> how many of its names layers have, up to the last
    for name in dict.fromkeys(names):
        stem, _, number = name.rpartition("_")
        if name in automatic:
            uses[name] = max(uses.get(name, 0), 1)
        elif stem in automatic and number.isdigit() and int(number) < MAX_NUMBER:
            uses[stem] = max(uses.get(stem, 0), int(number) + 1)
    collisions = [name for name, count in uses.items() for _ in range(count)]
    if not collisions:
        return []
    get_uid = Attribute(Attribute(Name("keras"), "backend"), "get_uid")
    comment = Comment("Keras numbers its own operations of these names, which layers here have")
    return [comment, *(Do(Call(get_uid, (Literal(name),))) for name in collisions)]


def operation_names(statements: Iterable[Statement], helpers: Mapping[str, str]) -> Iterator[str]:
    """Yield the names that Keras may give to the operations of these statements."""
    for statement in statements:
        match statement:
            case Assign(_, value) | Unpack(_, value):
                yield from names_in_expression(value, helpers)
            case For(_, iterable, inner):
                yield from names_in_expression(iterable, helpers)
                yield from operation_names(inner, helpers)
            case If(test, inner, otherwise):
                yield from names_in_expression(test, helpers)
                yield from operation_names((*inner, *otherwise), helpers)


def names_in_expression(expr: Expr, helpers: Mapping[str, str]) -> Iterator[str]:
    """Yield the names that Keras may give to the operations of an expression."""
    for part in walk_expression(expr):
        match part:
            case Call(Name(function)) if function.startswith("ops."):
                name = function.removeprefix("ops.")
                yield RENAMED_OPERATIONS.get(name, name)
            case Call(Name("layers.Reshape")):
                yield "reshape"
            case Call(Name(function)) if helpers.get(function, "").startswith("def "):
                yield from re.findall(r"\bops\.(\w+)", helpers[function])
                yield from ("get_item", *OPERATOR_NAMES.values())
            case Infix(operator):
                yield OPERATOR_NAMES.get(operator, "")
            case Prefix("-"):
                yield "negative"
            case Index():
                yield "get_item"
