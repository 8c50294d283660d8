"""Thresholds: the values that the expressions of a spec compare a parameter with."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from specbuild.expressions.python_ast import parse_python

NAME = re.compile(r"[A-Za-z_]\w*")
COMPARISON = re.compile(r"[<>=!]")
ORDERINGS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)


def find_thresholds(documents: Iterable[Any], names: Collection[str]) -> list[int | str]:
    """Return the values at which a comparison in these documents can change its result.

    Only comparisons that read one of `names` count, or a parameter whose value is computed from one of them.
    Documentation does not count.
    """
    entries = [
        (key, set(NAME.findall(text)), text)
        for document in documents
        for key, text in iterate_texts(document)
    ]
    dependent = {*names}
    while fresh := {key for key, read, _ in entries if read & dependent} - dependent:
        dependent |= fresh
    thresholds: dict[int | str, None] = {}  # a set that keeps its order
    for _, read, text in entries:
        if read & dependent and COMPARISON.search(text):
            thresholds.update(dict.fromkeys(compared_values(text, dependent)))
    return list(thresholds)


def iterate_texts(part: Any, key: str = "", is_item: bool = False) -> Iterator[tuple[str, str]]:
    """Yield every string in a document but its documentation, as (key, string).

    The items of a list have the key of the list.
    """
    if isinstance(part, str):
        yield key, part
    elif isinstance(part, Mapping):
        for name, value in part.items():
            if name not in ("doc", "license") or not (is_item or is_definition(part)):
                yield from iterate_texts(value, name)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from iterate_texts(value, key, is_item=True)


def is_definition(part: Mapping[str, Any]) -> bool:
    """Return whether this is a spec, a block or a parameter, so that its `doc` is documentation."""
    return not part.keys().isdisjoint(("specbuild", "steps", "type", "default"))


def compared_values(text: str, names: Collection[str]) -> Iterator[int | str]:
    """Yield the thresholds of the comparisons that read one of the names.

    None if `text` is not an expression.
    """
    try:
        tree = parse_python(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and _reads_any(node, names):
            sides = [node.left, *node.comparators]
            for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
                yield from _operand_thresholds(operator, left)
                yield from _operand_thresholds(operator, right)


def _reads_any(node: ast.AST, names: Collection[str]) -> bool:
    return any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node))


def _operand_thresholds(operator: ast.cmpop, operand: ast.expr) -> Iterator[int | str]:
    """Yield the literal that an operator compares with; for an ordering, also the integers beside it."""
    if isinstance(operand, ast.Constant) and type(operand.value) is str:
        yield operand.value
    elif isinstance(operand, ast.Constant) and type(operand.value) is int:
        offsets = (-1, 0, 1) if isinstance(operator, ORDERINGS) else (0,)
        yield from (operand.value + offset for offset in offsets)
