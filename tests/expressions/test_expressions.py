"""Expressions: their values, the expressions that the results keep, and the errors."""

from __future__ import annotations

import ast
import contextlib
import copy
import math
import pickle
import re
import warnings
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from specbuild.diagnostics.codes import CODES
from specbuild.expressions import (
    TABLE_FUNCTIONS,
    Expression,
    ExpressionError,
    SymFloat,
    SymInt,
    bind_name,
    concrete,
    evaluate_expression,
    expression_of,
    expression_text,
    from_tree,
    interpolate_text,
    parse_expression,
    parse_tree,
    referenced_names,
    rewrite_expression,
    symbolic,
    symbolic_formula,
    translate_expression,
)
from specbuild.expressions.rewriting import replace_leaves
from tests.cpu_time import measure_cpu_time

SCOPE: dict[str, Any] = {
    "x": {"C": SymInt(64, "in_channels"), "T": 49},
    "reduction": SymInt(16, "reduction"),
    "heads": SymInt(8, "2 * groups"),
    "ratio": SymFloat(0.25, "ratio"),
    "depths": symbolic([3, 4, 6], "depths"),
    "grid": symbolic([[1, 2], [3, 4]], "grid"),
    "nothing": [],
    "mixed": [1, "two"],
    "window": 7,
    "bias": True,
    "kind": "conv",
    "limit": None,
    "block": object(),
}


# ------------------------------------------------------------------------------------ values and expressions

VALUES = [
    # literals are plain
    ("3", 3, None),
    ("2 * 3", 6, None),
    ("1e-5", 1e-5, None),
    ("0x10", 16, None),
    ("true", True, None),
    ("False", False, None),
    ("'conv'", "conv", None),
    # a name keeps the expression of its value
    ("reduction", 16, "reduction"),
    ("x.C", 64, "in_channels"),
    ("heads", 8, "2 * groups"),
    ("ratio", 0.25, "ratio"),
    ("depths[0]", 3, "depths[0]"),
    ("depths[-1]", 6, "depths[2]"),
    ("depths[window - 5]", 6, "depths[2]"),
    ("grid[1][0]", 3, "grid[1][0]"),
    ("kind", "conv", None),
    ("limit", None, None),
    # arithmetic is written with the expressions of its operands, in parentheses where needed
    ("x.C // reduction", 4, "in_channels // reduction"),
    ("x.C//heads", 8, "in_channels // (2 * groups)"),
    ("heads * 3", 24, "6 * groups"),
    ("heads ** 2", 64, "(2 * groups) ** 2"),
    ("-heads ** 2", -64, "-(2 * groups) ** 2"),
    ("x.C - (heads - 1)", 57, "in_channels - (2 * groups - 1)"),
    ("(x.C) / 4", 16.0, "in_channels / 4"),
    ("x.C * ratio", 16.0, "in_channels * ratio"),
    ("int(x.C * ratio)", 16, "int(in_channels * ratio)"),
    ("+depths[1] % 3", 1, "+depths[1] % 3"),
    ("2 ** -1 * heads", 4.0, "2 ** (-1) * (2 * groups)"),
    # functions keep the expression
    ("max(8, x.C // reduction)", 8, "max(8, in_channels // reduction)"),
    ("min(x.C, depths[0], 9)", 3, "min(in_channels, depths[0], 9)"),
    ("round(heads / 16)", 0, "round(2 * groups / 16)"),
    ("round(heads * 3 / 16)", 2, "round(2 * groups * 3 / 16)"),
    ("heads * min(3 * heads, heads)", 64, "2 * groups * min(6 * groups, 2 * groups)"),
    ("abs(depths[0] - depths[2])", 3, "abs(depths[0] - depths[2])"),
    ("ceil(x.C / 3)", 22, "ceil(in_channels / 3)"),
    ("floor(-x.C / 3)", -22, "floor(-in_channels / 3)"),
    ("sqrt(x.C)", 8.0, "sqrt(in_channels)"),
    ("log(reduction) / log(2)", 4.0, "log(reduction) / log(2)"),
    ("divisible(x.C, 8)", 64, "divisible(in_channels, 8)"),
    ("divisible(27.2, 8)", 32, None),  # 24 would be below 0.9 of it
    ("divisible(3, 8)", 8, None),
    ("divisible(37, 8)", 40, None),
    ("max(1, ceil(x.C / 3))", 22, "max(1, ceil(in_channels / 3))"),
    # lists
    ("len(depths)", 3, "len(depths)"),
    ("sum(depths)", 13, "sum(depths)"),
    ("sum(nothing)", 0, "sum(nothing)"),
    ("max(depths)", 6, "max(depths)"),
    ("min([x.C, 3])", 3, "min([in_channels, 3])"),
    ("[x.C, 3][0]", 64, "in_channels"),
    ("[]", [], None),
    # a number without an expression is a literal beside others that have one
    ("x.C * window", 448, "in_channels * 7"),
    ("window * window", 49, None),
    ("x.T", 49, None),
    ("x.C + bias", 65, "in_channels + bias"),
    ("x.C if bias else 3", 64, "in_channels if bias else 3"),
    ("x.C if kind == 'conv' else 3", 64, "in_channels if kind == 'conv' else 3"),
    # a conditional stays a conditional
    ("x.C if depths[0] > 2 else 3", 64, "in_channels if depths[0] > 2 else 3"),
    ("(x.C if reduction > 20 else 3) * 2", 6, "(in_channels if reduction > 20 else 3) * 2"),
    ("depths[7] if len([0]) == 2 else reduction", 16, None),  # the branch not taken cannot be read
    # truth
    ("x.C != 4 * reduction", False, None),
    ("1 < depths[0] <= 3", True, None),
    ("1 < depths[0] < 3", False, None),
    ("kind == 'conv' and not bias", False, None),
    ("bias or 1 / 0 > 2", True, None),
    ("not limit", True, None),
    ("depths[0] in [1, 3]", True, None),
    ("kind not in ['conv', 'pool']", False, None),
    ("kind == 3", False, None),
    # space, and more than one line
    ("  x.C //\n reduction\r\n", 4, "in_channels // reduction"),
]


