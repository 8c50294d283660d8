"""Breaks long code into lines: takes a stream of text and break marks, returns lines.

A `BreakMark` is also a string: its text if the code stays on one line. So a joined stream is the code on one
line. A group stays on its line if it fits there with the text up to the next possible break; else all its
marks break.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from specbuild.codegen.literals import LINE_WIDTH, text_width

INDENT = 4
ALL_LEVELS = 1 << 30  # more than the depth of any group
Stream: TypeAlias = list[str]


class BreakMark(str):
    """A position where a line may break. Marks are compared by identity, not by their text."""

    __slots__ = ()


OPEN = BreakMark("")  # after an opening bracket: begins a group; if it breaks, its lines are indented
CLOSE = BreakMark("")  # before the closing bracket: ends this group
BEGIN = BreakMark("")  # begins a group without brackets
END = BreakMark("")  # ends a group without brackets
LINE = BreakMark(" ")  # a space, or a line break in a broken group
SOFT = BreakMark("")  # nothing, or a line break in a broken group
COMMA = BreakMark("")  # nothing, or a comma in a broken group
GAP = BreakMark("")  # nothing, or a space in a broken group


def drop_outer_breaks(stream: Sequence[str]) -> Stream:
    """Make the marks outside brackets plain text, so that lines break only inside brackets."""
    return [str.__str__(token) if is_outside else token for token, is_outside in _tokens_outside(stream)]


def add_parentheses(stream: Sequence[str]) -> Stream:
    """Return the stream in parentheses."""
    return ["(", OPEN, *stream, CLOSE, ")"]


def fill_outer_gaps(stream: Sequence[str]) -> Stream:
    """Make the gaps outside brackets spaces, as the formatter does in parentheses that it could omit."""
    return [" " if is_outside and token is GAP else token for token, is_outside in _tokens_outside(stream)]


def _tokens_outside(stream: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each token, and whether it is outside all brackets.

    The marks of the brackets themselves are inside.
    """
    depth = 0
    for token in stream:
        depth += token is OPEN
        yield token, depth == 0
        depth -= token is CLOSE


def columns_to_break(stream: Sequence[str]) -> int:
    """Return the width of the text up to the first possible line break."""
    return _measure_stream(stream)[2][0]


def can_fit_around_brackets(stream: Sequence[str], indent: int) -> bool:
    """Return whether the text outside brackets fits into the line width if every bracket breaks."""
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
    """Return the lines of a stream that starts at column `indent`.

    Groups at a depth below `broken` always break.
    """
    group_ends, width_before, to_next_break = _measure_stream(stream)
    result: list[str] = []
    current: list[str] = [" " * indent]
    column, level = indent, indent
    index = depth = 0
    while index < len(stream):
        token = stream[index]
        if not isinstance(token, BreakMark):
            current.append(token)
            column += text_width(token)
        elif token is OPEN or token is BEGIN:
            end = group_ends[index]
            group_width = width_before[end] - width_before[index]
            if depth >= broken and column + group_width + to_next_break[end] <= LINE_WIDTH:
                current.append("".join(stream[index:end]))
                column += group_width
                index = end
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
        index += 1
    return [*result, "".join(current)]


def _measure_stream(stream: Sequence[str]) -> tuple[dict[int, int], list[int], list[int]]:
    """Return the end of each group, the one-line width before each token, the width from it to the next break."""
    group_ends: dict[int, int] = {}
    open_groups: list[int] = []
    width_before = [0]
    for index, token in enumerate(stream):
        if token is OPEN or token is BEGIN:
            open_groups.append(index)
        elif token is CLOSE or token is END:
            group_ends[open_groups.pop()] = index + 1
        width_before.append(width_before[-1] + text_width(token))
    to_next_break = [0] * (len(stream) + 1)
    for index in range(len(stream) - 1, -1, -1):
        token = stream[index]
        if token is COMMA or token is GAP:
            to_next_break[index] = to_next_break[index + 1] + 1
        elif not (token is OPEN or token is CLOSE or token is LINE or token is SOFT):
            to_next_break[index] = to_next_break[index + 1] + text_width(token)
    return group_ends, width_before, to_next_break
