"""Selectors: patterns for the paths of steps.

A selector such as `backbone.layer[1-3].*.bn3` is names with dots between them. `*` matches any part of one
name, `**` any number of names, `[1-3]` and `[0,2]` numbers; `:relu` after a name requires this op or block.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate

from msgspec import Struct

NUMBERS_PATTERN = r"\[[0-9]{1,9}(?:-[0-9]{1,9})?(?:,[0-9]{1,9}(?:-[0-9]{1,9})?)*\]"
TOKEN_PATTERN = rf"[A-Za-z0-9_]+|\*|{NUMBERS_PATTERN}"
PART_PATTERN = rf"(?:[A-Za-z0-9_*]|{NUMBERS_PATTERN})+(?::[A-Za-z][A-Za-z0-9_]*)?"
SELECTOR_PATTERN = rf"^{PART_PATTERN}(?:\.{PART_PATTERN})*$"
NUMBER = re.compile("(?=[0-9])0*([0-9]{0,9})(?![0-9])")  # the numbers in a selector have at most nine digits
MAX_PARTS = 64
MAX_WILDCARDS = 12  # stars and numbers, in one part

# How many parts of a selector the names of a path so far can match; `**` allows several counts.
MatchStates = frozenset[int]
NO_STATES: MatchStates = frozenset()


class SelectorPart(Struct, frozen=True, dict=True):
    """The pattern for one name, or `**`."""

    text: str
    kind: str = ""

    @property
    def is_any_depth(self) -> bool:
        return self.text == "**"

    @cached_property
    def is_literal(self) -> bool:
        """Whether the part is the name itself, without `*` or numbers."""
        return "*" not in self.text and "[" not in self.text

    @cached_property
    def wildcard_count(self) -> int:
        """How many `*` and `[...]` the part has."""
        return self.text.count("*") + self.text.count("[")

    @cached_property
    def effort(self) -> int:
        """How much work it is to compare the part with a name, beside that for a name without `*` and numbers."""
        has_search = "*" in self.text and "[" in self.text and not self.is_any_depth
        return 16 if has_search else self.wildcard_count

    @cached_property
    def segments(self) -> tuple[tuple[str, ...], ...]:
        """The tokens before, between and after the `*`."""
        pieces: list[tuple[str, ...]] = [()]
        for token in re.findall(TOKEN_PATTERN, self.text):
            pieces = [*pieces, ()] if token == "*" else [*pieces[:-1], (*pieces[-1], token)]
        return tuple(pieces)

    def matches_step(self, names: Collection[str], kind: str) -> bool:
        """Return whether the part matches a step that has any of these names."""
        if self.kind and self.kind != kind:
            return False
        return self.text in names if self.is_literal else any(map(self.matches_name, names))

    def matches_name(self, name: str) -> bool:
        """Return whether the part matches a name: it searches the text between two `*` from the left."""
        first, *others = self.segments
        end = match_tokens(first, name, 0)
        if not others:
            return end == len(name)
        *middle, last = others
        for segment in middle:
            if end < 0:
                return False
            end = find_tokens(segment, name, end)
        return end >= 0 and (
            not last or any(match_tokens(last, name, i) == len(name) for i in range(end, len(name)))
        )

    def __str__(self) -> str:
        return f"{self.text}:{self.kind}" if self.kind else self.text


def match_tokens(tokens: Sequence[str], name: str, start: int) -> int:
    """Return where tokens end that start at a place of a name; -1 if they do not."""
    for token in tokens:
        if not token.startswith("["):
            if not name.startswith(token, start):
                return -1
            start += len(token)
            continue
        number = NUMBER.match(name, start)
        if number is None or not is_in_ranges(int(number[1] or 0), token):
            return -1
        start = number.end()
    return start


def find_tokens(tokens: Sequence[str], name: str, start: int) -> int:
    """Return where tokens end that start at a place or behind it, as early as possible; -1 if they do not."""
    if start < 0 or not tokens:
        return start
    while start <= len(name):
        if tokens[0].startswith("["):
            number = NUMBER.search(name, start)
            if number is None:
                return -1
            start = number.start()
        else:
            start = name.find(tokens[0], start)
            if start < 0:
                return -1
        if (end := match_tokens(tokens, name, start)) >= 0:
            return end
        start += 1
    return -1


def is_in_ranges(number: int, token: str) -> bool:
    """Return whether a number is in one of the ranges of a token such as `[1-3,7]`."""
    lows, highs = sorted_ranges(token)
    place = bisect_right(lows, number)
    return place > 0 and highs[place - 1] >= number


@lru_cache(maxsize=1_024)
def sorted_ranges(token: str) -> tuple[list[int], list[int]]:
    """Return the first numbers of the ranges in `[1-3,7]` in order, and for each the highest last number so far."""
    pairs = [span.partition("-") for span in token[1:-1].split(",")]
    ranges = sorted((int(low), int(high or low)) for low, _, high in pairs)
    return [low for low, _ in ranges], list(accumulate((high for _, high in ranges), max))


class Selector(Struct, frozen=True):
    """A selector as text and as parts, matched like a finite automaton: one name of a path after another."""

    text: str
    parts: tuple[SelectorPart, ...]

    @property
    def start_states(self) -> MatchStates:
        return self.close_states({0})

    def comparison_effort(self, states: MatchStates) -> int:
        """Return how much work it is to compare the parts that come next with the names of one step."""
        return sum(1 + self.parts[state].effort for state in states if state < len(self.parts))

    def required_name(self, states: MatchStates) -> str | None:
        """Return the one name that the next step must have to be matched, or None if it may have several."""
        (state, *others) = states or (len(self.parts),)
        if others or state == len(self.parts) or not self.parts[state].is_literal:
            return None
        return self.parts[state].text

    def close_states(self, states: Iterable[int]) -> MatchStates:
        """Add the states after each `**`, which also matches no name at all."""
        closed = set(states)
        for state in sorted(closed):
            while state < len(self.parts) and self.parts[state].is_any_depth:
                state += 1
                closed.add(state)
        return frozenset(closed)

    def next_states(self, states: MatchStates, names: Collection[str], kind: str) -> MatchStates:
        """Return the states after one more step of a path; a step `relu2` also has the name `relu`."""
        following = set()
        for state in states:
            if state < len(self.parts):
                part = self.parts[state]
                if part.is_any_depth:
                    following.add(state)
                elif part.matches_step(names, kind):
                    following.add(state + 1)
        return self.close_states(following) if following else NO_STATES

    def is_match(self, states: MatchStates) -> bool:
        return len(self.parts) in states


def parse_selector(text: str) -> Selector:
    """Parse a selector that matches SELECTOR_PATTERN, which the schema has checked."""
    parts: list[SelectorPart] = []
    for piece in text.split("."):
        part = SelectorPart(*piece.partition(":")[::2])
        if part.is_any_depth and part.kind:
            parts += [SelectorPart("**"), SelectorPart("*", part.kind)]
        else:
            parts.append(part)
    if parts[-1].is_any_depth:
        parts.append(SelectorPart("*"))
    return Selector(text, tuple(parts))
