"""What a spec file means, and where everything in it stands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.source import Source, SourceAddress

SPEC = """\
# a comment
specbuild: 1
params: {width: 64, depths: [3, 4], é: "日本"}
blocks:
  Bottleneck:
    steps:
      - conv: {channels: width, kernel: 3}
        as: conv1
      - relu
      -
        batch_norm:
        doc: |
          two
          lines
  Other: &other {a: [1]}
  Again: *other
"""


def refusal(text: str | bytes) -> SpecError:
    with pytest.raises(SpecError) as caught:
        Source(text)
    return caught.value


SCALARS: dict[str, Any] = {
    **dict.fromkeys(["", "~", "null", "Null", "NULL", "# nothing"]),
    **dict.fromkeys(["true", "True", "TRUE"], True),
    **dict.fromkeys(["false", "False", "FALSE"], False),
    **{word: word for word in "nULL tRUE yes no on off y n Yes ON none None nil".split()},
    "0": 0,
    "-0": 0,
    "+12": 12,
    "010": 10,
    "0x1F": 31,
    "0o17": 15,
    "999999999999999999": 10**18 - 1,
    "000000000000000000000000001": 1,
    "1.": 1.0,
    ".5": 0.5,
    "-.5e1": -5.0,
    "1e-5": 1e-5,
    "1E+5": 1e5,
    "64.0": 64.0,
    "6.02214076e23": 6.02214076e23,
    "0.0e999": 0.0,
    "1.0000000000000000000000": 1.0,
    "0.000000000000000000000001": 1e-24,
    **{
        word: word
        for word in (
            "1_000 0b1 -0x1F +0o7 0X1F 0O7 0xG 1:30 190:20:30 2024-13-45 2001-12-14T21:59:43Z 1e 1e+ . +. "
            "e5 1.2.3 1.e 0o8 ٣ ① 1e5x inf nan Inf +nan <3 = <<"
        ).split()
    },
    '"1"': "1",
    "'true'": "true",
    '"~"': "~",
    "'<<'": "<<",
    "x if y else z": "x if y else z",
    "${attention}": "${attention}",
    "x.C // 2": "x.C // 2",
    "a#b": "a#b",
    "'it''s'": "it's",
    r'"\t\n\r\"\\\/\x41\u00e9\U0001F600"': '\t\n\r"\\/Aé😀',
    "'\tx'": "\tx",
    "'{{ {% ${ \" \\n'": '{{ {% ${ " \\n',
}


@pytest.mark.parametrize("text", SCALARS)
def test_scalars(text: str, parser: None) -> None:
    data = Source(f"a: {text}\n").data["a"]
    assert data == SCALARS[text]
    assert type(data) is type(SCALARS[text])


@pytest.mark.parametrize(
    "word", ["on", "y", "no", "1_000", "x.y", "é", "2024-01-01", "'1'", '"true"', "'<<'", "''"]
)
def test_keys_that_are_text(word: str, parser: None) -> None:
    assert Source(f"{word}: 1").data == {word.strip("'\""): 1}


def test_infinity_stays_text(parser: None) -> None:
    """Only masks accept it; they read the text."""
    assert Source("a: [.inf, -.INF]").data == {"a": [".inf", "-.INF"]}


@pytest.mark.parametrize("word", ["1", "1.5", "0x1F", "true", "null", "~", ".inf", "9" * 30])
def test_keys_that_are_not(word: str, parser: None) -> None:
    error = refusal(f"a: 1\n{word}: 1")
    assert error.code == "SB011"
    assert f'"{word}"' in error.hint
    assert Source(f"'{word}': 1").data == {word: 1}


@pytest.mark.parametrize(
    "number",
    [
        ".nan",
        "9" * 19,
        "0x" + "f" * 19,
        "0." + "1" * 19,
        "1e999",
        "1e-999",
        "1e" + "9" * 4_000,
    ],
)
def test_numbers_that_cannot_be_held(number: str, parser: None) -> None:
    error = refusal(f"a: {number}")
    assert error.code == "SB012"
    assert error.location and (error.location.line, error.location.column) == (1, 4)
    assert Source(f"a: '{number}'").data == {"a": number}


def test_places(parser: None) -> None:
    source = Source(SPEC, "a.yaml")
    expected: dict[tuple[str | int, ...], tuple[tuple[int, int], tuple[int, int]]] = {
        (): ((2, 1), (2, 1)),
        ("specbuild",): ((2, 12), (2, 1)),
        ("params", "depths", 1): ((3, 33), (3, 33)),
        ("params", "é"): ((3, 40), (3, 37)),
        ("blocks",): ((5, 3), (4, 1)),
        ("blocks", "Bottleneck", "steps", 0): ((7, 9), (7, 9)),
        ("blocks", "Bottleneck", "steps", 0, "conv", "kernel"): ((7, 41), (7, 33)),
        ("blocks", "Bottleneck", "steps", 0, "as"): ((8, 13), (8, 9)),
        ("blocks", "Bottleneck", "steps", 1): ((9, 9), (9, 9)),
        ("blocks", "Bottleneck", "steps", 2, "batch_norm"): ((11, 9), (11, 9)),
        ("blocks", "Bottleneck", "steps", 2, "doc"): ((12, 14), (12, 9)),
        ("blocks", "Other", "a", 0): ((15, 22), (15, 22)),
        ("blocks", "Again"): ((16, 10), (16, 3)),
        ("blocks", "Again", "a", 0): ((15, 22), (15, 22)),
        # what is not there stands where its nearest ancestor does
        ("params", "missing", "deeper"): ((3, 9), (3, 1)),
        ("params", "depths", 7): ((3, 29), (3, 21)),
        ("params", "depths", "x"): ((3, 29), (3, 21)),
        ("specbuild", "x"): ((2, 12), (2, 1)),
    }
    for path, (value, key) in expected.items():
        place, key_place = source.location(path), source.key_location(path)
        assert ((place.line, place.column), (key_place.line, key_place.column)) == (value, key), path
        assert place.text == SPEC.splitlines()[place.line - 1]
        assert place.file == "a.yaml"


def test_an_address_makes_errors() -> None:
    source = Source(SPEC)
    at = source.address_of(("blocks",)).child("Bottleneck", "steps", 0)
    assert at == SourceAddress(source, ("blocks", "Bottleneck", "steps", 0))
    assert at.location == source.location(at.path)
    assert at.child("conv").key_location == source.key_location((*at.path, "conv"))
    error = at.child("conv", "channels").error("SB302", "unknown name", "hint", offset=2, trail=("in A",))
    assert (error.code, error.message, error.hint, error.trail) == (
        "SB302",
        "unknown name",
        "hint",
        ("in A",),
    )
    assert error.location and (error.location.line, error.location.column) == (7, 28)
    error = at.child("conv", "channels").error("SB101", "unknown key", key=True)
    assert error.location and (error.location.line, error.location.column) == (7, 16)


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("a: x + y", 8),
        ("a: 'x + y'", 9),
        ('a: "x + y"', 9),
        ('a: "x\\x20+ y"', 4),  # an escape: only the start is known
        ("a: x\n  + y", 4),
        ("a: [x, y]", 4),
        ("b: x", 1),
    ],
)
def test_a_place_inside_of_text(text: str, column: int) -> None:
    assert Source(text).location(("a",), offset=4).column == column


def test_aliases_do_not_share_data(parser: None) -> None:
    data = Source("a: &a {x: [1]}\nb: *a\nc: &c y\nd: *c\n&k e: *k").data
    assert data == {"a": {"x": [1]}, "b": {"x": [1]}, "c": "y", "d": "y", "e": "e"}
    data["a"]["x"].append(2)
    assert data["b"] == {"x": [1]}


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(SPEC, "utf-8", newline="\r\n")
    source = Source.read(path)
    assert (source.data, source.file) == (Source(SPEC).data, str(path))
    assert Source.read(str(path), display_name="b.yaml").location().file == "b.yaml"
    path.write_bytes(b"# " + b"x" * 2**20)
    with pytest.raises(SpecError, match=r"error\[SB006\]: the file has more than 1 MiB"):
        Source.read(path)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, reason in {
        "none.yaml": "there is no such file",
        "": "it is not a regular file",
        "pipe": "it is not a regular file",
        "loop": "Too many levels of symbolic links",
        "a\0b": "embedded null byte",
        "x" * 300: "File name too long",
    }.items():
        with pytest.raises(SpecError) as caught:
            Source.read(tmp_path / name, display_name="it")
        assert str(caught.value) == f"error[SB001]: cannot read `it`: {reason}\n  = help: check the path"
