"""The layers of emitted Keras classes: built explicitly, and in the precision of the block that has them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*/keras.py"))


def block_classes(path: Path) -> Iterator[ast.ClassDef]:
    """Yield the classes of the blocks in a file: those that are registered under the name of the model."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.decorator_list:
            decorators = " ".join(map(ast.unparse, node.decorator_list))
            if "package='specbuild'" not in decorators:
                yield node


def layer_calls(cls: ast.ClassDef) -> Iterator[ast.Call]:
    """Yield the calls that create layers: all that name one, but for rows, which take no precision."""
    for node in ast.walk(cls):
        if isinstance(node, ast.Call) and any(k.arg == "name" for k in node.keywords):
            function = ast.unparse(node.func)
            if function not in ("keras.Sequential", "self.add_weight"):
                yield node


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.parent.name)
def test_layers_have_the_precision_of_their_block(path: Path) -> None:
    for cls in block_classes(path):
        for call in layer_calls(cls):
            assert any(ast.unparse(k) == "dtype=self.dtype_policy" for k in call.keywords), ast.unparse(call)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.parent.name)
def test_a_block_with_layers_builds_them(path: Path) -> None:
    for cls in block_classes(path):
        methods = {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}
        weights = [c for c in layer_calls(cls) if ast.unparse(c.func).endswith(("Dense", "Norm", "Conv2D"))]
        if weights:
            assert "build" in methods, cls.name


def built_shapes(method: ast.FunctionDef) -> Iterator[ast.Tuple]:
    """Yield the shapes that are written out, where layers are built or a variable gets the shape."""
    for node in ast.walk(method):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".build"):
            yield from (argument for argument in node.args if isinstance(argument, ast.Tuple))
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple):
            yield node.value


def test_shapes_fix_no_size_that_an_image_may_have() -> None:
    """A number between the batch and the channels would refuse other images."""
    symbolic = []
    for path in GOLDEN:
        for cls in block_classes(path):
            for method in cls.body:
                if isinstance(method, ast.FunctionDef) and method.name == "build":
                    code = ast.unparse(method)
                    symbolic += [cls.name] if "compute_output_spec" in code else []
                    for shape in built_shapes(method):
                        assert all(ast.unparse(n) == "None" for n in shape.elts[:-1]), f"{cls.name}: {code}"
    assert symbolic == ["SwinTransformer"]  # its windows need the sides of the image


def list_calls(method: ast.AST | None) -> set[str]:
    """Return the functions that a method calls, as they are written."""
    return {ast.unparse(n.func) for n in ast.walk(method or ast.Module([], [])) if isinstance(n, ast.Call)}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.parent.name)
def test_no_table_is_computed_while_keras_traces_a_model(path: Path) -> None:
    """A class whose constructor computes a table is not created in `build`, which may run inside of a trace."""
    with_tables: set[str] = set()
    for cls in block_classes(path):  # inner classes come first
        methods = {node.name: node for node in cls.body if isinstance(node, ast.FunctionDef)}
        created = list_calls(methods.get("__init__"))
        assert with_tables.isdisjoint(list_calls(methods.get("build"))), cls.name
        assert not any(name.startswith("ops.") for name in list_calls(methods.get("build"))), cls.name
        if any(name.startswith("ops.") for name in created) or not with_tables.isdisjoint(created):
            with_tables.add(cls.name)
