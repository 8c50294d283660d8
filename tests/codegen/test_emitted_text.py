"""No text becomes code: names are checked, strings keep their text, docstrings and comments their words."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable

import pytest
from hypothesis import example, given

import specbuild
from specbuild.codegen import literals as text
from specbuild.codegen.printer import print_expression, print_module, print_statement
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    Class,
    Comment,
    Do,
    For,
    Function,
    Generator,
    If,
    Infix,
    Literal,
    Module,
    Name,
    Parameter,
    Prefix,
    Return,
    Statement,
    Unpack,
)
from tests.codegen.code_trees import texts


@given(texts)
def test_a_string_keeps_its_text(words: str) -> None:
    written = print_expression(Literal(words))
    assert ast.literal_eval(written) == words
    assert all(character.isprintable() for character in written)


@given(texts)
@example('says "no"')
@example('"')
@example('\\"')
@example('""" + x + """')
@example("ends with \\")
@example("\r# first\rsecond")
@example(" \n  a\n    b\n c ")
def test_a_docstring_keeps_its_words(words: str) -> None:
    source = print_module(Module(words, (), (Class("A", (), words, (Function("f", (), None, words, ()),)),)))
    tree = ast.parse(source)
    outer = tree.body[-1]
    assert isinstance(outer, ast.ClassDef)
    for node in (tree, outer, outer.body[-1]):
        assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) or not words.split()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            assert (ast.get_docstring(node) or "").split() == words.split()
    assert all(character == "\n" or character.isprintable() for character in source)


@given(texts)
@example("a\rimport os")
@example("a\x0cimport os")
@example("a\u2028import os")
def test_a_comment_stays_a_comment(words: str) -> None:
    source = print_module(
        Module("", (), (Function("f", (), None, "", (Comment(words), Return(Name("x")))),), (words,))
    )
    kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(source).readline)]
    assert [type(node) for node in ast.parse(source).body] == [ast.FunctionDef]
    assert kinds.count(tokenize.NAME) == 4
    assert all(character == "\n" or character.isprintable() for character in source)


def test_text_is_wrapped_at_the_width() -> None:
    words = "A sentence of many words. " * 20 + "x" * 100
    lines = text.format_docstring(words + "\n\n    - an item\n", 8)
    assert max(len(line) for line in lines if "xxx" not in line) == 88
    assert lines[-3:] == ["", "        - an item", '        """']
    assert max(len(line) for line in text.format_comment(words, 4) if "xxx" not in line) <= 88


@pytest.mark.parametrize("width", range(70, 90))
def test_closing_quotes_stand_alone_only_under_several_lines(width: int) -> None:
    """As the formatter has them."""
    for words in ("a " * (width // 2) + "b" * (width % 2), "x" * width):
        lines = text.format_docstring(words, 4)
        assert len(lines) != 2
        assert len(lines) == 1 or max(map(len, lines)) <= 88


@pytest.mark.parametrize("words", ["coding: utf-7", "-*- coding=utf-7 -*-", "vim: set fileencoding:utf-7"])
@pytest.mark.parametrize(
    "place", [lambda c: Module("", (), (), ("x", c)), lambda c: Module("", (), (Comment(c), Do(Name("x"))))]
)
def test_no_comment_says_how_the_file_is_encoded(words: str, place: Callable[[str], Module]) -> None:
    source = print_module(place(words)).encode()
    assert tokenize.detect_encoding(io.BytesIO(source).readline)[0] == "utf-8"


NOT_NAMES = [
    "",
    "a b",
    "a.b.",
    "1a",
    "class",
    "a;b",
    "a\n",
    "é",
    "ﬁ",
    "f()",
    "a,b",
    "a=1",
    "#",
    "...x",
    "\u202ea",
]


@pytest.mark.parametrize("name", NOT_NAMES)
@pytest.mark.parametrize(
    "place",
    [
        lambda name: Do(Name(name)),
        lambda name: Do(Attribute(Call(Name("f")), name)),
        lambda name: Do(Call(Name("f"), (), ((name, Name("x")),))),
        lambda name: Assign(name, Name("x")),
        lambda name: Unpack((name, "x"), Name("x")),
        lambda name: For(f"x, {name}", Name("x"), ()),
        lambda name: Do(Generator(Name("x"), f"x, {name}", Name("x"))),
        lambda name: Function(name, (), None, "", ()),
        lambda name: Function("f", (Parameter(name),), None, "", ()),
        lambda name: Class(name, (), "", ()),
        lambda name: Class("A", (name,), "", ()),
    ],
)
def test_what_is_not_a_name_is_refused(name: str, place: Callable[[str], Statement]) -> None:
    with pytest.raises(ValueError, match="not a Python name"):
        print_statement(place(name), 0)


@pytest.mark.parametrize(
    "annotation", ["f()", "x; y", "int = 1", "lambda: 0", "int\nx", "a + b", "[x for x in y]", ""]
)
def test_what_is_not_a_type_is_refused(annotation: str) -> None:
    for node in (
        Assign("x", Name("y"), annotation),
        Function("f", (), annotation, "", ()),
        Function("f", (Parameter("x", annotation),), None, "", ()),
    ):
        with pytest.raises(ValueError, match="not "):
            print_statement(node, 0)


@pytest.mark.parametrize(
    "line", ["import os; os.remove('x')", "x = 1", "import os  # \u202e", "import", "import os\nx()"]
)
def test_what_is_not_an_import_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not imports"):
        print_module(Module("", ("import torch", line), ()))


@pytest.mark.parametrize("operator", ["<>", "+ x +", "", "if", "lambda:"])
def test_what_is_not_an_operator_is_refused(operator: str) -> None:
    with pytest.raises(ValueError, match="not an operator"):
        print_expression(Infix(operator, Name("a"), Name("b")))
    with pytest.raises(ValueError, match="not an operator"):
        print_expression(Prefix(operator, Name("a")))


def test_a_definition_in_a_branch_and_a_text_that_stands_alone_are_refused() -> None:
    with pytest.raises(ValueError, match="definition"):
        print_statement(If(Name("x"), (Class("A", (), "", ()),)), 0)
    with pytest.raises(ValueError, match="docstring"):
        print_statement(Do(Literal("text")), 0)


def test_a_product_is_not_compared_with_itself() -> None:
    """`unflatten` splits `(x.C // heads) * kv_heads` channels into `kv_heads` times `x.C // heads`."""
    text = specbuild.compile(
        "specbuild: 1\nmodel: Net\ninputs: {x: {T: 4, C: 8}}\nsteps:\n  - MultiHeadAttention: {heads: 2}\n",
        "torch",
    )
    assert re.findall("raise ValueError\\((.*)\\)", text) == ['"x_channels must be divisible by heads"']
