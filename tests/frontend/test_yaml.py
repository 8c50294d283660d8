"""What the loader refuses, in which words and at what cost; its limits; and that its parsers agree."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from specbuild.diagnostics.errors import SpecError
from specbuild.frontend import yaml_parser as parse
from specbuild.frontend.source import Source
from specbuild.frontend.yaml_composer import ValuePosition
from tests.cpu_time import measure_cpu_time

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

MESSAGES = [
    section.split("\n", 2)
    for section in (Path(__file__).parents[1] / "errors" / "loader.txt")
    .read_text("utf-8")
    .split("\n=== ")[1:]
]


def refusal(text: str | bytes) -> SpecError:
    with pytest.raises(SpecError) as caught:
        Source(text)
    return caught.value


def spots(spot: ValuePosition, path: tuple[str | int, ...] = ()) -> Iterator[tuple[object, ...]]:
    yield path, spot.start, spot.key_start
    inside = spot.children or []
    for key, child in inside.items() if isinstance(inside, dict) else enumerate(inside):
        yield from spots(child, (*path, key))


def outcome(text: str | bytes) -> object:
    try:
        source = Source(text)
    except SpecError as error:
        return str(error)
    return repr(source.data), list(spots(source._root))


@pytest.mark.parametrize(("text", "message"), [m[1:] for m in MESSAGES], ids=[m[0] for m in MESSAGES])
def test_messages(text: str, message: str, parser: None) -> None:
    assert str(refusal(ast.literal_eval(text))) == message.rstrip("\n")


@pytest.mark.parametrize("text", [m[1] for m in MESSAGES if m[1].startswith(("'", '"'))])
def test_a_huge_file_is_refused_at_once(text: str) -> None:
    """There libyaml has the last word, and may see the fault later."""
    small = refusal(ast.literal_eval(text))
    large = refusal(ast.literal_eval(text).rstrip("\n") + "\n" + "# padding\n" * 10_000)
    assert large.code in (small.code, "SB003")
    assert small.location and large.location and small.location.line <= large.location.line


def test_line_ends_and_byte_order_mark_make_no_difference(parser: None) -> None:
    plain = Source(SPEC)
    for other in (
        SPEC.replace("\n", "\r\n"),
        "\ufeff" + SPEC,
        SPEC.encode(),
        b"\xef\xbb\xbf" + SPEC.encode(),
    ):
        source = Source(other)
        assert source.data == plain.data
        assert source.text == plain.text
        assert list(spots(source._root)) == list(spots(plain._root))


DEEP_32 = "[" * 32 + "]" * 32
LIMITS = {
    "bytes": ("# " + "x" * (2**20 - 8) + "\na: 1\n", "# " + "x" * (2**20 - 7) + "\na: 1\n"),
    "not characters": ("# " + "é" * (2**19 - 4) + "\na: 1\n", "# " + "é" * (2**19 - 3) + "\na: 1\n"),
    "nesting": ("[" * 64 + "]" * 64, "[" * 65 + "]" * 65),
    "nested blocks": ("- " * 64 + "x", "- " * 65 + "x"),
    "nested aliases": (
        f"- &a {DEEP_32}\n- {'[' * 31}*a{']' * 31}",
        f"- &a {DEEP_32}\n- {'[' * 32}*a{']' * 32}",
    ),
    "values": ("[" + "1," * 99_999 + "]", "[" + "1," * 100_000 + "]"),
    "keys": ("".join(f"k{i}:\n" for i in range(49_999)), "".join(f"k{i}:\n" for i in range(50_000))),
    "aliases": ("- &a x\n" + "- *a\n" * 100, "- &a x\n" + "- *a\n" * 101),
    "values by alias": (f"- &a [{'1,' * 998}]\n" + "- *a\n" * 99, f"- &a [{'1,' * 999}]\n" + "- *a\n" * 99),
    "text": ("a: " + "x" * 4_096, "a: " + "x" * 4_097),
    "quoted text": ("a: '" + "x" * 4_096 + "'", "a: '" + "x" * 4_097 + "'"),
    "key": ("? " + "x" * 4_096 + "\n: 1", "? " + "x" * 4_097 + "\n: 1"),
}


@pytest.mark.parametrize(("allowed", "refused"), LIMITS.values(), ids=LIMITS)
def test_limits(allowed: str, refused: str) -> None:
    Source(allowed)
    assert refusal(refused).code == "SB006"


NASTY = {
    "deep": "[" * 100_000,
    "deep mappings": "{a: " * 100_000,
    "deep blocks": "- " * 100_000,
    "deep keys": "? " * 100_000,
    "laughs": "a: &a [1,1,1,1,1,1,1,1,1]\n"
    + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "directives": "".join(f"%TAG !a{i}! tag:a,2000:\n" for i in range(40_000)) + "---\na",
    "directives after": "a\n...\n" + "".join(f"%TAG !a{i}! tag:a,2000:\n" for i in range(40_000)) + "---\na",
    "comment": "#" * 1_000_000,
    "blank": "\n" * 1_000_000,
    "documents": "---\n" * 200_000,
    "digits": "a: " + "9" * 1_000_000,
    "plain": "a: " + "b " * 500_000,
    "escapes": 'a: "' + "\\x41" * 250_000 + '"',
    "anchors": "".join(f"- &a{i}\n" for i in range(49_000)) + "]",
    "unclosed": "[" + "1," * 90_000,
    "all at once": "- [1" + ",1" * 90_000 + "]\n" + ("- " + "b " * 2_000 + "\n") * 200 + "- ]",
    "twice at the end": "".join(f"a{i}: 1\n" for i in range(49_000)) + "a1: 2",
    "no text": "\x00" * 1_000_000,
    "too long": "a" * 50_000_000,
}


@pytest.mark.parametrize("name", NASTY)
def test_refusals_are_quick(name: str) -> None:
    with measure_cpu_time() as taken:
        str(refusal(NASTY[name]))
    assert taken.seconds < 2


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads the peak off /proc, which only Linux has"
)
def test_refusals_are_small() -> None:
    """The peak of one process that meets them all, interpreter and test texts included, in MiB."""
    program = (
        "from test_yaml import NASTY, Source, SpecError\n"
        "NASTY.pop('too long')\n"
        "for text in NASTY.values():\n"
        "    try: Source(text)\n"
        "    except SpecError as error: str(error)\n"
        # not ru_maxrss: that counts what the parent held when it forked
        "print([int(line.split()[1]) // 1024 for line in open('/proc/self/status') if line[:6] == 'VmHWM:'][0])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert int(told.stdout) < 256


TOKENS = [
    *"-?:,[]{}&*!|>'\"%@`#<=~\\\n\t 1aé日",
    *("\n  ", "\n    ", "- ", ": ", "? ", "a: ", ", ", "&a ", "*a", "!t ", "!!str ", "# c\n", "<<: ", "\r\n"),
    *(
        "\n---\n",
        "\n...\n",
        "--- ",
        '"x"',
        "'y'",
        "|\n",
        ">-\n",
        "1.5",
        ".inf",
        "null",
        "k: &a",
        '"\\u1"',
        "\x85",
    ),
]
SOUP = st.lists(st.sampled_from(TOKENS), max_size=30).map("".join)
EDITS = st.lists(
    st.tuples(st.integers(0, len(SPEC)), st.integers(0, 3), st.sampled_from(["", *TOKENS])), max_size=4
)


def edited(edits: list[tuple[int, int, str]]) -> str:
    text = SPEC
    for at, length, new in edits:
        text = text[:at] + new + text[at + length :]
    return text


@given(SOUP | EDITS.map(edited) | st.text(st.characters()))
@example('a: "\\UFFFFFFFF"')
@example("{a? b}")
@example("a: b\t")
@example("[null%- - :]")
@example("{!,!t ")
@example("|#")
@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_both_parsers_agree_and_raise_nothing_else(text: str) -> None:
    found = outcome(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parse, "PARSERS", (yaml.SafeLoader,))
        assert outcome(text) == found


@given(st.binary())
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_data_or_a_refusal(content: bytes) -> None:
    outcome(content)
