"""How faults are shown, the codes they carry, and the word that was probably meant."""

from __future__ import annotations

import json
import pickle
import re
import string
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import specbuild
from specbuild.diagnostics.errors import (
    CODES,
    Location,
    SpecError,
    SpecErrors,
    closest_match,
    format_errors,
    make_printable,
)
from specbuild.frontend.source import Source

ERROR = SpecError(
    "SB101",
    "unknown key `chanels` in `conv`",
    Location("resnet.yaml", 31, 12, "  - conv: {chanels: 64}"),
    "did you mean `channels`?",
    ("in Bottleneck at layer4.2 (resnet.yaml:40:5)", "in Stage at layer4 (resnet.yaml:52:5)"),
)

WORDS = (
    "conv linear batch_norm layer_norm relu gelu silu softmax sigmoid max_pool avg_pool adaptive_avg_pool "
    "flatten unflatten rename contract dropout drop_path embedding lstm gru add multiply concat stack "
    "from as when repeat expect doc channels kernel stride padding dilation groups bias over into"
).split()


def typos(word: str) -> set[str]:
    """Every word one edit away: a letter inserted, deleted, replaced, or two neighbours swapped."""
    cuts = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    letters = string.ascii_lowercase + "_1"
    return {
        *(a + c + b for a, b in cuts for c in letters),
        *(a + b[1:] for a, b in cuts if b),
        *(a + c + b[1:] for a, b in cuts if b for c in letters),
        *(a + b[1] + b[0] + b[2:] for a, b in cuts if len(b) > 1),
    } - {word, ""}


def one_edit(a: str, b: str) -> bool:
    return a in typos(b)


@pytest.mark.parametrize("word", WORDS)
def test_every_one_letter_typo_is_understood(word: str) -> None:
    for typo in typos(word) - set(WORDS):
        found = closest_match(typo, WORDS)
        assert found == word or (found is not None and one_edit(typo, found)), (typo, found)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("BatchNorm", "batch_norm"),
        ("batchnorm2d", "batch_norm"),
        ("Conv", "conv"),
        ("maxpool", "max_pool"),
        ("strides", "stride"),
        ("quaternion", None),
        ("", None),
        ("x" * 5_000, None),
    ],
)
def test_nearest_beyond_typos(word: str, meant: str | None) -> None:
    assert closest_match(word, WORDS) == meant


def test_nearest_never_suggests_the_word_itself_nor_an_unrelated_letter() -> None:
    assert closest_match("conv", ["conv"]) is None
    assert closest_match("T", ["C", "H", "W"]) is None
    assert closest_match("c", ["C", "H", "W"]) == "C"


def test_text() -> None:
    assert format_errors(ERROR) == (
        "error[SB101]: unknown key `chanels` in `conv`\n"
        "  --> resnet.yaml:31:12\n"
        "   |\n"
        "31 |   - conv: {chanels: 64}\n"
        "   |            ^\n"
        "   = in Bottleneck at layer4.2 (resnet.yaml:40:5)\n"
        "   = in Stage at layer4 (resnet.yaml:52:5)\n"
        "   = help: did you mean `channels`?"
    )
    assert str(ERROR) == format_errors(ERROR)


def test_text_without_a_place() -> None:
    assert format_errors(SpecError("SB001", "cannot read `a`")) == "error[SB001]: cannot read `a`"


def test_json_is_one_array_of_ascii() -> None:
    error = SpecError("SB101", "\u202e\x1b[2J", Location("é.yaml", 1, 2, "日本"))
    text = format_errors(SpecErrors([ERROR, error]), format="json")
    assert text.isascii()
    first, second = json.loads(text)
    assert first == {
        "code": "SB101",
        "message": "unknown key `chanels` in `conv`",
        "file": "resnet.yaml",
        "line": 31,
        "column": 12,
        "text": "  - conv: {chanels: 64}",
        "hint": "did you mean `channels`?",
        "trail": ["in Bottleneck at layer4.2 (resnet.yaml:40:5)", "in Stage at layer4 (resnet.yaml:52:5)"],
    }
    assert second["message"] == r"\u202e\x1b[2J"
    assert json.loads(format_errors(SpecError("SB001", "gone"), format="json"))[0]["line"] is None


def test_github_annotation_cannot_be_broken_out_of() -> None:
    error = SpecError("SB101", "50%\n::error::x", Location("a,b:c.yaml", 3, 4, ""), "fix\nit", ("in A\r",))
    assert format_errors(error, format="github") == (
        "::error file=a%2Cb%3Ac.yaml,line=3,col=4,title=SB101::50%25\\n::error::x%0Ain A\\r%0Ahelp: fix\\nit"
    )
    assert format_errors(SpecError("SB001", "gone"), format="github") == "::error title=SB001::gone"


