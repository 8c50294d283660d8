"""One expression in `i` for the values that an attribute has in the members of a repeat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

MIN_POWERS = 3  # of which one rule can be told from a coincidence
ROUNDING = 2e-6  # of rates that were rounded to six digits


def fold_values(values: Sequence[Any], are_sizes: bool = False) -> Any:
    """Return the value if all are equal, or an expression in `i`; None if they follow no rule. Sizes are no powers."""
    first = values[0]
    if all(v == first and type(v) is type(first) for v in values):
        return first
    if not all(isinstance(v, bool | int | float) for v in values):
        return None
    if all(isinstance(v, bool) for v in values):
        for rest in (0, 1):
            if all(v == (i % 2 == rest) for i, v in enumerate(values)):
                return f"i % 2 == {rest}"
        return None
    if any(isinstance(v, float) for v in values) and (line := fit_line(values)) is not None:
        return line
    if len(set(values[1:])) == 1:
        return f"{first} if i == 0 else {values[1]}"
    if len(set(values[:-1])) == 1:
        return f"{values[-1]} if i == {len(values) - 1} else {first}"
    if all(isinstance(v, int) for v in values):
        step = values[1] - first
        if all(b - a == step for a, b in pairwise(values)):
            rise = "i" if step == 1 else f"{step} * i"
            return rise if not first else f"i + {first}" if step == 1 else f"{first} + {rise}"
        if len(values) > 3 and len(set(values[::2])) == len(set(values[1::2])) == 1:
            return f"{first} if i % 2 == 0 else {values[1]}"
        return None if are_sizes else fit_power(values)
    return None


def fit_power(values: Sequence[int]) -> str | None:
    """Return a * b ** i for numbers that are multiplied each time, such as dilations; None if they are not."""
    first = values[0]
    if len(values) < MIN_POWERS or not first or values[1] % first:
        return None
    base = values[1] // first
    if base < 2 or any(v != first * base**i for i, v in enumerate(values)):
        return None
    return f"{base} ** i" if first == 1 else f"{first} * {base} ** i"


def fit_line(values: Sequence[float]) -> str | None:
    """Return a + b * i for rates that rise evenly; None if they do not."""
    first, step = values[0], (values[-1] - values[0]) / (len(values) - 1)
    if any(abs(v - first - step * i) > ROUNDING for i, v in enumerate(values)):
        return None
    rise = f"{round(step, 6)} * i"
    return rise if abs(first) < ROUNDING else f"{round(first, 6)} + {rise}"
