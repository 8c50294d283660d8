"""What reviewers of emitted code ask for, in every golden file: the specs, and the backbones that are read most."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emitted_style import find_style_faults

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
def test_nothing_is_left_that_a_reviewer_would_not_merge(name: str) -> None:
    assert find_style_faults(FILES[name].read_text(encoding="utf-8")) == []


SILLY = """
class Net(nn.Module):
    \"\"\"A net.

    Args:
        width: width
        width2: width2 of conv
    \"\"\"

    def __init__(self, width: int, width2: int, depth: int = 0, unread: int = 1):
        super().__init__()
        if width % width2:
            raise ValueError("width")
        if depth < 1:
            raise ValueError("depth")
        self.conv = nn.Conv2d(width * 1, width // width2 * width2 + 0, 3 + 4, p=0.018181818181818184)
        self.shape = width - width, width // 1, torch.full((2, 3), 0.0)

    def forward(self, x):
        y = x
        return self.conv(y)


class Empty(nn.Module):
    def __init__(self):
        super().__init__()
"""


def test_the_check_finds_each_fault() -> None:
    found = [re.sub(r"^line \d+: ([^:]*).*", r"\1", fault) for fault in find_style_faults(SILLY)]
    assert sorted(found) == [
        "Net refuses its own defaults",
        "a constructor that does nothing",
        "a division that is undone",
        "a division without effect",
        "a factor without effect",
        "a long float",
        "a name with only a number of its own, in Net",
        "a sum without effect",
        "a sum without effect",
        "an argument that nothing reads, in Net",
        "an idle description in Net",
        "an idle description in Net",
        "numbers to compute",
        "only another name",
        "zeros or ones",
    ]


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
