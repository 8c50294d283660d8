"""Text by a stranger stays text: in docstrings, comments, headers, names of things."""

from __future__ import annotations

import ast
import json

import pytest

from specbuild.backends import BACKEND_NAMES
from specbuild.compiler.pipeline import build_graph, compile_source

NASTY = [
    'ends with a quote"',
    'three """ of them""" and \'\'\' too',
    "ends with a backslash \\",
    "a \\N{BULLET} \\x00 \\u202e that is no escape",
    "braces {x} {{y}} ${z} %s f'{1/0}'",
    'x"""\nimport os\nos.system("id")\n"""',
    "漢字, ελληνικά, العربية and ünïcödé",
    "# coding: utf-7",
    "+AGkAbQBwAG8AcgB0-",
    "[bold]not markup[/bold] <b>nor html</b>",
    "a very long word " + "x" * 300,
]


def spec(text: str) -> str:
    told = json.dumps(text, ensure_ascii=False)
    return f"""
specbuild: 1
model: Net
doc: {told}
license: {told.replace(chr(92) + "n", " ")}
params: {{width: {{default: 4, doc: {told}}}}}
blocks:
  Part:
    doc: {told}
    params: {{width: {{type: int, doc: {told}}}}}
    steps:
      - linear: {{features: width}}
        doc: {told}
inputs: {{x: {{C: 3}}}}
steps:
  - Part: {{width: width}}
    doc: {told}
"""


@pytest.mark.parametrize("backend", BACKEND_NAMES)
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_docs_stay_docs(text: str, backend: str) -> None:
    source = compile_source(build_graph(spec(text)), backend)
    tree = ast.parse(source)
    words = " ".join(text.split())
    assert words in " ".join((ast.get_docstring(tree) or "").split())
    [part] = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Part"]
    assert words in " ".join((ast.get_docstring(part) or "").split())
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not called & {"os.system", "eval", "exec", "__import__"}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported <= {"torch", "torch.nn.functional", "keras"}
