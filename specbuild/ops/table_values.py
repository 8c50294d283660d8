"""Given numbers of a table: nested lists, or an expression with such a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import (
    AttributeKind,
    AttributeValueError,
    EvaluateText,
    describe_value,
    is_infinity,
    read_infinity,
)

MAX_NUMBERS = 1_024  # more do not belong into source code
FITTING_TYPES = {"float": (int, float), "int32": (int,), "bool": (bool,)}
DESCRIPTIONS = {"float": "a number", "int32": "an integer", "bool": "true or false"}


class TableValues(AttributeKind):
    """Numbers in nested lists: `[[1, 2, 1], [2, 4, 2]]`, or an expression with such a value: `taps`, `taps[1]`.

    `.inf` and `-.inf` can be among them, as in masks.
    """

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["array", "string"], "minItems": 1}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> tuple[Any, ...]:
        values = self.read_part(raw, evaluate, ())
        if not isinstance(values, tuple):
            raise AttributeValueError(f"{describe_value(values)} is not {self}", "write a list: [1, 2, 1]")
        count = sum(1 for _ in flatten_values(values))
        if count > MAX_NUMBERS:
            message = f"a table holds at most {MAX_NUMBERS:,} given numbers; this has {count:,}"
            hint = "compute them with `value`, or make them a `weight` with `trained: false`"
            raise AttributeValueError(message, hint, code="SB501")
        return values

    def read_part(self, raw: Any, evaluate: EvaluateText, path: tuple[int, ...]) -> Any:
        """Return one number, or the numbers of a list. `path` leads to it."""
        if is_infinity(raw):
            return read_infinity(raw)
        value = evaluate(raw) if isinstance(raw, str) else raw  # numbers keep their expressions
        if isinstance(value, list | tuple):
            return tuple(self.read_part(item, evaluate, (*path, i)) for i, item in enumerate(value))
        if not isinstance(value, bool | int | float):
            raise AttributeValueError(f"{describe_value(value)} is not a number", path=path)
        return value

    def __str__(self) -> str:
        return "a list of numbers"


def flatten_values(values: Any) -> Iterator[Any]:
    """Yield the numbers of nested lists, row by row."""
    if isinstance(values, tuple):
        for item in values:
            yield from flatten_values(item)
    else:
        yield values


def check_values(values: tuple[Any, ...], axes: Mapping[str, int], dtype: str) -> None:
    """Raise AttributeValueError if the lists do not have the sizes of the axes, or if the type does not fit."""

    def check_part(part: Any, names: list[str], path: tuple[str | int, ...]) -> None:
        if not names:
            is_number = not isinstance(part, tuple)
            if not is_number or type(concrete(part)) not in FITTING_TYPES[dtype]:
                found = describe_value(part) if is_number else "a list"
                hint = "" if is_number else f"the lists are nested as the axes are: {len(axes)} deep"
                raise AttributeValueError(f"{found} is not {DESCRIPTIONS[dtype]}", hint, path)
            return
        size = concrete(axes[names[0]])
        if not isinstance(part, tuple) or len(part) != size:
            found = f"{len(part)} items" if isinstance(part, tuple) else describe_value(part)
            message = f"axis {names[0]} needs a list of {size} items, not {found}"
            raise AttributeValueError(message, "the outer list has the first axis", path)
        for i, item in enumerate(part):
            check_part(item, names[1:], (*path, i))

    check_part(values, list(axes), ("values",))


def arrange_values(values: tuple[Any, ...], axes: tuple[str, ...], order: tuple[str, ...]) -> Any:
    """Return the numbers in lists that are nested in another order of the axes."""

    def pick(indices: dict[str, int]) -> Any:
        part: Any = values
        for axis in axes:
            part = part[indices[axis]]
        return part

    def build(names: tuple[str, ...], indices: dict[str, int]) -> Any:
        if not names:
            return pick(indices)
        return tuple(build(names[1:], {**indices, names[0]: i}) for i in range(sizes[names[0]]))

    sizes: dict[str, int] = {}
    part: Any = values
    for axis in axes:
        sizes[axis], part = len(part), part[0]
    return build(order, {})
