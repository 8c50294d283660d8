"""The chances of leaving a branch out (stochastic depth), which rise evenly from the first block of a model to the last.

A model is given the largest chance alone, and the author's code computes that of each block from its place. So does
the spec: it is right for another chance, and for other depths if they are an argument.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from specbuild.expressions.common_expressions import CommonExpressions
from specbuild.importing.author_arguments import DROPOUT_NAME
from specbuild.importing.compared_steps import ComparedStep

RATE_NAME = re.compile(r"drop|stochastic|dpr")
ITEM = re.compile(r"(\w+)\[(\d+)\]")
TOLERANCE = 5e-5  # of rates that were rounded to six digits and fitted by a line
MIN_BLOCKS = 3
LONG_SUM = 3  # stages before one, from which on it is shorter to say which come after it


class RateRamp(Struct, frozen=True):
    """The rates of all blocks: `rate * place / (blocks - missing)`. `depths` is a list that has their numbers, or empty."""

    rate: str
    missing: int
    depths: str

    def write_rates(self, steps: Sequence[ComparedStep]) -> list[str]:
        """Return the expression for the blocks of each step or repeat; empty for the first, if it is a single one."""
        total = str(sum(step.lengths[0] for step in steps) - self.missing)
        if self.depths:
            total = f"(sum({self.depths}) - {self.missing})" if self.missing else f"sum({self.depths})"
        texts, before = [], 0
        for number, step in enumerate(steps):
            places = [self.write_start(number, len(steps)) if self.depths else str(before or "")]
            places += ["i"] if step.node.members else []
            place = " + ".join(filter(None, places))
            place = f"({place})" if " " in place else place
            product = self.rate if place == "1" else f"{self.rate} * {place}"
            texts.append(f"{product} / {total}" if place else "")
            before += step.lengths[0]
        return texts

    def write_start(self, number: int, count: int) -> str:
        """Return how many blocks the stages before this one have."""
        if number >= LONG_SUM:
            later = (f" - {self.depths}[{k}]" for k in range(number, count))
            return f"sum({self.depths}){''.join(later)}"
        return " + ".join(f"{self.depths}[{k}]" for k in range(number))


def find_rates(
    steps: Sequence[ComparedStep], arguments: Sequence[Mapping[str, Any]], lengths: Mapping[ComparedStep, str]
) -> dict[tuple[ComparedStep, str], str]:
    """Return expressions for the rates that rise over the whole model to one of its arguments, by step and attribute.

    `arguments` are those of each capture, `lengths` the lists' items that the numbers of members are known to be.
    """
    found: dict[tuple[ComparedStep, str], str] = {}
    by_key: dict[str, list[ComparedStep]] = defaultdict(list)
    for step in steps:
        for key in step.attributes[0]:
            if is_rate(key) or (key == "rate" and step.head != "dropout"):
                by_key[key].append(step)
    for key, own in by_key.items():
        ramp = find_ramp(key, own, arguments, find_depths(own, arguments, lengths))
        texts = ramp.write_rates(own) if ramp else []
        found |= {(step, key): text for step, text in zip(own, texts, strict=False) if text}
    return found


def find_depths(
    steps: Sequence[ComparedStep], arguments: Sequence[Mapping[str, Any]], lengths: Mapping[ComparedStep, str]
) -> str:
    """Return the argument that is the list of the numbers of members of these repeats; empty if there is none."""
    items = [ITEM.fullmatch(lengths.get(step, "")) if step.can_repeat else None for step in steps]
    places = [(item[1], int(item[2])) for item in items if item]
    name = places[0][0] if places else ""
    if places != [(name, i) for i in range(len(steps))]:
        return ""
    agree = all(own[name] == [step.lengths[k] for step in steps] for k, own in enumerate(arguments))
    return name if agree else ""


def find_ramp(
    key: str, steps: Sequence[ComparedStep], arguments: Sequence[Mapping[str, Any]], depths: str
) -> RateRamp | None:
    """Return the rule for the rates at this attribute; None if there is none that holds in every capture."""
    if not depths and len({tuple(step.lengths[k] for step in steps) for k in range(len(arguments))}) > 1:
        return None  # the places are other numbers in each capture
    columns = [list_values(key, steps, k) for k in range(len(arguments))]
    names = [n for n, value in arguments[0].items() if is_rate(n) and isinstance(value, float)]
    for name in sorted(names, key=lambda n: n != key):
        for missing in (1, 0):
            if all(is_ramp(v, a[name], missing) for v, a in zip(columns, arguments, strict=True)):
                return RateRamp(name, missing, depths)
    return None


def is_rate(name: str) -> bool:
    """Return whether an argument of this name may be the largest chance: that of dropout is something else."""
    return RATE_NAME.search(name) is not None and DROPOUT_NAME.search(name) is None


def list_values(key: str, steps: Sequence[ComparedStep], number: int) -> list[float]:
    """Return the values of an attribute in all members, in a capture; none if a repeated group hides some of them."""
    values: list[float] = []
    for step in steps:
        value, length = step.attributes[number].get(key), step.lengths[number]
        if isinstance(value, str) and length > 1:
            column = CommonExpressions([{"i": i} for i in range(length)]).column(value) or []
        else:
            column = [value] * length
        if not column or not all(isinstance(v, int | float) for v in column):
            return []
        values += column
    return values


def is_ramp(values: Sequence[float], rate: Any, missing: int) -> bool:
    """Return whether these are rate * place / (count - missing)."""
    if len(values) < MIN_BLOCKS or not isinstance(rate, float) or rate <= len(values) * TOLERANCE:
        return False
    total = len(values) - missing
    return all(abs(v - rate * place / total) < TOLERANCE for place, v in enumerate(values))
