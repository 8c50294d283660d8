"""Names: a function says what it does or gives, a name stands for one thing, and no module hides behind a function."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2] / "specbuild"
ONE_WORD = 0.07  # of all functions, at most
# Participles of irregular verbs; a regular one ends in "ed".
IRREGULAR = frozenset(
    """begun bound broken built chosen drawn found given gone grown held hidden kept known laid left lost made
    meant met said seen sent shown sought spread sung taken thrown told understood worn written""".split()
)
# Endings of nouns and verbs that only look like participles.
NO_PARTICIPLES = frozenset("embed feed need seed speed".split())
NOUN_BEGINNINGS = frozenset("The A An All Whether How What Where One Each Every Its".split())


@cache
def read_modules() -> list[tuple[Path, ast.Module]]:
    """Every module of the package, but for those that are only copied into emitted files."""
    paths = (path for path in sorted(ROOT.rglob("*.py")) if path.parent.name != "helpers")
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def list_functions() -> Iterator[tuple[Path, str]]:
    for path, tree in read_modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__"):
                yield path, node.name.strip("_")


def is_participle(name: str) -> bool:
    return name in IRREGULAR or (bool(re.fullmatch(r"[a-z]*[a-z]ed", name)) and name not in NO_PARTICIPLES)


def test_no_function_is_a_bare_participle() -> None:
    assert [
        f"{path.relative_to(ROOT)}: {name}" for path, name in list_functions() if is_participle(name)
    ] == []


def test_most_functions_have_two_words() -> None:
    names = [name for _, name in list_functions()]
    assert sum("_" not in name for name in names) <= ONE_WORD * len(names)


def test_a_public_name_stands_for_one_thing() -> None:
    """One module defines a function or a class of a name; the mirrored backends count as one, programs begin at `main`."""
    modules = defaultdict(set)
    for path, tree in read_modules():
        place = path.relative_to(ROOT).as_posix()
        place = re.sub(r"^(backends|importing)/(torch|pytorch|keras)/", r"\1/*/", place)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                modules[node.name].add(place)
    del modules["main"]
    assert {name: sorted(found) for name, found in modules.items() if len(found) > 1} == {}


def test_docstrings_of_functions_are_imperative() -> None:
    """`Return the size`, not `The size`; a property is described by a noun."""
    found = []
    for path, tree in read_modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and (doc := ast.get_docstring(node)):
                is_property = any("property" in ast.unparse(d) for d in node.decorator_list)
                if not is_property and doc.split()[0] in NOUN_BEGINNINGS:
                    found.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert found == []


def test_no_function_hides_a_submodule() -> None:
    """`from package import name` means one thing: a package defines and imports no function called as its module."""
    hidden = []
    for path, tree in read_modules():
        if path.name == "__init__.py":
            submodules = {p.stem for p in path.parent.iterdir() if p.suffix == ".py" or p.is_dir()}
            names = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
            for node in tree.body:
                if isinstance(node, ast.ImportFrom):
                    package = ".".join(["specbuild", *path.relative_to(ROOT).parent.parts])
                    names += [a.asname or a.name for a in node.names if node.module != package]
            hidden += [f"{path.parent.name}.{name}" for name in names if name in submodules]
        else:
            names = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
            siblings = {p.stem for p in path.parent.glob("*.py")}
            hidden += [f"{path.relative_to(ROOT)}: {name}" for name in names if name in siblings]
    assert hidden == []
