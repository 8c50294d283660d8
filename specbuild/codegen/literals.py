"""Turns text into Python: names, numbers, strings, docstrings and comments. No other module does.

The text is untrusted. Its words stay the same, but it cannot close its quotes, leave its comment, reorder
what a reader sees, or declare the encoding of the file.
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
# Invisible, reordering or invalid characters: controls, bidirectional and zero-width marks, surrogates, tags,
# private use. The zero-width joiners (200c, 200d) are allowed: some scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff"
    "\ufeff\uffa0\ufff0-\uffff\U000e0000-\U0010ffff]"
)
_ARGUMENT = re.compile(r" {4}\w+: ")
_QUOTES = re.compile(r'^"|"(?=")|(?<=")"')  # quotes that could be read as the docstring's own
_QUOTES_OF_ONE_LINE = re.compile(_QUOTES.pattern + '|"$')
_COMBINING = ("Mn", "Mc", "Me", "Cf")
_EXPONENT = re.compile("e([-+])0*")
_CODING = re.compile(r"(coding)(?=[:=])")


@lru_cache(maxsize=8192)
def check_identifier(text: str) -> str:
    """Return the text itself if it is a Python identifier; else raises ValueError."""
    if not _IDENTIFIER.fullmatch(text) or keyword.iskeyword(text):
        raise ValueError(f"not a Python name: {text!r}")
    return text


@lru_cache(maxsize=8192)
def check_dotted_name(text: str) -> str:
    """Return the text itself if it is a dotted path of identifiers; else raises ValueError."""
    return ".".join(map(check_identifier, text.split(".")))


def check_imports(lines: Sequence[str]) -> list[str]:
    """Return the lines themselves if they contain only imports; else raises ValueError."""
    try:
        statements = parse_python("\n".join(lines)).body
    except (SyntaxError, ValueError):
        raise ValueError(f"not imports: {lines!r}") from None
    are_imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in statements)
    if not are_imports or not "".join(lines).isprintable():
        raise ValueError(f"not imports: {lines!r}")
    return list(lines)


def format_literal(value: int | float | bool | str | None) -> str:
    """Return the Python literal for a value; raises ValueError for other types and for infinity and NaN."""
    if isinstance(value, str):
        return format_string(value)
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float) and math.isfinite(value):
        return _EXPONENT.sub(
            lambda sign: "e-" if sign[1] == "-" else "e", float.__repr__(shorten_float(value))
        )
    raise ValueError(f"not a literal: {value!r}")


def shorten_float(value: float) -> float:
    """Return 0.06 for 0.06000000000000001: what a computation adds in the last digits was never meant."""
    rounded = float(f"{value:.13g}")
    return rounded if abs(rounded - value) <= 4 * math.ulp(value) else value


def format_string(text: str) -> str:
    """Return a string literal on one line; in double quotes unless single quotes need fewer escapes.

    Combining marks are escaped: tools disagree about their width, which decides where lines break.
    """
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = _escape_unsafe(text.replace("\\", "\\\\")).replace(quote, "\\" + quote)
    if not body.isascii():
        body = "".join(_escape_character(c) if unicodedata.category(c) in _COMBINING else c for c in body)
    return quote + body + quote


def _escape_unsafe(text: str) -> str:
    """Replace unsafe characters by escape sequences."""
    return _UNSAFE.sub(lambda match: _escape_character(match[0]), text)


def _escape_character(character: str) -> str:
    point = ord(character)
    code = f"\\x{point:02x}" if point < 0x100 else f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, code)


def text_width(text: str) -> int:
    """Return the number of columns of a text: two for wide East Asian characters, none for combining marks."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.category(character) in _COMBINING:
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def format_docstring(text: str, indent: int) -> list[str]:
    """Return the lines of a docstring: one if it fits, else wrapped between its own line breaks.

    None if empty.
    """
    lines = [line.replace("\\", "\\\\") for line in _clean_lines(text)]
    margin = " " * indent
    if not lines:
        return []
    if len(lines) == 1:
        single_line = _escape_unsafe(_QUOTES_OF_ONE_LINE.sub(r"\"", lines[0]))
        if text_width(single_line) + indent + 6 <= LINE_WIDTH:
            return [f'{margin}"""{single_line}"""']
    escaped = [_escape_unsafe(_QUOTES.sub(r"\"", line)) for line in lines]
    first, *rest = _wrap_line(escaped[0], LINE_WIDTH - indent, 3)
    if len(lines) == 1 and not rest:  # the formatter would put the closing quotes on the same line
        first, *rest = _wrap_line(escaped[0], LINE_WIDTH - indent - 3, 3)
        if not rest:
            return [f'{margin}"""{single_line}"""']
    rest += [part for line in escaped[1:] for part in _wrap_line(line, LINE_WIDTH - indent, 0)]
    return [f'{margin}"""{first}', *((margin + line).rstrip() for line in rest), f'{margin}"""']


def format_comment(text: str, indent: int) -> list[str]:
    """Return the lines of a comment, wrapped to the line width; its own line breaks stay."""
    margin = " " * indent + "#"
    escaped = map(_escape_unsafe, _clean_lines(text))
    return [
        f"{margin} {part}".rstrip()
        for line in escaped
        for part in _wrap_line(line, LINE_WIDTH - indent - 2, 0)
    ]


def strip_coding(line: str) -> str:
    """Break up an encoding declaration, which Python reads in a comment in the first two lines of a file."""
    return _CODING.sub(r"\1 ", line) if line.lstrip().startswith("#") else line


def _clean_lines(text: str) -> list[str]:
    """Return the lines of a text without tabs, trailing spaces, common indent, and empty lines at either end."""
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
    """Break a line at spaces into lines of `room` columns; the first has `used` columns less.

    The description of an argument, which is indented, goes on further to the right.
    """
    lead = " " * _leading_spaces(line)
    further = lead + " " * 4 if _ARGUMENT.match(line) else lead
    first, *words = line.removeprefix(lead).split(" ")
    lines, current, columns = [], lead + first, used + len(lead) + text_width(first)
    for word in words:
        word_width = text_width(word)
        if word and columns + 1 + word_width > room:
            lines.append(current.rstrip())
            current = further + word.lstrip()
            columns = text_width(current)
        else:
            current, columns = f"{current} {word}", columns + 1 + word_width
    return [*lines, current]
