"""PyYAML's parsers behind one door, and their complaints in words that an author of a spec understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from specbuild.errors import SpecError, printable
from specbuild.loader.compose import Spot, compose
from specbuild.loader.text import SpecText

# libyaml where it is there, for speed. What it refuses is parsed again, so that the message is the same.
PARSERS: tuple[Any, ...] = (
    (yaml.CSafeLoader, yaml.SafeLoader) if yaml.__with_libyaml__ else (yaml.SafeLoader,)
)


def parse(text: SpecText) -> tuple[Any, Spot]:
    """Plain data and its places. Whatever is wrong is a SpecError."""
    for parser in PARSERS[:-1]:
        try:
            return compose(_events(text.text, parser), text)
        except yaml.YAMLError:
            continue
    try:
        return compose(_events(text.text, PARSERS[-1]), text)
    except yaml.YAMLError as error:
        raise _fault(error, text) from None


def _events(text: str, parser: Any) -> Iterator[yaml.Event]:
    loader = parser(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    except (ValueError, OverflowError):  # PyYAML hands any eight digits after \U to chr()
        raise yaml.MarkedYAMLError(
            problem="found unknown escape character", problem_mark=loader.get_mark()
        ) from None
    finally:
        loader.dispose()


@dataclass(frozen=True)
class _Saying:
    """How one complaint of PyYAML is told. `{0}` is what it found.

    With `at_start`, the place is where the construct began, not where the parser gave up.
    """

    problem: str
    message: str
    hint: str = ""
    code: str = "SB003"
    context: str = ""
    at_start: bool = False


_COMMA = "put a comma between two entries, and quotes around text with `,` `:` `[` `]` `{` `}` in it"
_QUOTE = "quote the text"

_SAYINGS = (
    _Saying(r"found character '\\t' that", "a tab cannot start a value or indent a line", "use spaces"),
    _Saying(r"found character (.*) that", "a value cannot start with {0}", _QUOTE),
    _Saying(
        "could not find expected ':'",
        "this is no `key: value`",
        "add `:` and a value, or indent it as part of the text before",
        at_start=True,
    ),
    _Saying(
        "mapping values are not allowed",
        "a `:` cannot stand here",
        "quote text that has `: ` in it, or put the key on a line of its own, indented with its neighbours",
    ),
    _Saying(
        "sequence entries are not allowed",
        "a `- ` cannot stand here",
        "start the list on a new line, indented under its key, or quote the text",
    ),
    _Saying("mapping keys are not allowed", "a `? ` cannot stand here", _QUOTE),
    _Saying(
        "expected alphabetic or numeric character",
        "`*` and `&` mark YAML aliases and anchors, and need a name",
        "to mean text or an expression, quote it",
        "SB010",
        at_start=True,
    ),
    _Saying(
        "undefined tag handle|expected.*",
        "a word that starts with `!` is a YAML tag; a spec has none",
        "remove the tag; to mean text that starts with `!`, quote it",
        "SB005",
        "tag|parsing a node",
        at_start=True,
    ),
    _Saying(
        "found unexpected (end of stream|document separator)",
        "this quote is never closed",
        'close it; a quote inside the text is written twice in \'...\', or as \\" in "..."',
        at_start=True,
    ),
    _Saying(
        "found unknown escape character|hexadecimal",
        "an escape after `\\` that does not exist",
        "write `\\\\` for a backslash, or use '...' where backslashes are plain",
    ),
    _Saying(
        "indentation indicator|chomping|comment or a line break",
        "nothing but `|` or `>`, `+`, `-`, a digit or a comment may follow a block text's mark",
        "start the text on the next line, or quote it",
        context="block scalar",
    ),
    _Saying(
        r"expected ',' or '(.)', but got '<(?:stream|document) (?:end|start)>'",
        "this bracket is never closed",
        "add `{0}`",
        at_start=True,
    ),
    _Saying(r"expected ',' or '(.)', but got", "expected `,` or `{0}` here", _COMMA),
    _Saying(
        "expected the node content, but found '<(?:stream|document)",
        "the file ends in the middle of a value",
        "close every bracket",
    ),
    _Saying("expected the node content, but found '(.*)'", "expected a value here, found `{0}`", _COMMA),
    _Saying(
        "expected <block end>",
        "this line does not line up with the ones before it",
        "items of one list, and keys of one mapping, start in the same column; text after a closing quote or bracket is not part of the value",
    ),
    _Saying(
        "expected '<document start>'",
        "nothing can follow the value that ends before this",
        "a file is one mapping: its keys start in the first column",
    ),
)


def _fault(error: yaml.YAMLError, text: SpecText) -> SpecError:
    problem = str(getattr(error, "problem", None) or "the text is not YAML")
    context = str(getattr(error, "context", None) or "")
    begin, end = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    for saying in _SAYINGS:
        found = re.search(saying.problem, problem)
        if found and re.search(saying.context, context):
            mark = begin if saying.at_start and begin else end
            what = printable(found.group(found.lastindex or 0), 40)
            message, hint, code = (
                saying.message.replace("{0}", what),
                saying.hint.replace("{0}", what),
                saying.code,
            )
            break
    else:
        mark, message, hint, code = end or begin, printable(problem), _QUOTE, "SB003"
    return SpecError(code, message, text.place(mark.line, mark.column) if mark else text.place(0, 0), hint)
