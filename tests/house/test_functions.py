"""Functions that a reader can hold in the head: a long, wide or deep one has a comment above it that says why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "specbuild"
FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.parent.name != "helpers"]
MAX_LINES = 60
MAX_PARAMETERS = 8
MAX_NESTING = 4
# The comment that stands above the commands of a module, once.
COMMANDS = "typer reads the options of a command from its signature"

Function = ast.FunctionDef | ast.AsyncFunctionDef


def measure_nesting(node: ast.AST, depth: int = 0) -> int:
    """How deep statements with a body stand in each other; `elif` is no level, inner functions are their own."""
    deepest = depth
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.ClassDef | ast.Lambda):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]
        opens = isinstance(child, ast.If | ast.For | ast.While | ast.With | ast.Try | ast.Match)
        deepest = max(deepest, measure_nesting(child, depth + (opens and not is_elif)))
    return deepest


def count_parameters(function: Function) -> int:
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def find_large_functions(path: Path) -> Iterator[str]:
    """Functions past a limit that no comment explains."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, Function):
            continue
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        has_comment = first > 1 and lines[first - 2].lstrip().startswith("#")
        has_options = COMMANDS in "\n".join(lines[:first])
        length, parameters = (node.end_lineno or 0) - node.lineno + 1, count_parameters(node)
        if (length > MAX_LINES or measure_nesting(node) > MAX_NESTING) and not has_comment:
            yield f"{node.name}: {length} lines, nesting {measure_nesting(node)}"
        if parameters > MAX_PARAMETERS and not (has_comment or has_options):
            yield f"{node.name}: {parameters} parameters"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_functions_are_small(path: Path) -> None:
    assert list(find_large_functions(path)) == []
