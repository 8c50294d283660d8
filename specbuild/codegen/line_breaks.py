"""Where long code is broken into lines: a stream of text and marks goes in, lines come out.

A `Mark` is text too, the text that it is on one line: a stream, joined, is the code on one line.
A group stays on its line if it fits, up to the next place where the line may end; else its own breaks break.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from specbuild.codegen.literals import LINE_WIDTH, text_width

INDENT = 4
ALL_LEVELS = 1 << 30  # deeper than any group
Stream: TypeAlias = list[str]


class BreakMark(str):
    """A place that may be laid out in another way; marks are told apart by identity, not by their text."""

    __slots__ = ()


OPEN = BreakMark("")  # after an opening bracket: a group begins; broken, it is indented, on lines of its own
CLOSE = BreakMark("")  # before the closing bracket
BEGIN = BreakMark("")  # a group without brackets
END = BreakMark("")
LINE = BreakMark(" ")  # a space, or the end of the line in a broken group
SOFT = BreakMark("")  # nothing, or the end of the line in a broken group
COMMA = BreakMark("")  # a comma if the group is broken
GAP = BreakMark("")  # a space if the group is broken


def drop_outer_breaks(stream: Sequence[str]) -> Stream:
    """The stream for a place without brackets around it: lines may end only inside of its own."""
    return [str.__str__(token) if outside else token for token, outside in _tokens_outside(stream)]


def add_parentheses(stream: Sequence[str]) -> Stream:
    """The stream in parentheses."""
    return ["(", OPEN, *stream, CLOSE, ")"]


def fill_outer_gaps(stream: Sequence[str]) -> Stream:
    """The stream with gaps outside of brackets filled, as the formatter does in parentheses it could omit."""
    return [" " if outside and token is GAP else token for token, outside in _tokens_outside(stream)]


def _tokens_outside(stream: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Each token, and whether it is outside of all brackets of the stream; brackets' own marks are not."""
    depth = 0
    for token in stream:
        depth += token is OPEN
        yield token, depth == 0
        depth -= token is CLOSE


def columns_to_break(stream: Sequence[str]) -> int:
    """The columns from the beginning of the stream to the first place where its line may end."""
    return _measure_stream(stream)[2][0]


def can_fit_around_brackets(stream: Sequence[str], indent: int) -> bool:
    """Whether what stands outside of brackets fits, if each bracket breaks; their insides do not count."""
    depth, column = 0, indent
    for token in stream:
        if token is OPEN:
            depth += 1
        elif token is CLOSE:
            depth -= 1
            column = indent
        elif depth == 0:
            column += text_width(token)
            if column > LINE_WIDTH:
                return False
    return True


def break_lines(stream: Sequence[str], indent: int, broken: int = 0) -> list[str]:
    """The stream, as the beginning of a line at `indent`, in lines; groups less than `broken` deep break."""
    ends, flat, ahead = _measure_stream(stream)
    result: list[str] = []
    current: list[str] = [" " * indent]
    column, level = indent, indent
    at = depth = 0
    while at < len(stream):
        token = stream[at]
        if not isinstance(token, BreakMark):
            current.append(token)
            column += text_width(token)
        elif token is OPEN or token is BEGIN:
            end = ends[at]
            taken = flat[end] - flat[at]
            if depth >= broken and column + taken + ahead[end] <= LINE_WIDTH:
                current.append("".join(stream[at:end]))
                column += taken
                at = end
                continue
            level += INDENT if token is OPEN else 0
            depth += 1
        elif token is COMMA or token is GAP:
            current.append("," if token is COMMA else " ")
            column += 1
        elif token is CLOSE or token is END:
            level -= INDENT if token is CLOSE else 0
            depth -= 1
        if token is OPEN or token is CLOSE or token is LINE or token is SOFT:
            result.append("".join(current))
            current, column = [" " * level], level
        at += 1
    return [*result, "".join(current)]


def _measure_stream(stream: Sequence[str]) -> tuple[dict[int, int], list[int], list[int]]:
    """Where each group ends; the columns before each token on one line; those from it to the next break."""
    ends: dict[int, int] = {}
    open_groups: list[int] = []
    flat = [0]
    for at, token in enumerate(stream):
        if token is OPEN or token is BEGIN:
            open_groups.append(at)
        elif token is CLOSE or token is END:
            ends[open_groups.pop()] = at + 1
        flat.append(flat[-1] + text_width(token))
    ahead = [0] * (len(stream) + 1)
    for at in range(len(stream) - 1, -1, -1):
        token = stream[at]
        if token is COMMA or token is GAP:
            ahead[at] = ahead[at + 1] + 1
        elif not (token is OPEN or token is CLOSE or token is LINE or token is SOFT):
            ahead[at] = ahead[at + 1] + text_width(token)
    return ends, flat, ahead
