"""What reviewers of emitted code ask for, in every golden file: the specs, and the backbones that are read most."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = {f"{p.parent.name}-{p.stem}": p for p in sorted(GOLDEN.glob("*/*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
SHAPES = re.compile(r"^(Inputs?|Outputs?): ", re.M)  # in the docstring of each class that a spec describes


def own_definitions(tree: ast.Module) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the name, the docstring and the constructor's arguments of each class or function of the spec."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and SHAPES.search(ast.get_docstring(node) or ""):
            constructors = [
                part
                for part in ([node] if isinstance(node, ast.FunctionDef) else node.body)
                if isinstance(part, ast.FunctionDef) and part.name in (node.name, "__init__")
            ]
            arguments = [a.arg for part in constructors for a in part.args.args if a.arg != "self"]
            yield node.name, ast.get_docstring(node) or "", arguments


@pytest.mark.parametrize("name", FILES)
def test_docstrings_describe_the_arguments_and_no_others(name: str) -> None:
    definitions = list(own_definitions(TREES[name]))
    assert definitions
    for owner, text, arguments in definitions:
        _, _, section = text.partition("\nArgs:\n")
        described = re.findall(r"^ {4}(\w+): \S", section, re.M)
        assert described == [a for a in arguments if a != "trainable"], owner


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("-keras")])
def test_keras_has_the_constants_of_batch_norms_once(name: str) -> None:
    source = FILES[name].read_text(encoding="utf-8")
    assert len(re.findall(r"momentum=0\.9, epsilon=1e-5", source)) <= 3


@pytest.mark.parametrize("name", FILES)
def test_no_variable_is_only_another_name(name: str) -> None:
    assigned = [node for node in ast.walk(TREES[name]) if isinstance(node, ast.Assign)]
    names = [a for a in assigned if isinstance(a.value, ast.Name) and isinstance(a.targets[0], ast.Name)]
    assert [ast.unparse(a) for a in names] == []


@pytest.mark.parametrize("name", FILES)
def test_classes_with_equal_bodies_are_one(name: str) -> None:
    bodies: dict[str, list[str]] = {}
    for node in TREES[name].body:
        if isinstance(node, ast.ClassDef) and SHAPES.search(ast.get_docstring(node) or ""):
            code = "\n".join(ast.unparse(part) for part in node.body[1:])
            bodies.setdefault(code.replace(node.name, "Self"), []).append(node.name)
    assert [names for names in bodies.values() if len(names) > 1] == []


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith("-keras")])
def test_keras_takes_channels_from_the_shapes_of_inputs(name: str) -> None:
    """A file with frozen layers, and a block around one that computes a table, need them in the constructor."""
    source = FILES[name].read_text(encoding="utf-8")
    if ".trainable = False" not in source:
        classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
        takes = [c.name for c in classes if re.search(r"self\.(\w+_)?in_channels\b", ast.unparse(c))]
        assert takes == (["SwinBlock"] if name.startswith("swin") else [])
