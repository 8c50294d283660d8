"""Selectors: which steps of a model are meant, by their paths.

`backbone.layer[1-3].*.bn3` is names with dots between them. `*` stands for any part of one name, `**` for any
number of names, `[1-3]` and `[0,2]` for numbers; `:relu` after a name says which op or block the step is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

NUMBERS = r"\[[0-9]{1,9}(?:-[0-9]{1,9})?(?:,[0-9]{1,9}(?:-[0-9]{1,9})?)*\]"
TOKEN = rf"[A-Za-z0-9_]+|\*|{NUMBERS}"
PART = rf"(?:[A-Za-z0-9_*]|{NUMBERS})+(?::[A-Za-z][A-Za-z0-9_]*)?"
PATTERN = rf"^{PART}(?:\.{PART})*$"
MOST_PARTS = 64

States = frozenset[int]  # how many parts of a selector are met, in each way to meet them
NONE: States = frozenset()


@dataclass(frozen=True)
class Part:
    """What one name has to be."""

    text: str
    kind: str = ""

    @property
    def deep(self) -> bool:
        return self.text == "**"

    @cached_property
    def tokens(self) -> tuple[str, ...]:
        return tuple(re.findall(TOKEN, self.text))

    def fits(self, names: Iterable[str], kind: str) -> bool:
        """Whether a step is meant that goes by any of these names."""
        return (not self.kind or self.kind == kind) and any(map(self.fits_name, names))

    def fits_name(self, name: str) -> bool:
        ends = {0}
        for token in self.tokens:
            ends = {end for start in ends for end in reached(token, name, start)}
        return len(name) in ends

    def __str__(self) -> str:
        return f"{self.text}:{self.kind}" if self.kind else self.text


def reached(token: str, name: str, start: int) -> Collection[int]:
    """The places in a name to which a token can lead from `start`."""
    if token == "*":
        return range(start, len(name) + 1)
    if not token.startswith("["):
        return (start + len(token),) if name.startswith(token, start) else ()
    number = re.compile("[0-9]+").match(name, start)
    if number is None or not any(low <= int(number[0]) <= high for low, high in spans(token)):
        return ()
    return (number.end(),)


def spans(token: str) -> list[tuple[int, int]]:
    """`[1-3,7]` as pairs of the first and the last number."""
    pairs = [span.partition("-") for span in token[1:-1].split(",")]
    return [(int(low), int(high or low)) for low, _, high in pairs]


@dataclass(frozen=True)
class Selector:
    """A selector as written, and what each name of a path has to be."""

    text: str
    parts: tuple[Part, ...]

    @property
    def begin(self) -> States:
        return self.closed({0})

    def closed(self, states: Iterable[int]) -> States:
        """`**` may also stand for no name at all."""
        found = set(states)
        for state in sorted(found):
            while state < len(self.parts) and self.parts[state].deep:
                state += 1
                found.add(state)
        return frozenset(found)

    def after(self, states: States, names: Collection[str], kind: str) -> States:
        """What is met after one more name of a path; a step may have two: `relu2` is also a `relu`."""
        found = set()
        for state in states:
            if state < len(self.parts):
                part = self.parts[state]
                if part.deep:
                    found.add(state)
                elif part.fits(names, kind):
                    found.add(state + 1)
        return self.closed(found) if found else NONE

    def met(self, states: States) -> bool:
        return len(self.parts) in states


def read(text: str) -> Selector:
    """A selector; the schema has already vouched for its form."""
    parts = [Part(*piece.partition(":")[::2]) for piece in text.split(".")]
    found: list[Part] = []
    for part in parts:
        if part.deep and part.kind:
            found += [Part("**"), Part("*", part.kind)]
        else:
            found.append(part)
    if found[-1].deep:
        found.append(Part("*"))
    return Selector(text, tuple(found))
