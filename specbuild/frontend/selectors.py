"""Selectors: which steps of a model are meant, by their paths.

`backbone.layer[1-3].*.bn3` is names with dots between them. `*` stands for any part of one name, `**` for any
number of names, `[1-3]` and `[0,2]` for numbers; `:relu` after a name says which op or block the step is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

NUMBERS_PATTERN = r"\[[0-9]{1,9}(?:-[0-9]{1,9})?(?:,[0-9]{1,9}(?:-[0-9]{1,9})?)*\]"
TOKEN_PATTERN = rf"[A-Za-z0-9_]+|\*|{NUMBERS_PATTERN}"
PART_PATTERN = rf"(?:[A-Za-z0-9_*]|{NUMBERS_PATTERN})+(?::[A-Za-z][A-Za-z0-9_]*)?"
SELECTOR_PATTERN = rf"^{PART_PATTERN}(?:\.{PART_PATTERN})*$"
MAX_PARTS = 64

MatchStates = frozenset[int]  # how many parts of a selector are met, in each way to meet them
NO_STATES: MatchStates = frozenset()


@dataclass(frozen=True)
class SelectorPart:
    """What one name has to be."""

    text: str
    kind: str = ""

    @property
    def is_any_depth(self) -> bool:
        return self.text == "**"

    @cached_property
    def name_tokens(self) -> tuple[str, ...]:
        return tuple(re.findall(TOKEN_PATTERN, self.text))

    def matches_step(self, names: Iterable[str], kind: str) -> bool:
        """Whether a step is meant that goes by any of these names."""
        return (not self.kind or self.kind == kind) and any(map(self.matches_name, names))

    def matches_name(self, name: str) -> bool:
        ends = {0}
        for token in self.name_tokens:
            ends = {end for start in ends for end in token_ends(token, name, start)}
        return len(name) in ends

    def __str__(self) -> str:
        return f"{self.text}:{self.kind}" if self.kind else self.text


def token_ends(token: str, name: str, start: int) -> Collection[int]:
    """The places in a name to which a token can lead from `start`."""
    if token == "*":
        return range(start, len(name) + 1)
    if not token.startswith("["):
        return (start + len(token),) if name.startswith(token, start) else ()
    number = re.compile("[0-9]+").match(name, start)
    if number is None or not any(low <= int(number[0]) <= high for low, high in number_ranges(token)):
        return ()
    return (number.end(),)


def number_ranges(token: str) -> list[tuple[int, int]]:
    """`[1-3,7]` as pairs of the first and the last number."""
    pairs = [span.partition("-") for span in token[1:-1].split(",")]
    return [(int(low), int(high or low)) for low, _, high in pairs]


@dataclass(frozen=True)
class Selector:
    """A selector as written, and what each name of a path has to be."""

    text: str
    parts: tuple[SelectorPart, ...]

    @property
    def start_states(self) -> MatchStates:
        return self.close_states({0})

    def close_states(self, states: Iterable[int]) -> MatchStates:
        """`**` may also stand for no name at all."""
        found = set(states)
        for state in sorted(found):
            while state < len(self.parts) and self.parts[state].is_any_depth:
                state += 1
                found.add(state)
        return frozenset(found)

    def next_states(self, states: MatchStates, names: Collection[str], kind: str) -> MatchStates:
        """What is met after one more name of a path; a step may have two: `relu2` is also a `relu`."""
        found = set()
        for state in states:
            if state < len(self.parts):
                part = self.parts[state]
                if part.is_any_depth:
                    found.add(state)
                elif part.matches_step(names, kind):
                    found.add(state + 1)
        return self.close_states(found) if found else NO_STATES

    def is_match(self, states: MatchStates) -> bool:
        return len(self.parts) in states


def parse_selector(text: str) -> Selector:
    """A selector; the schema has already vouched for its form."""
    parts = [SelectorPart(*piece.partition(":")[::2]) for piece in text.split(".")]
    found: list[SelectorPart] = []
    for part in parts:
        if part.is_any_depth and part.kind:
            found += [SelectorPart("**"), SelectorPart("*", part.kind)]
        else:
            found.append(part)
    if found[-1].is_any_depth:
        found.append(SelectorPart("*"))
    return Selector(text, tuple(found))
