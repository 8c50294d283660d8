"""Where text becomes Python: names, numbers and strings, docstrings, comments. There is no other way.

Text comes from strangers: it stays the same words, and it can neither end its quotes, leave its comment,
reorder what a reader sees, nor say how the file is encoded.
"""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from functools import lru_cache

WIDTH = 88
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE_BREAK = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Invisible, reordering or not characters at all: controls, bidirectional and zero-width marks, surrogates, tags,
# private use. The zero-width joiners (200c, 200d) stay: scripts and emoji need them.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff"
    "\ufeff\uffa0\ufff0-\uffff\U000e0000-\U0010ffff]"
)
_CODING = re.compile(r"(coding)(?=[:=])")


@lru_cache(maxsize=8192)
def name(text: str) -> str:
    """A name, or a dotted path of names, fit to be printed; ValueError for any other text."""
    if text == "...":
        return text
    for part in text.split("."):
        if not _IDENTIFIER.fullmatch(part) or keyword.iskeyword(part):
            raise ValueError(f"not a Python name: {text!r}")
    return text


def literal(value: int | float | bool | str | None) -> str:
    """The Python for a plain value."""
    if isinstance(value, str):
        return string(value)
    if isinstance(value, float):
        return _float(value)
    if value is None or type(value) is bool:
        return str(value)
    if isinstance(value, int):
        return int.__repr__(value)
    raise ValueError(f"not a literal: {value!r}")


def _float(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError(f"not a literal: {value!r}")
    return re.sub(r"e([-+])0*", lambda sign: "e-" if sign[1] == "-" else "e", float.__repr__(value))


def string(text: str) -> str:
    """A string literal on one line; in double quotes unless single ones save escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + _escape(text).replace(quote, "\\" + quote) + quote


def _escape(text: str) -> str:
    return _UNSAFE.sub(_code, text.replace("\\", "\\\\"))


def _code(found: re.Match[str]) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0])
    point = ord(found[0])
    return short or (f"\\x{point:02x}" if point < 256 else f"\\u{point:04x}" if point < 65536 else f"\\U{point:08x}")


def width(text: str) -> int:
    """The columns that a line takes; East Asian wide characters take two, combining marks none."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _columns(character: str) -> int:
    if character in "\u200c\u200d" or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring: on one line if it fits, else wrapped, its own line breaks kept. None for no text."""
    lines = _lines(text)
    if not lines:
        return []
    margin = " " * indent
    escaped = [_escape(line).replace('"""', '\\"\\"\\"') for line in lines]
    if escaped[0].startswith('"'):
        escaped[0] = "\\" + escaped[0]
    if len(escaped) == 1 and width(escaped[0]) + indent + 6 <= WIDTH:
        only = escaped[0]
        end = '\\"' if only.endswith('"') and not only.endswith('\\"') else only[-1:]
        return [f'{margin}"""{only[:-1]}{end}"""']
    first, *rest = _wrap(escaped[0], WIDTH - indent, 3)
    rest += [part for line in escaped[1:] for part in _wrap(line, WIDTH - indent, 0)]
    return [f'{margin}"""{first}', *((margin + line).rstrip() for line in rest), f'{margin}"""']


def comment(text: str, indent: int) -> list[str]:
    """The lines of a comment, wrapped to the width, its own line breaks kept."""
    margin = " " * indent + "#"
    escaped = [_UNSAFE.sub(_code, line) for line in _lines(text)]
    return [f"{margin} {part}".rstrip() for line in escaped for part in _wrap(line, WIDTH - indent - 2, 0)]


def without_coding(line: str) -> str:
    """One of a file's first two lines, which as a comment could say how the file is encoded."""
    return _CODING.sub(r"\1 ", line) if line.lstrip().startswith("#") else line


def _lines(text: str) -> list[str]:
    """The lines of free text: tabs are spaces, no space at line ends, no empty line at either end, no common indent."""
    lines = [line.expandtabs(4).rstrip() for line in _LINE_BREAK.split(text)]
    while lines and not lines[-1]:
        del lines[-1]
    while lines and not lines[0]:
        del lines[0]
    if not lines:
        return []
    common = min((len(line) - len(line.lstrip(" ")) for line in lines[1:] if line), default=0)
    return [lines[0].lstrip(" "), *(line[common:] for line in lines[1:])]


def _wrap(line: str, room: int, used: int) -> list[str]:
    """Break a line at spaces into lines that fit; `used` columns of the first are taken. A long word stays whole."""
    lead = line[: len(line) - len(line.lstrip(" "))]
    lines, current, columns = [], "", used
    for word in line.lstrip(" ").split(" "):
        taken = width(word)
        if current and columns + 1 + taken > room:
            lines.append(current)
            current, columns = lead + word, len(lead) + taken
        else:
            current += f" {word}" if current else lead + word
            columns += taken + (1 if columns > used else len(lead))
    return [*lines, current]
