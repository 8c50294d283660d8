"""Thresholds: the values that the expressions of a spec compare a parameter with."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

from specbuild.expressions.python_ast import parse_python

NAME = re.compile(r"[A-Za-z_]\w*")
COMPARISON = re.compile(r"[<>=!]")
ORDERINGS = (ast.Gt, ast.GtE, ast.Lt, ast.LtE)


class ThresholdFinder:
    """Finds thresholds in the texts of some documents, which it reads once. Documentation does not count."""

    def __init__(self, documents: Iterable[Any]) -> None:
        self.comparisons: list[str] = []
        self.comparisons_of: dict[str, set[int]] = {}  # a name -> the comparisons that read it
        self.dependents: dict[str, set[str]] = {}  # a name -> the keys whose texts read it
        for document in documents:
            for key, text in iterate_texts(document):
                names = set(NAME.findall(text))
                for name in names:
                    self.dependents.setdefault(name, set()).add(key)
                if COMPARISON.search(text):
                    for name in names:
                        self.comparisons_of.setdefault(name, set()).add(len(self.comparisons))
                    self.comparisons.append(text)

    def find_thresholds(self, names: Collection[str]) -> list[int | str]:
        """Return the values at which a comparison can change its result.

        Only comparisons that read one of `names` count, or a parameter whose value is computed from one of them.
        """
        if not self.comparisons:
            return []
        dependent, fresh = set(names), list(names)
        while fresh:
            following = self.dependents.get(fresh.pop(), set()) - dependent
            dependent |= following
            fresh += following
        numbers = {number for name in dependent for number in self.comparisons_of.get(name, ())}
        values = (compared_values(self.comparisons[number], dependent) for number in sorted(numbers))
        return list(dict.fromkeys(chain.from_iterable(values)))


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
