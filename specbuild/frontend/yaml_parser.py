"""Parse YAML with PyYAML, and translate its errors into messages for the author of a spec."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml
from msgspec import Struct

from specbuild.diagnostics.errors import Location, SpecError, make_printable
from specbuild.frontend.decoding import SpecText
from specbuild.frontend.line_hints import suggest_line
from specbuild.frontend.yaml_composer import (
    MAX_SHOWN,
    TAG_HINT,
    TAG_MESSAGE,
    ValuePosition,
    compose_document,
)
from specbuild.frontend.yaml_strictness import refuse_loose_text

# libyaml comes first, if it is available, because it is fast. If it refuses a file, the Python parser parses
# the file again, because its errors are more precise and do not depend on the version of libyaml. A huge file
# is not parsed again, because that would take seconds.
PARSERS: tuple[Any, ...] = (
    (yaml.CSafeLoader, yaml.SafeLoader) if yaml.__with_libyaml__ else (yaml.SafeLoader,)
)
MAX_REPARSED = 2**16  # characters

# If the text contains one of these, only the Python parser reads it, because libyaml is less strict: tabs
# outside of quotes, question marks inside braces, and a comment directly after `|` or `>`.
PARSERS_DISAGREE = re.compile(r"[\t?]|[|>][-+0-9]*#")


def parse_yaml(text: SpecText) -> tuple[Any, ValuePosition]:
    """Return plain data and its positions. Raises SpecError for everything that is not allowed."""
    for parser in PARSERS[:-1]:
        if PARSERS_DISAGREE.search(text.text):
            break
        try:
            return compose_document(refuse_loose_text(_parse_events(text.text, parser), text), text)
        except yaml.YAMLError as error:
            if len(text.text) > MAX_REPARSED:
                raise _translate_error(error, text) from None
        except SpecError as error:
            if error.code != "SB005":  # for a tag, the Python parser decides
                raise
    try:
        return compose_document(refuse_loose_text(_parse_events(text.text, PARSERS[-1]), text), text)
    except yaml.YAMLError as error:
        raise _translate_error(error, text) from None


def _parse_events(text: str, parser: Any) -> Iterator[yaml.Event]:
    loader = parser(text)
    try:
        while loader.check_event():
            yield loader.get_event()
    except (ValueError, OverflowError):  # PyYAML passes any eight digits after \U to chr()
        raise yaml.MarkedYAMLError(
            problem="found unknown escape character", problem_mark=loader.get_mark()
        ) from None
    finally:
        loader.dispose()


class _ParserMessage(Struct, frozen=True):
    """The translation of one error of PyYAML or libyaml; `{0}` is the last group of the pattern `problem`."""

    problem: str  # a pattern for the error's problem
    message: str
    hint: str
    context: str = ""  # a pattern for the error's context
    code: str = "SB003"
    at_start: bool = False  # whether the location is the start of the construct, not the end of parsing


_COMMA = "put a comma between two entries; quote text that contains any of `,:?[]{}`"

_PARSER_MESSAGES = (
    _ParserMessage(
        r"found character '\\t' that", "a tab is not allowed here", "use spaces, or quote the text"
    ),
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
        "a `:` is not allowed here",
        "quote text that contains `: `; write a key on its own line, aligned with its neighbours",
    ),
    _ParserMessage(
        "sequence entries are not allowed",
        "a `- ` is not allowed here",
        "start the list on its own line, under its key; if you mean text, quote it",
    ),
    _ParserMessage(
        "mapping keys are not allowed", "a `? ` is not allowed here", "if you mean text, quote it"
    ),
    _ParserMessage(
        "expected alphabetic or numeric character",
        "`*` and `&` start a YAML alias or anchor, and need a name",
        "if you mean text or an expression, quote it",
        context="alias|anchor",
        code="SB010",
        at_start=True,
    ),
    _ParserMessage(
        "",
        TAG_MESSAGE,
        TAG_HINT,
        context="tag|while parsing a node",
        code="SB005",
        at_start=True,
    ),
    _ParserMessage(
        "found unexpected (end of stream|document (separator|indicator))",
        "this quote is never closed",
        'close it; to write a quote inside \'...\', double it; inside "...", write \\"',
        at_start=True,
    ),
    _ParserMessage(
        "found unknown escape character|hexa?decimal",
        "unknown escape sequence",
        "write `\\\\` for a backslash; inside '...', a single backslash is enough",
    ),
    _ParserMessage(
        "",
        "only a comment may follow the `|` or `>` that starts a block of text",
        "start the text on the next line; if you mean text that starts with `|` or `>`, quote it",
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
        "this line is not aligned with the lines before it",
        "all items of a list, and all keys of a mapping, start in the same column",
    ),
    _ParserMessage(
        "expected '?<document start>",
        "the content of the file ends before this line",
        "a file is one mapping, and all its keys start in the first column",
    ),
)


def _translate_error(error: yaml.YAMLError, text: SpecText) -> SpecError:
    problem = str(getattr(error, "problem", None) or "the text is not YAML")
    context = str(getattr(error, "context", None) or "")
    begin, end = getattr(error, "context_mark", None), getattr(error, "problem_mark", None)
    if end and (spec_error := _error_from_lines(problem, end, text)):
        return spec_error
    for translation in _PARSER_MESSAGES:
        match = re.search(translation.problem, problem)
        if match and re.search(translation.context, context):
            break
    else:
        return SpecError(
            "SB003", make_printable(problem), _mark_location(end or begin, text), "quote the text"
        )
    group = make_printable(match.group(match.lastindex or 0), MAX_SHOWN)
    return SpecError(
        translation.code,
        translation.message.replace("{0}", group),
        _mark_location(begin if translation.at_start and begin else end, text),
        translation.hint.replace("{0}", group),
    )


# A line with a step that is one word, such as `- relu`; and the start of a line with a key.
_BARE_STEP = re.compile(r"(?P<dash> *- +)(?P<word>[A-Za-z]\w*)(?: *| +#.*)")
_CALL = re.compile(r" *- +(?P<word>[A-Za-z]\w*) *\{.*")  # a step such as `- conv {channels`
_KEY = re.compile(r"(?P<indent> *(?:- +)*)(?P<word>[^\s:]+) *")


def _error_from_lines(problem: str, mark: yaml.Mark, text: SpecText) -> SpecError | None:
    """Return a better error than the parser's, if the lines around its location show the mistake."""
    line = text.lines[mark.line] if mark.line < len(text.lines) else ""
    before = line[: mark.column]
    if habit := suggest_line(line, mark.column):
        return SpecError("SB003", habit[0], _mark_location(mark, text), habit[1])
    if "mapping values are not allowed" in problem and (key := _KEY.fullmatch(before)):
        above = _BARE_STEP.fullmatch(text.lines[mark.line - 1]) if mark.line else None
        if above and key.end("indent") == above.end("dash"):
            word = make_printable(above["word"], MAX_SHOWN)
            location = text.location_at(mark.line - 1, above.end("word"))
            message = f"`{word}` needs a `:`, because keys follow it"
            return SpecError("SB003", message, location, f"write `- {word}:`")
        word = make_printable(key["word"], MAX_SHOWN)
        message = f"the key `{word}` is not allowed here, because the value of the previous line continues"
        hint = "align it with its neighbours; if it belongs to the previous line, end that line with a `:`"
        return SpecError("SB003", message, text.location_at(mark.line, key.end("indent")), hint)
    if "mapping values are not allowed" in problem and (call := _CALL.fullmatch(before)):
        word = make_printable(call["word"], MAX_SHOWN)
        location = text.location_at(mark.line, call.end("word"))
        return SpecError("SB003", f"a `:` is missing after `{word}`", location, f"write `- {word}: {{`")
    if "expected <block end>, but found ':'" in problem:
        return SpecError("SB003", "a key is missing before this `:`", _mark_location(mark, text), "write one")
    if re.search("expected (<block end>|key|'-' indicator)", problem) and before.strip():
        hint = "quote the whole text, or remove the extra bracket or quote"
        message = "the value is already complete before this"
        return SpecError("SB003", message, _mark_location(mark, text), hint)
    return None


def _mark_location(mark: yaml.Mark | None, text: SpecText) -> Location:
    """Return the location of a mark; past the end, that is the end of the last line with content."""
    if mark is None:
        return text.location_at(0, 0)
    if text.text[mark.index :].strip():
        return text.location_at(mark.line, mark.column)
    return text.location_of_index(len(text.text.rstrip()))
