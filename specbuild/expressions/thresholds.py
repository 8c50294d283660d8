"""Values at which a spec decides otherwise: those that it compares a parameter with."""

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
    """The values around which an expression of these documents changes its mind about one of the names, or about
    a parameter that was given one under another name."""
    entries = [entry for document in documents for entry in iterate_texts(document)]
    told = {*names}
    words = [(key, set(NAME.findall(text)), text) for key, text in entries]
    while fresh := {key for key, read, _ in words if read & told} - told:
        told |= fresh
    found: dict[int | str, None] = {}
    for _, read, text in words:
        if read & told and COMPARISON.search(text):
            found.update(dict.fromkeys(compared_values(text, told)))
    return list(found)


def iterate_texts(part: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in a document, with the key that it stands at."""
    if isinstance(part, str):
        yield key, part
    elif isinstance(part, Mapping):
        for name, value in part.items():
            yield from iterate_texts(value, name)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from iterate_texts(value, key)


def compared_values(text: str, names: Collection[str]) -> Iterator[int | str]:
    """The plain values that an expression compares something with that reads one of the names."""
    try:
        tree = parse_python(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return  # some other text
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(isinstance(part, ast.Name) and part.id in names for part in ast.walk(node)):
                for operator, *pair in zip(node.ops, sides, sides[1:], strict=False):
                    for side in pair:
                        if isinstance(side, ast.Constant) and type(side.value) is str:
                            yield side.value
                        elif isinstance(side, ast.Constant) and type(side.value) is int:
                            beside = (-1, 0, 1) if isinstance(operator, ORDERINGS) else (0,)
                            yield from (side.value + step for step in beside)