@pytest.mark.parametrize(("text", "value", "expression"), VALUES, ids=[text for text, _, _ in VALUES])
def test_value_and_expression(text: str, value: object, expression: str | None) -> None:
    found = evaluate_expression(text, SCOPE)
    assert found == value
    assert type(concrete(found)) is type(value)
    assert expression_text(found) == expression


def test_each_item_of_a_list_has_its_own_expression() -> None:
    found = evaluate_expression("[2 * x.C, window, [heads, 1]]", SCOPE)
    assert found == [128, 7, [8, 1]]
    assert isinstance(found, list) and isinstance(found[2], list)
    assert [expression_text(found[0]), expression_text(found[1]), expression_text(found[2][0])] == [
        "2 * in_channels",
        None,
        "2 * groups",
    ]


def test_expressions_have_at_most_80_characters() -> None:
    scope = {"n": SymInt(2, "n" * 40)}
    assert (
        expression_text(evaluate_expression("n * n", {"n": SymInt(2, "n" * 38)}))
        == f"{'n' * 38} * {'n' * 38}"
    )
    assert expression_text(evaluate_expression("n * n", scope)) is None
    assert evaluate_expression("n * n", scope) == 4


def test_expressions_are_never_too_deep_to_parse() -> None:
    value: Any = SymInt(2, "n")
    for _ in range(40):
        value = evaluate_expression("-n", {"n": value})
        assert expression_text(value) is None or expression_text(value) == ast.unparse(
            parse_tree(value.expression.text)
        )
    assert expression_text(value) is None


def test_referenced_names() -> None:
    assert referenced_names("max(x.C, depths[i]) if kind == 'conv' else true") == {"x", "depths", "i", "kind"}


# ------------------------------------------------------------------------------------- symbolic numbers


@pytest.mark.parametrize("number", [SymInt(64, "width"), SymFloat(0.5, "ratio")])
def test_a_symbolic_number_is_a_number(number: SymInt | SymFloat) -> None:
    bare = concrete(number)
    assert number == bare and hash(number) == hash(bare) and expression_text(bare) is None
    assert type(number + 0) is type(bare) and type(-number) is type(bare) and type(abs(number)) is type(bare)
    assert f"{number}" == str(number) == str(bare)
    assert repr(number) == f"{type(number).__name__}({bare}, {number.expression.text!r})"


