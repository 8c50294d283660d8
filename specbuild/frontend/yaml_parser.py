"""PyYAML's parsers behind one door, and their complaints in words that an author of a spec understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from specbuild.diagnostics.errors import Location, SpecError, make_printable
from specbuild.frontend.decoding import SpecText
from specbuild.frontend.yaml_composer import MAX_SHOWN, TAG_HINT, ValuePosition, compose_document

# libyaml where it is there, for speed. What it refuses is parsed again in Python, whose complaints are better
# and the same everywhere; but not in a huge file, where that would take seconds.
PARSERS: tuple[Any, ...] = (
    (yaml.CSafeLoader, yaml.SafeLoader) if yaml.__with_libyaml__ else (yaml.SafeLoader,)
)
MAX_REPARSED = 2**16  # characters

# Where the two parsers disagree, the stricter decides: tabs outside of quotes, question marks inside braces,
# and a comment that touches the mark of a block of text.
PARSERS_DISAGREE = re.compile(r"[\t?]|[|>][-+0-9]*#")


def parse_yaml(text: SpecText) -> tuple[Any, ValuePosition]:
    """Plain data and its places. Whatever is wrong is a SpecError."""
    for parser in PARSERS[:-1]:
        if PARSERS_DISAGREE.search(text.text):
            break
        try:
            return compose_document(_parse_events(text.text, parser), text)
        except yaml.YAMLError as error:
            if len(text.text) > MAX_REPARSED:
                raise _translate_error(error, text) from None
        except SpecError as fault:
            if fault.code != "SB005":  # they read tags differently, too
                raise
    try:
        return compose_document(_parse_events(text.text, PARSERS[-1]), text)
    except yaml.YAMLError as error:
        raise _translate_error(error, text) from None


def _parse_events(text: str, parser: Any) -> Iterator[yaml.Event]:
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
class _ParserMessage:
    """How one complaint of PyYAML or libyaml is told; `{0}` is the last group of the pattern.

    With `at_start`, the place is where the construct began, not where the parser gave up.
    """

    problem: str
    message: str
    hint: str
    context: str = ""
    code: str = "SB003"
    at_start: bool = False


_COMMA = "put a comma between two entries, and quotes around text that has any of `,:?[]{}` in it"

_PARSER_MESSAGES = (
    _ParserMessage(r"found character '\\t' that", "a tab cannot stand here", "use spaces, or quote the text"),
    _ParserMessage("found character (.*) that", "a value cannot start with {0}", "quote the text"),
    _ParserMessage("found character that", "a value cannot start with this character", "quote the text"),
    _ParserMessage(
        "could not find expected ':'",
        "this is not a `key: value`",
        "add `:` and a value, or indent it under the key that it belongs to",
        at_start=True,
    ),
    _ParserMessage(
        "mapping values are not allowed",
        "a `:` cannot stand here",
        "quote text that has `: ` in it; a key starts a line of its own, in the column of its neighbours",
    ),
    _ParserMessage(
        "sequence entries are not allowed",
        "a `- ` cannot stand here",
        "start the list on a line of its own, under its key; to mean text, quote it",
    ),
    _ParserMessage("mapping keys are not allowed", "a `? ` cannot stand here", "to mean text, quote it"),
    _ParserMessage(
        "expected alphabetic or numeric character",
        "`*` and `&` mark a YAML alias and anchor, and need a name",
        "to mean text or an expression, quote it",
        context="alias|anchor",
        code="SB010",
        at_start=True,
    ),
    _ParserMessage(
        "",
        "a word that starts with `!` is a YAML tag; a spec has none",
        TAG_HINT,
        context="tag|while parsing a node",
        code="SB005",
        at_start=True,
    ),
    _ParserMessage(
        "found unexpected (end of stream|document (separator|indicator))",
        "this quote is never closed",
        'close it; inside \'...\' a quote is written twice, inside "..." as \\"',
        at_start=True,
    ),
    _ParserMessage(
        "found unknown escape character|hexa?decimal",
        "an escape that does not exist",
        "a backslash is written `\\\\`; inside '...' it is plain",
    ),
    _ParserMessage(
        "",
        "only a comment may follow the `|` or `>` that starts a block of text",
        "start the text on the next line; to mean text that starts with `|` or `>`, quote it",
        context="block scalar",
    ),
    _ParserMessage(
        r"expected ',' or '(.)', but got '<(?:stream|document)",
        "this bracket is never closed",
        "add a `{0}`",
        at_start=True,
    ),
    _ParserMessage(r"expected ',' or '(.)'", "expected `,` or `{0}` here", _COMMA),
    _ParserMessage(
        "but found '<(?:stream|document)", "a value is missing here", "close every bracket and quote"
    ),
    _ParserMessage(
        "expected the node content, but found '(.*)'", "expected a value here, found `{0}`", _COMMA
    ),
    _ParserMessage("expected node content", "expected a value here", _COMMA),
    _ParserMessage(
        "expected (<block end>|key|'-' indicator)",
        "this does not line up with the lines before it",
        "items of one list, and keys of one mapping, start in the same column",
    ),
    _ParserMessage(
        "expected '?<document start>",
        "the value of the file has ended before this",
        "a file is one mapping, whose keys all start in the first column",
    ),
)


def _translate_error(error: yaml.YAMLError, text: SpecText) -> SpecError:
    problem = str(getattr(error, "problem", None) or "the text is not YAML")
    context = str(getattr(error, "context", None) or "")
    begin, end = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    if end and (fault := _error_from_lines(problem, end, text)):
        return fault
    for saying in _PARSER_MESSAGES:
        found = re.search(saying.problem, problem)
        if found and re.search(saying.context, context):
            break
    else:
        return SpecError(
            "SB003", make_printable(problem), _mark_location(end or begin, text), "quote the text"
        )
    shown = make_printable(found.group(found.lastindex or 0), MAX_SHOWN)
    return SpecError(
        saying.code,
        saying.message.replace("{0}", shown),
        _mark_location(begin if saying.at_start and begin else end, text),
        saying.hint.replace("{0}", shown),
    )


# A step that is one word, `- relu`, with keys of the step below it; and a key that starts a line.
_BARE_STEP = re.compile(r"(?P<dash> *- +)(?P<word>[A-Za-z]\w*)(?: *| +#.*)")
_KEY = re.compile(r"(?P<indent> *(?:- +)*)(?P<word>[^\s:]+) *")


def _error_from_lines(problem: str, mark: yaml.Mark, text: SpecText) -> SpecError | None:
    """What the lines around the place tell better than the complaint does."""
    before = text.lines[mark.line][: mark.column] if mark.line < len(text.lines) else ""
    if "mapping values are not allowed" in problem and (key := _KEY.fullmatch(before)):
        above = _BARE_STEP.fullmatch(text.lines[mark.line - 1]) if mark.line else None
        if above and key.end("indent") == above.end("dash"):
            word = make_printable(above["word"], MAX_SHOWN)
            place = text.location_at(mark.line - 1, above.end("word"))
            return SpecError("SB003", f"`{word}` needs a `:`, as keys follow it", place, f"write `- {word}:`")
        word = make_printable(key["word"], MAX_SHOWN)
        message = f"the key `{word}` cannot stand here, as the value of the line before goes on to this line"
        hint = "put it in the column of its neighbours; if it belongs to the line before, end that with a `:`"
        return SpecError("SB003", message, text.location_at(mark.line, key.end("indent")), hint)
    if "expected <block end>, but found ':'" in problem:
        return SpecError("SB003", "a key is missing before this `:`", _mark_location(mark, text), "write one")
    if re.search("expected (<block end>|key|'-' indicator)", problem) and before.strip():
        hint = "quote the whole text, or remove a bracket or quote too many"
        return SpecError(
            "SB003", "nothing can follow a value that has ended", _mark_location(mark, text), hint
        )
    return None


def _mark_location(mark: yaml.Mark | None, text: SpecText) -> Location:
    """Where the parser stopped; past the end means the end of the last line that has anything in it."""
    if mark is None:
        return text.location_at(0, 0)
    if text.text[mark.index :].strip():
        return text.location_at(mark.line, mark.column)
    return text.location_of_index(len(text.text.rstrip()))
