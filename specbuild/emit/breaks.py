"""Where long code is broken into lines: a stream of text and marks goes in, lines come out.

A `Mark` is text too, the text that it is on one line, so that joining a stream says the code on one line.
A group stays on its line if it fits there, up to the next place where the line may end; else its own breaks break.
"""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.emit.text import WIDTH, width

INDENT = 4


class Mark(str):
    """A place that may be laid out in another way; no two marks are told apart by their text, but by identity."""

    __slots__ = ()


OPEN = Mark("")  # after an opening bracket: a group begins; broken, its content is indented on lines of its own
CLOSE = Mark("")  # before the closing bracket
BEGIN = Mark("")  # a group without brackets
END = Mark("")
LINE = Mark(" ")  # a space, or the end of the line in a broken group
SOFT = Mark("")  # nothing, or the end of the line in a broken group
COMMA = Mark("")  # a comma if the group is broken


def unbracketed(stream: Sequence[str]) -> list[str]:
    """The stream for a place that has no brackets around it: no line may end there, only inside of brackets."""
    depth, result = 0, []
    for token in stream:
        depth -= token is CLOSE
        fixed = depth == 0 and isinstance(token, Mark) and token is not OPEN and token is not CLOSE
        result.append(str.__str__(token) if fixed else token)
        depth += token is OPEN
    return result


def bracketed(stream: Sequence[str]) -> list[str]:
    """The stream in optional parentheses, which are there if it is broken."""
    return ["(", OPEN, *stream, CLOSE, ")"]


def lines(stream: Sequence[str], indent: int, explode: bool = False) -> list[str]:
    """The stream, as the beginning of a line at `indent`, in lines; with `explode` every group is broken."""
    ends, flat, ahead = _measure(stream)
    result: list[str] = []
    current: list[str] = [" " * indent]
    column, level = indent, indent
    at = 0
    while at < len(stream):
        token = stream[at]
        if not isinstance(token, Mark):
            current.append(token)
            column += width(token)
        elif token is OPEN or token is BEGIN:
            end = ends[at]
            taken = flat[end] - flat[at]
            if not explode and column + taken + ahead[end] <= WIDTH:
                current.append("".join(stream[at:end]))
                column += taken
                at = end
                continue
            level += INDENT if token is OPEN else 0
        elif token is COMMA:
            current.append(",")
            column += 1
        elif token is CLOSE:
            level -= INDENT
        if token is OPEN or token is CLOSE or token is LINE or token is SOFT:
            result.append("".join(current))
            current, column = [" " * level], level
        at += 1
    return [*result, "".join(current)]


def _measure(stream: Sequence[str]) -> tuple[dict[int, int], list[int], list[int]]:
    """For each group's beginning its end; the columns before each token on one line; those up to the next break."""
    ends: dict[int, int] = {}
    begun: list[int] = []
    flat = [0]
    for at, token in enumerate(stream):
        if token is OPEN or token is BEGIN:
            begun.append(at)
        elif token is CLOSE or token is END:
            ends[begun.pop()] = at + 1
        flat.append(flat[-1] + width(token))
    ahead = [0] * (len(stream) + 1)
    for at in range(len(stream) - 1, -1, -1):
        token = stream[at]
        if token is COMMA:
            ahead[at] = ahead[at + 1] + 1
        elif not (token is OPEN or token is CLOSE or token is LINE or token is SOFT):
            ahead[at] = ahead[at + 1] + width(token)
    return ends, flat, ahead