@pytest.mark.parametrize("number", [SymInt(64, "width"), SymFloat(0.5, "ratio")])
def test_expressions_survive_copies(number: SymInt | SymFloat) -> None:
    pickled = [pickle.loads(pickle.dumps(number, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    for other in [copy.copy(number), copy.deepcopy([number])[0], *pickled]:
        assert (type(other), other, other.expression) == (type(number), number, number.expression)


def test_symbolic_and_concrete() -> None:
    value = symbolic([2, (0.5, True), "text", None], "a")
    assert repr(value) == "[SymInt(2, 'a[0]'), (SymFloat(0.5, 'a[1][0]'), True), 'text', None]"
    assert repr(concrete(value)) == "[2, (0.5, True), 'text', None]"
    assert expression_text(symbolic(symbolic(3, "inner"), "outer")) == "outer"


# ------------------------------------------------------------------------------------------- rewriting


def test_translate() -> None:
    args: dict[str, Any] = {
        "in_channels": SymInt(64, "4 * width"),
        "reduction": SymInt(16, "16"),
        "depths": symbolic([3], "layers"),
    }
    assert (
        expression_text(translate_expression(SymInt(4, "in_channels // reduction"), args))
        == "4 * width // 16"
    )
    assert expression_text(translate_expression(SymInt(6, "2 * depths[0]"), args)) == "2 * layers[0]"
    assert (
        expression_text(translate_expression(SymInt(16, "reduction"), args)) is None
    )  # a literal alone has no expression
    assert (
        repr(translate_expression([SymInt(64, "in_channels"), 3, ("a",)], args))
        == "[SymInt(64, '4 * width'), 3, ('a',)]"
    )


@pytest.mark.parametrize("args", [{}, {"k": 3}, {"k": True}, {"k": [3]}, {"k": None}])
def test_translation_without_an_expression(args: dict[str, Any]) -> None:
    found = translate_expression(SymInt(6, "2 * k"), args)
    assert found == 6 and expression_text(found) is None


def test_symbolic_formula() -> None:
    cases = [
        (symbolic_formula("k // 2", k=3), 1, None),
        (symbolic_formula("k // 2", k=SymInt(3, "kernel")), 1, "kernel // 2"),
        (symbolic_formula("k", k=SymInt(3, "kernel")), 3, "kernel"),
        (symbolic_formula("4 * w", w=SymInt(64, "width")), 256, "4 * width"),
        (symbolic_formula("g * w", g=SymInt(2, "groups"), w=8), 16, "groups * 8"),
        (symbolic_formula("g ** n", g=-2, n=SymInt(2, "n")), 4, "(-2) ** n"),
        (symbolic_formula("g * w", g=SymInt(2, "groups"), w=True), 2, None),
        (symbolic_formula("g * w", g=SymInt(2, "groups"), w=1e-5), 2e-5, "groups * 1e-05"),
        (symbolic_formula("ceil(w / g)", g=SymInt(2, "groups"), w=7), 4, "ceil(7 / groups)"),
        (symbolic_formula("w > g", g=SymInt(2, "groups"), w=7), True, None),
    ]
    assert [(value, expression_text(value)) for value, _, _ in cases] == [
        (value, expression) for _, value, expression in cases
    ]
    assert symbolic_formula("[a, b]", a=SymInt(1, "one"), b=2) == [1, 2]


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("w // len(p)", [1, 2, 3], "w // 3"),
        ("w * p[1] + 1", [1, 2], "w * 2 + 1"),
        ("w * p[1][0]", [[1], [2]], "w * 2"),
        ("w + sum(p)", (1, 2), "w + 3"),
        ("w if p else 2 * w", False, "2 * w"),
        ("1 if p and p else w", False, "w"),
        ("1 if p and w > 1 else w", True, "1 if w > 1 else w"),
        ("1 if p or w > 1 else w", True, None),
        ("w if not p or p else 1", True, "w"),
        ("w + 1 if p == 'a' else w", "a", "w + 1"),
        ("max(p) + len(q)", [3], "3 + len(q)"),
        ("w * p[5]", [1, 2], None),
        ("len(p)", [1, 2], None),
    ],
)
def test_bind_name_to_lists_and_choices(text: str, known: Any, expected: str | None) -> None:
    assert expression_text(bind_name(SymInt(4, text), "p", known)) == expected


def test_bind_name() -> None:
    cases = [
        ("w * 2 ** i", 1, "w * 2"),
        ("w * 2 ** i", 0, "w"),
        ("w if i == 0 else 2 * w", 3, "2 * w"),
        ("i ** w", -2, "(-2) ** w"),
        ("w + i", -2, "w + -2"),
        ("w // 2 * (i % 2)", 0, None),
        ("w + w * i / 4", 0, "w"),
        ("2 * i", 4, None),
        ("2 * w", 4, "2 * w"),
    ]
    for text, number, expected in cases:
        assert expression_text(bind_name(SymInt(4, text), "i", number)) == expected


def test_rewrite_a_condition() -> None:
    scope = {"stride": SymInt(2, "stride"), **SCOPE, "w": SymInt(1, "width")}
    assert str(rewrite_expression("stride != 1 or x.C != 2 * w", scope)) == (
        "stride != 1 or in_channels != 2 * width"
    )
    assert rewrite_expression("bias and x.C > 3", SCOPE) is None
    assert rewrite_expression("1 > 3", SCOPE) is None


# ---------------------------------------------------------------------------------------------- errors

DEEP = "move a part of it into a parameter"
ITEM = "one item is read as depths[0]"
SIZE = "the size of an axis is read as x.C"
ASCII = "names use only a-z, A-Z, 0-9 and _"
NAMES = (
    "available: bias, block, depths, grid, heads, kind, limit, mixed, nothing, ratio, reduction, window and x"
)
CALLS = "available: abs, ceil, divisible, floor, given, int, len, log, max, min, round, sqrt and sum"
LARGE = "the limit of integers is 2^53"
ERRORS = [
    ("", "SB301", "an expression is missing here", ""),
    (" \n ", "SB301", "an expression is missing here", ""),
    ("2 * * 3", "SB301", "`2 * * 3` is not an expression", ""),
    ("x.C\0", "SB301", r"`x.C\x00` is not an expression", ""),
    ("\ud800", "SB301", r"`\ud800` is not an expression", ""),
    ("(" * 400 + "1" + ")" * 400, "SB301", f"`{'(' * 59}…` is not an expression", ""),
    ("a = 1", "SB301", "`a = 1` is not an expression", "write `a == 1`"),
    ("bias && bias", "SB301", "`bias && bias` is not an expression", "write `bias and bias`"),
    ("bias || bias", "SB301", "`bias || bias` is not an expression", "write `bias or bias`"),
    ("!bias", "SB301", "`!bias` is not an expression", "write `not bias`"),
    ("bias ? 1 : 2", "SB301", "`bias ? 1 : 2` is not an expression", "write `1 if bias else 2`"),
    ("x.C ^ 2", "SB301", "`x.C ^ 2` is not part of the expression language", "write `x.C ** 2`"),
    ("kind is 'conv'", "SB301", "`kind is 'conv'` is not part of the expression language", "write `kind == 'conv'`"),
    ("x.C @ x.C", "SB301", "`x.C @ x.C` is not part of the expression language", ""),
    ("1 + ~x.C", "SB301", "`~x.C` is not part of the expression language", ""),
    ("None", "SB301", "`None` is not part of the expression language", "leave the key out: what is not given has its default"),
    ("$w", "SB301", "`$w` is not an expression", "write `w`: a name stands for its value"),
    ("${w}", "SB301", "`${w}` is not an expression", "write `w`: a name stands for its value"),
    ("...", "SB301", "`...` is not part of the expression language", ""),
    ("1j", "SB301", "`1j` is not part of the expression language", ""),
    ("b'a'", "SB301", "`b'a'` is not part of the expression language", ""),
    ("(1, 2)", "SB301", "`(1, 2)` is not part of the expression language", "write `[1, 2]`"),
    ("{1: 2}", "SB301", "`{1: 2}` is not part of the expression language", ""),
    ("f'{kind}'", "SB301", "`f'{kind}'` is not part of the expression language", ""),
    ("2 * (lambda: 1)", "SB301", "`lambda: 1` is not part of the expression language", ""),
    ("[i for i in depths]", "SB301", "`[i for i in depths]` is not part of the expression language", ""),
    ("x.C ≥ 3", "SB301", "`x.C ≥ 3` is not an expression", ""),
    ("(y := 3)", "SB301", "`y := 3` is not part of the expression language", ""),
    ("max(*depths)", "SB301", "`*depths` is not part of the expression language", ""),
    ("x.C.real", "SB305", "'x.C' is a number and has no axes", ""),
    ("depths[1:]", "SB301", "`depths[1:]` is not part of the expression language", ITEM),
    ("depths[0, 1]", "SB301", "`depths[0, 1]` is not part of the expression language", ITEM),
    ("x.C # all", "SB301", "an expression cannot contain a comment", ""),
    ("ﬁ + 1", "SB301", "`ﬁ + 1` has non-ASCII characters outside quotes", ASCII),
    ("round(x.C, 2)", "SB301", "round takes 1 argument, not 2", ""),
    ("divisible(x.C)", "SB301", "divisible takes 2 arguments, not 1", ""),
    ("min()", "SB301", "min takes at least 1 argument, not 0", ""),
    ("max(depths, default=1)", "SB301", "max takes positional arguments only", ""),
    ("redction * 2", "SB302", "nothing is named 'redction' here", "did you mean 'reduction'?"),
    ("1 if bias else redction", "SB302", "nothing is named 'redction' here", "did you mean 'reduction'?"),
    ("y.C", "SB302", "nothing is named 'y' here", NAMES),
    ("x.Q", "SB302", "'x' has no axis 'Q'", "available: C and T"),
    ("cell(3)", "SB302", "there is no function `cell` here", "did you mean 'ceil'?"),
    ("sin(3)", "SB302", "there is no function `sin` here", "did you mean 'min'?"),
    ("__import__('os').system('ls')", "SB302", "there is no function `__import__('os').system` here", CALLS),
    ("x.__class__", "SB302", "'x' has no axis '__class__'", "available: C and T"),
    ("x.C // 0", "SB303", "`x.C // 0` divides by zero", ""),
    ("1 / (window - 7)", "SB303", "`1 / (window - 7)` divides by zero", ""),
    ("x.C % 0.0", "SB303", "`x.C % 0.0` divides by zero", ""),
    ("0 ** -1", "SB303", "`0 ** (-1)` divides by zero", ""),
    ("log(window - 7)", "SB304", "`log(window - 7)` has no value at 0", ""),
    ("sqrt(-1)", "SB304", "`sqrt(-1)` has no value at -1", ""),
    ("divisible(x.C, 0)", "SB304", "`divisible(x.C, 0)` has no value at 0", ""),
    ("(-8) ** 0.5", "SB304", "`(-8) ** 0.5` is not a real number", ""),
    ("max(nothing)", "SB304", "`max(nothing)` has no value: the list is empty", ""),
    ("depths[3]", "SB304", "`depths[3]` asks for item 3 of a list of 3 items", "items are counted from 0"),
    ("[5][x.C]", "SB304", "`[5][x.C]` asks for item 64 of a list of 1 item", "items are counted from 0"),
    ("x * 2", "SB305", "'x' has axes and is not a number", "read the size of an axis: x.C, x.T"),
    ("block", "SB305", "'block' is not a value that an expression can use", ""),
    ("block.C", "SB305", "'block' is not a value and has no axes", ""),
    ("reduction.C", "SB305", "'reduction' is a number and has no axes", ""),
    ("'a' * 3", "SB305", "`'a'` is text, not a number", ""),
    ("kind + 'a'", "SB305", "`kind` is text, not a number", ""),
    ("[1] + [2]", "SB305", "`[1]` is a list, not a number", ""),
    ("depths * 2", "SB305", "`depths` is a list, not a number", ""),
    ("limit + 1", "SB305", "`limit` is none, not a number", ""),
    ("-kind", "SB305", "`kind` is text, not a number", ""),
    ("'a' < 'b'", "SB305", "`'a'` is text, not a number", ""),
    ("1 < kind", "SB305", "`kind` is text, not a number", ""),
    ("'on' in kind", "SB305", "`kind` is text, not a list", ""),
    ("not kind", "SB305", "`kind` is text, not true or false", ""),
    ("1 if depths else 2", "SB305", "`depths` is a list, not true or false", ""),
    ("int('3')", "SB305", "`'3'` is text, not a number", ""),
    ("len(kind)", "SB305", "`kind` is text, not a list", ""),
    ("len(bias)", "SB305", "`bias` is true or false, not a list", ""),
    ("sum(3)", "SB305", "`3` is a number, not a list", ""),
    ("sum(mixed)", "SB305", "`mixed` contains text, not only numbers", ""),
    ("window[0]", "SB305", "`window` is a number, not a list", ""),
    ("depths[true]", "SB305", "`True` is true or false, not a whole number", ""),
    ("depths[ratio]", "SB305", "`ratio` is a number, not a whole number", ""),
    ("1 +" * 500, "SB501", "an expression has at most 1,000 characters; this has 1,500", ""),
    ("[" + "1, " * 200 + "]", "SB501", "an expression has at most 200 parts", DEEP),
    (" + ".join("1" * 40), "SB501", "an expression is nested at most 32 deep", DEEP),
    ("-" * 900 + "1", "SB501", "an expression is nested at most 32 deep", DEEP),
    ("1e999", "SB501", "`1e999` is too large a number", LARGE),
    ("9007199254740993", "SB501", "`9007199254740993` is too large a number", LARGE),
    ("2 ** 53 + 1", "SB501", "`2 ** 53 + 1` is too large a number", LARGE),
    ("9 ** 9 ** 9", "SB501", "`9 ** 9 ** 9` is too large a number", LARGE),
    ("(-2) ** 9999999", "SB501", "`(-2) ** 9999999` is too large a number", LARGE),
    ("1e300 * 1e300", "SB501", "`1e+300 * 1e+300` is too large a number", LARGE),
    ("int(1e300)", "SB501", "`int(1e+300)` is too large a number", LARGE),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "code", "message", "hint"), ERRORS, ids=[ascii(row[0])[:40] for row in ERRORS]
)
def test_errors(text: str, code: str, message: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate_expression(text, SCOPE)
    error = caught.value
    assert (error.code, error.message, error.hint) == (code, message, hint)
    assert str(error) == message and code in CODES
    assert pickle.loads(pickle.dumps(error)).hint == hint


def test_lists_are_bounded() -> None:
    assert evaluate_expression("sum(long)", {"long": [1] * 10_000}) == 10_000
    with pytest.raises(ExpressionError, match="a list has at most 10,000 items; `long` has 10,001"):
        evaluate_expression("sum(long)", {"long": [1] * 10_001})


def test_odd_literals_print_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evaluate_expression(r"1if 1else 2 == '\d'", {}) == 1
        assert parse_tree("1or 0 == '\\q'")


def test_text_in_other_scripts_is_compared() -> None:
    assert evaluate_expression("kind == 'свёртка # 1'", {"kind": "свёртка # 1"}) is True


# --------------------------------------------------------------------------------------------- tables


def test_tables_may_use_array_functions() -> None:
    text = "where(T > S, sin(T / 10 ** (S / 4)), minimum(sign(T - S), exp(-S)))"
    assert isinstance(parse_tree(text, functions=TABLE_FUNCTIONS), ast.Call)
    with pytest.raises(ExpressionError, match="there is no function `max` here"):
        parse_tree("max(T, S)", functions=TABLE_FUNCTIONS)
    with pytest.raises(ExpressionError, match="where takes 3 arguments, not 2"):
        parse_tree("where(T, S)", functions=TABLE_FUNCTIONS)


# ---------------------------------------------------------------------------------------------- text

TEXTS = [
    ("no place", "no place"),
    ("block ${reduction}", "block 16"),
    ("${kind}${bias}${ratio}", "convTrue0.25"),
    ("${depths} of ${x.C // reduction}", "[3, 4, 6] of 4"),
    ("$${reduction} is ${reduction}", "${reduction} is 16"),
    ("$ { $reduction } $$ {reduction}", "$ { $reduction } $$ {reduction}"),
]


@pytest.mark.parametrize(("text", "result"), TEXTS)
def test_interpolation(text: str, result: str) -> None:
    assert interpolate_text(text, SCOPE) == result


def test_interpolation_errors() -> None:
    with pytest.raises(ExpressionError, match="nothing is named 'redction' here"):
        interpolate_text("block ${redction}", SCOPE)
    with pytest.raises(ExpressionError, match="lacks a closing brace"):
        interpolate_text("block ${reduction", SCOPE)
    with pytest.raises(ExpressionError, match="at most 4,096 characters; this becomes 40,000"):
        interpolate_text("${name}" * 10, {"name": "a" * 4_000})


# ------------------------------------------------------------------------------------------- properties

BASE = ("width", "groups", "scale")
BINARY = ("+", "-", "*", "/", "//", "%", "**")
numbers = st.one_of(st.integers(0, 9).map(str), st.sampled_from(["0.5", "2.25", "1e-3"]))


def expressions(leaves: tuple[str, ...], functions: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Expressions over these names, with every construct that makes a number."""

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        one, two = st.tuples(inner), st.tuples(inner, inner)
        test = st.tuples(inner, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), inner).map(" ".join)
        truth = st.one_of(test, test.map(lambda t: f"not {t}"), st.tuples(test, test).map(" or ".join))
        return st.one_of(
            st.tuples(inner, st.sampled_from(BINARY), inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})"),
            st.tuples(inner, st.sampled_from(BINARY), inner).map(" ".join),
            inner.map(lambda t: f"-{t}"),
            st.tuples(inner, truth, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
            st.tuples(st.sampled_from(functions), one).map(lambda t: f"{t[0]}({t[1][0]})"),
            st.tuples(st.sampled_from(["min", "max"]), two).map(lambda t: f"{t[0]}({', '.join(t[1])})"),
        )

    return st.recursive(
        st.one_of(numbers, st.sampled_from(leaves), st.sampled_from(leaves)), grow, max_leaves=6
    )


def by_python(text: str, values: dict[str, Any]) -> Any:
    functions = {
        "min": min,
        "max": max,
        "round": round,
        "abs": abs,
        "int": int,
        "ceil": math.ceil,
        "floor": math.floor,
    }
    return eval(text, {"__builtins__": functions}, {name: concrete(value) for name, value in values.items()})


def value_or_reject(text: str, scope: dict[str, Any]) -> Any:
    try:
        return evaluate_expression(text, scope)
    except ExpressionError:
        assume(False)


base_scopes = st.fixed_dictionaries(
    {
        "width": st.integers(-3, 99).map(lambda n: SymInt(n, "width")),
        "groups": st.integers(0, 9).map(lambda n: SymInt(n, "groups")),
        "scale": st.floats(-4, 4).map(lambda x: SymFloat(x, "scale")),
    }
)
over_base = expressions(BASE, ("round", "abs", "int"))
over_block = expressions(("a", "b"), ("round", "abs", "int"))


@given(expressions(BASE, ("round", "abs", "int", "ceil", "floor")), base_scopes)
@settings(max_examples=300, deadline=None)
def test_values_are_those_of_python(text: str, scope: dict[str, Any]) -> None:
    value = value_or_reject(text, scope)
    expected = by_python(text, scope)
    assert value == expected and type(concrete(value)) is type(expected)


@given(over_block, over_base, over_base, base_scopes)
@settings(max_examples=300, deadline=None)
def test_expressions_evaluate_to_their_value(text: str, a: str, b: str, scope: dict[str, Any]) -> None:
    args = {"a": value_or_reject(a, scope), "b": value_or_reject(b, scope)}
    for value in (value_or_reject(text, args), symbolic_formula(text, **args)):
        expression = expression_text(value)
        if expression is not None:
            assert by_python(expression, scope) == concrete(value)
            assert len(expression) <= 80 and expression == ast.unparse(parse_tree(expression))


@given(over_block, over_base, over_base, base_scopes)
@settings(max_examples=300, deadline=None)
def test_translating_is_evaluating_with_the_arguments(
    text: str, a: str, b: str, scope: dict[str, Any]
) -> None:
    args = {"a": value_or_reject(a, scope), "b": value_or_reject(b, scope)}
    inside = value_or_reject(text, {name: symbolic(concrete(value), name) for name, value in args.items()})
    outside, direct = translate_expression(inside, args), evaluate_expression(text, args)
    assert outside == direct
    if expression_text(inside) is None:
        assert expression_text(outside) is None
    elif expression_text(outside) != expression_text(direct):
        # One of them was too long before it was simplified, so that its value is a plain number.
        assert None in (expression_text(outside), expression_text(direct))
        texts = {name: expression_text(value) or repr(concrete(value)) for name, value in args.items()}
        assert len(re.sub(r"\b[ab]\b", lambda name: texts[name[0]], text)) > 80


def rewrite_as_text(text: str, leaves: list[str]) -> str:
    """An expression with the texts of others for its leaves, each in parentheses; parsed and printed once more."""

    class Replacer(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> ast.AST:
            if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
                return ast.parse(leaves.pop(0), mode="eval").body
            if isinstance(node, ast.Call):
                node.args = [self.visit(argument) for argument in node.args]  # type: ignore[misc]
                return node
            return self.generic_visit(node)

    return ast.unparse(Replacer().visit(ast.parse(text, mode="eval").body))


def same_tree(expression: Expression) -> bool:
    """Whether its text is that of its tree: what is parsed from the text rewrites and prints alike."""
    return ast.dump(expression.tree) == ast.dump(parse_expression(expression.text).tree)


@given(over_block, over_base, over_base, base_scopes)
@settings(max_examples=500, deadline=None)
def test_trees_are_those_of_their_texts(text: str, a: str, b: str, scope: dict[str, Any]) -> None:
    """Rewriting trees, hop by hop, gives what rewriting and parsing texts at every hop gives."""
    args = {"a": value_or_reject(a, scope), "b": value_or_reject(b, scope)}
    for value in (*args.values(), value_or_reject(text, args), symbolic_formula(text, **args)):
        expression = expression_of(value)
        if expression is None:
            continue
        assert same_tree(expression)
        again = {name: SymInt(3, f"{name} - 2") for name in expression.names}
        assert rewrite_expression(expression, again) == rewrite_expression(expression.text, again)
        for name in expression.names:
            bound = expression_of(bind_name(value, name, -2))
            parsed = expression_of(bind_name(symbolic(value, expression.text), name, -2))
            assert bound == parsed and (bound is None or same_tree(bound))


@given(over_block, st.lists(over_base, min_size=9, max_size=9))
@settings(max_examples=300, deadline=None)
def test_leaves_are_replaced_as_in_texts(text: str, leaves: list[str]) -> None:
    expression = parse_expression(text)
    replaced = replace_leaves(expression, tuple(map(parse_expression, leaves[: len(expression.leaves)])))
    if replaced is not None:
        by_text = rewrite_as_text(text, list(leaves))
        values = {"width": 5, "groups": 3, "scale": 0.5}
        with contextlib.suppress(ArithmeticError, TypeError):  # such as a division by zero
            assert by_python(replaced.text, values) == by_python(by_text, values)
        has_numbers = any(isinstance(part, ast.Constant) for part in ast.walk(ast.parse(by_text)))
        assert has_numbers or replaced.text == by_text, "only operations on numbers are folded"


def test_expressions_are_equal_by_text() -> None:
    one, other = parse_expression("2 * width"), from_tree(parse_tree("2*width"))
    assert one == other and hash(one) == hash(other) and one != parse_expression("2*width")
    assert one != "2 * width" and str(one) == "2 * width" and repr(one) == "'2 * width'"
    assert copy.deepcopy(one) is one and pickle.loads(pickle.dumps(one)) == one


TOKENS = [
    *"()[]{}+-*/%.,:=<>!~^@'\"\\#$ \n\t\0é0123456789abxC_",
    *(
        "**",
        "//",
        "not ",
        " if ",
        " else ",
        " in ",
        "lambda ",
        "f'",
        "1e9",
        "x.C",
        "depths[",
        "max(",
        "9" * 30,
    ),
]


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)))
@settings(max_examples=1000, deadline=None)
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for attempt in (evaluate_expression, interpolate_text):
            try:
                attempt(text, SCOPE)
            except ExpressionError as error:
                assert error.code in CODES and error.message.isprintable()


NASTY = [
    *("((((" * 50, "[(" * 99, "-" * 990 + "1", "[" * 190 + "]" * 190, "{1:" * 190, "x.C" * 300),
    *("not " * 249 + "1", "9**" * 300 + "9", "lambda:" * 140 + "1", "max(" * 190 + "1" + ")" * 190),
]


@pytest.mark.parametrize("text", NASTY)
def test_refusing_takes_no_time(text: str) -> None:
    with measure_cpu_time() as taken, pytest.raises(ExpressionError):
        evaluate_expression(text, SCOPE)
    assert taken.seconds < 0.5
