"""The attribute to blame for a size or number that is too large."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from specbuild.expressions import concrete
from specbuild.frontend.document import StepDef
from specbuild.frontend.source import SourceAddress
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType

TOO_LARGE = ("SB501", "SB504")


def find_large_number(step: StepDef, op: Op, types: Iterable[TensorType | None]) -> SourceAddress | None:
    """Return where the largest number among the attributes of a step stands.

    None if no number is larger than all sizes of the inputs: then these, or the op itself, make the result large.
    """
    if not isinstance(step.value, Mapping):
        return None
    largest: float = max((concrete(size) for x in types if x for size in x.sizes.values()), default=1)
    found = None
    for name, raw in step.value.items():
        for path, number in list_numbers(raw, getattr(op, name, None)):
            if number > largest:
                largest, found = number, step.value_at.child(name, *path)
    return found


def list_numbers(raw: Any, value: Any) -> Iterator[tuple[tuple[str | int, ...], int | float]]:
    """Yield the numbers of an attribute, each with the path of its text in the file."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            is_written = isinstance(raw, Mapping) and key in raw
            for path, number in list_numbers(raw[key] if is_written else raw, item):
                yield (key, *path) if is_written else path, number
    elif isinstance(value, list | tuple):
        is_written = isinstance(raw, list) and len(raw) == len(value)
        for i, item in enumerate(value):
            for path, number in list_numbers(raw[i] if is_written else raw, item):
                yield (i, *path) if is_written else path, number
    elif isinstance(value, int | float):
        yield (), abs(concrete(value))
