"""Values to try in place of those that a model has, to see what its constructors can take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def double_value(value: Any) -> Any:
    """Return a value with every integer in it doubled, or 1 for 0."""
    if isinstance(value, list | tuple):
        return [double_value(item) for item in value]
    return 2 * value or 1 if isinstance(value, int) and not isinstance(value, bool) else value


def enlarge_value(value: Any) -> Any:
    """Return a value with every integer in it 40 times as large: far enough for numbers that are rounded to change."""
    if isinstance(value, list | tuple):
        return [enlarge_value(item) for item in value]
    return 40 * value if isinstance(value, int) and not isinstance(value, bool) else value


def raise_value(value: Any, step: int) -> Any:
    """Return a value with every integer in it larger by `step`, and every other number halved."""
    if isinstance(value, list | tuple):
        return [raise_value(item, step) for item in value]
    if isinstance(value, float):
        return value / 2
    return value + step if isinstance(value, int) and not isinstance(value, bool) else value


def list_alternatives(value: Any, definition: Any) -> Iterator[Any]:
    """Yield values to try where the doubled one is refused: what its definition allows, then values near it."""
    yield from (other for other in list_limits(definition) if other != value)
    if isinstance(value, int) and not isinstance(value, bool):
        yield from (other for other in (value + 1, value // 2, value - 1, value + 2, 3 * value) if other > 0)
    elif isinstance(value, list | tuple):
        yield from (raise_value(value, step) for step in (1, -1))
        yield from other_values(value)


def list_limits(definition: Any) -> list[Any]:
    """Return the values at the limits of a parameter: those of its `enum`, its `min` and its `max`."""
    if not isinstance(definition, Mapping):
        return []
    limits = [definition[key] for key in ("min", "max") if key in definition]
    return [*definition.get("enum", ()), *limits]


def other_values(value: Any) -> Iterator[Any]:
    """Yield other values of the same type: odd for even, the smallest, and the opposite."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (2 * value, value + 1, value + 2, 1)  # members of a repeat may differ
    elif isinstance(value, float):
        yield from (value / 2, 0.0)
    elif isinstance(value, list | tuple) and value:
        columns = [list(other_values(item)) for item in value]
        yield from (list(items) for items in zip(*columns, strict=False))
        yield from ([*value, *value[-1:]], [*value, *value[-2:]], [*value, *value[-2:], value[-1]])
        yield from (value[:length] for length in {len(value) - 1, 1} if 0 < length < len(value))
