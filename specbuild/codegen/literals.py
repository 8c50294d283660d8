"""Where text becomes Python: names, numbers and strings, docstrings, comments. There is no other way.

Text comes from strangers: it stays the same words, and it can neither end its quotes, leave its comment,
reorder what a reader sees, nor say how the file is encoded.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from specbuild.expressions.python_ast import parse_python

LINE_WIDTH = 88
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE_BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Invisible, reordering or no characters at all: controls, bidirectional and zero-width marks, surrogates,
# tags, private use. The zero-width joiners (200c, 200d) stay: scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff"
    "\ufeff\uffa0\ufff0-\uffff\U000e0000-\U0010ffff]"
)
_QUOTES = re.compile(r'^"|"(?=")|(?<=")"')  # those that could be taken for the docstring's own
_QUOTES_OF_ONE_LINE = re.compile(_QUOTES.pattern + '|"$')
_COMBINING = ("Mn", "Mc", "Me", "Cf")
_EXPONENT = re.compile("e([-+])0*")
_CODING = re.compile(r"(coding)(?=[:=])")


@lru_cache(maxsize=8192)
def check_identifier(text: str) -> str:
    """A single name fit to be printed; ValueError for any other text."""
    if not _IDENTIFIER.fullmatch(text) or keyword.iskeyword(text):
        raise ValueError(f"not a Python name: {text!r}")
    return text


@lru_cache(maxsize=8192)
def check_dotted_name(text: str) -> str:
    """A name or a dotted path of names; ValueError for any other text."""
    return ".".join(map(check_identifier, text.split(".")))


def check_imports(lines: Sequence[str]) -> list[str]:
    """Finished lines of imports; ValueError if they do anything else."""
    try:
        statements = parse_python("\n".join(lines)).body
    except (SyntaxError, ValueError):
        raise ValueError(f"not imports: {lines!r}") from None
    are_imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in statements)
    if not are_imports or not "".join(lines).isprintable():
        raise ValueError(f"not imports: {lines!r}")
    return list(lines)


def format_literal(value: int | float | bool | str | None) -> str:
    """The Python for a plain value."""
    if isinstance(value, str):
        return format_string(value)
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float) and math.isfinite(value):
        return _EXPONENT.sub(lambda sign: "e-" if sign[1] == "-" else "e", float.__repr__(value))
    raise ValueError(f"not a literal: {value!r}")


def format_string(text: str) -> str:
    """A string literal on one line; in double quotes unless single ones save escapes.

    Combining marks are escaped: nobody agrees how many columns they take, and that decides where lines end.
    """
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = _escape_unsafe(text.replace("\\", "\\\\")).replace(quote, "\\" + quote)
    if not body.isascii():
        body = "".join(_escape_character(c) if unicodedata.category(c) in _COMBINING else c for c in body)
    return quote + body + quote


def _escape_unsafe(text: str) -> str:
    """Unsafe characters as escapes, by their code points."""
    return _UNSAFE.sub(lambda found: _escape_character(found[0]), text)


def _escape_character(character: str) -> str:
    point = ord(character)
    code = f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, code)


def text_width(text: str) -> int:
    """The columns that a line takes; East Asian wide characters take two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in _COMBINING:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def format_docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring: one if it fits, else wrapped, its own line breaks kept; none for no words."""
    lines = [line.replace("\\", "\\\\") for line in _clean_lines(text)]
    margin = " " * indent
    if not lines:
        return []
    if len(lines) == 1:
        only = _escape_unsafe(_QUOTES_OF_ONE_LINE.sub(r"\"", lines[0]))
        if text_width(only) + indent + 6 <= LINE_WIDTH:
            return [f'{margin}"""{only}"""']
    escaped = [_escape_unsafe(_QUOTES.sub(r"\"", line)) for line in lines]
    first, *rest = _wrap_line(escaped[0], LINE_WIDTH - indent, 3)
    if len(lines) == 1 and not rest:  # the formatter would set the closing quotes behind a single line
        first, *rest = _wrap_line(escaped[0], LINE_WIDTH - indent - 3, 3)
        if not rest:
            return [f'{margin}"""{only}"""']
    rest += [part for line in escaped[1:] for part in _wrap_line(line, LINE_WIDTH - indent, 0)]
    return [f'{margin}"""{first}', *((margin + line).rstrip() for line in rest), f'{margin}"""']


def format_comment(text: str, indent: int) -> list[str]:
    """The lines of a comment, wrapped to the width, its own line breaks kept."""
    margin = " " * indent + "#"
    escaped = map(_escape_unsafe, _clean_lines(text))
    return [
        f"{margin} {part}".rstrip()
        for line in escaped
        for part in _wrap_line(line, LINE_WIDTH - indent - 2, 0)
    ]


def strip_coding(line: str) -> str:
    """One of a file's first two lines, which as a comment could say how the file is encoded."""
    return _CODING.sub(r"\1 ", line) if line.lstrip().startswith("#") else line


def _clean_lines(text: str) -> list[str]:
    """The lines of free text: without tabs, space at their ends, empty lines at either end, common indent."""
    lines = [line.expandtabs(4).rstrip() for line in _LINE_BREAK.split(text)]
    while lines and not lines[-1]:
        del lines[-1]
    while lines and not lines[0]:
        del lines[0]
    if not lines:
        return []
    common = min((_leading_spaces(line) for line in lines[1:] if line), default=0)
    return [lines[0].strip(), *(" " * (_leading_spaces(line) - common) + line.strip() for line in lines[1:])]


def _leading_spaces(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _wrap_line(line: str, room: int, used: int) -> list[str]:
    """Break a line at spaces into lines that fit; `used` columns of the first are taken. Words stay whole."""
    lead = " " * _leading_spaces(line)
    first, *words = line.removeprefix(lead).split(" ")
    lines, current, columns = [], lead + first, used + len(lead) + text_width(first)
    for word in words:
        taken = text_width(word)
        if word and columns + 1 + taken > room:
            lines.append(current.rstrip())
            current = lead + word.lstrip()
            columns = text_width(current)
        else:
            current, columns = f"{current} {word}", columns + 1 + taken
    return [*lines, current]