def test_at_most_fifty_are_shown() -> None:
    errors = SpecErrors(SpecError("SB101", f"fault {i}") for i in range(60))
    assert len(errors.errors) == 50
    assert errors.omitted_count == 10
    shown = str(errors)
    assert shown.count("error[SB101]") == 50
    assert shown.endswith("fault 49\n\nand 10 more")


def test_errors_survive_pickling() -> None:
    copy = pickle.loads(pickle.dumps(ERROR))
    assert (str(copy), copy.location, copy.trail) == (str(ERROR), ERROR.location, ERROR.trail)


@pytest.mark.parametrize(
    ("text", "column", "line", "cells"),
    [
        ("a: b", 4, "a: b", 3),
        ("\ta: b", 2, "    a: b", 4),
        ("日本: x", 5, "日本: x", 6),
        ("e\u0301: x", 5, "e\u0301: x", 3),
        ("a\x1bb: x", 4, r"a\x1bb: x", 6),
        ("a\u202eb", 3, r"a\u202eb", 7),
        ("ab", 3, "ab", 2),
        ("ab", 9, "ab", 2),
    ],
)
def test_caret_stands_under_the_column(text: str, column: int, line: str, cells: int) -> None:
    rendered = format_errors(SpecError("SB003", "m", Location("f", 1, column, text))).splitlines()
    assert rendered[3:] == ["1 | " + line, "  | " + " " * cells + "^"]


@pytest.mark.parametrize("column", [1, 400, 1_000])
@pytest.mark.parametrize("letter", ["b", "日", "\u202e"])
def test_long_lines_are_windowed_around_the_caret(column: int, letter: str) -> None:
    text = letter * (column - 1) + "X" + letter * (1_000 - column)
    line, caret = format_errors(SpecError("SB003", "m", Location("f", 1, column, text))).splitlines()[3:5]
    shown, at = line.removeprefix("1 | "), caret.index("^") - len("  | ")
    assert len(shown) <= 200
    cells = [c for c in shown for _ in range(2 if unicodedata.east_asian_width(c) == "W" else 1)]
    assert cells[at] == "X"
    assert (shown.startswith("…"), shown.endswith("…")) == (column > 1, column < 1_000)


def test_a_line_of_combining_marks_is_bounded_too() -> None:
    line = format_errors(SpecError("SB003", "m", Location("f", 1, 500, "\u0301" * 1_000))).splitlines()[3]
    assert len(line) <= 200


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 😀", "plain é 日本 😀"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31m\x9b", r"\x1b[31m\x9b"),
        ("\u202eabc\u2066", r"\u202eabc\u2066"),
        ("\ud800", r"\ud800"),
        ("\u00a0\u200b\ufeff", r"\xa0\u200b\ufeff"),
        ("[bold]x[/]", "[bold]x[/]"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 199 + "…"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert make_printable(text) == shown


@given(st.text(st.characters()), st.integers(1, 100), st.sampled_from(["text", "json", "github"]))
def test_whatever_is_said_is_inert(text: str, column: int, form: str) -> None:
    error = SpecError("SB101", text, Location(text, 1, column, text), text, (text,))
    shown = format_errors(error, format=form)  # type: ignore[arg-type]
    assert all(line.isprintable() for line in shown.split("\n"))
    assert len(make_printable(text)) <= 200


def test_codes_are_explained() -> None:
    for code, explanation in CODES.items():
        assert re.fullmatch(r"SB[0-9]\d\d", code)
        assert explanation.title and not explanation.title.endswith(".")
        assert explanation.text.endswith(".")
    assert list(CODES) == sorted(CODES)
    assert len({e.title for e in CODES.values()}) == len(CODES)


def test_every_code_that_is_raised_is_explained() -> None:
    package = Path(specbuild.__file__).parent
    raised = {
        code for file in package.rglob("*.py") for code in re.findall(r"\bSB\d{3}\b", file.read_text("utf-8"))
    }
    assert raised <= set(CODES)


@pytest.mark.parametrize("code", [c for c in CODES if c < "SB1" and CODES[c].example])
def test_examples_of_the_loader_have_their_fault(code: str) -> None:
    with pytest.raises(SpecError) as caught:
        Source(CODES[code].example)
    assert caught.value.code == code


@pytest.mark.parametrize("code", [c for c in CODES if c > "SB1" and CODES[c].example])
def test_other_examples_are_yaml(code: str) -> None:
    assert Source(CODES[code].example).data
