"""Sizes of model inputs that can be any: `T: any`, or `T: {any: 64}` with the size that examples have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.frontend.names import FREE_SIZE
from specbuild.frontend.source import SourceAddress
from specbuild.ops.types import CHANNEL

EXAMPLES = {"D": 8, "H": 64, "W": 64}  # sizes for tables, counts and comparisons
OTHER_EXAMPLE = 16


def is_free(raw: Any) -> bool:
    """Return whether a size in a spec can be any."""
    return raw == FREE_SIZE or (isinstance(raw, Mapping) and FREE_SIZE in raw)


def read_example(axis: str, raw: Any, at: SourceAddress) -> tuple[Any, SourceAddress]:
    """Return the size that stands for a size in a spec, and its place. Raises SB408 for a number of channels."""
    if not is_free(raw):
        return raw, at
    if axis == CHANNEL:
        message = "the number of channels C cannot be any: layers are made for it"
        raise at.error("SB408", message, "write a number; another axis, such as T, can be any")
    if isinstance(raw, Mapping):
        return raw[FREE_SIZE], at.child(FREE_SIZE)
    return EXAMPLES.get(axis, OTHER_EXAMPLE), at


def list_free_sizes(inputs: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the inputs of a model with their axes whose sizes can be any."""
    return [
        (name, axis)
        for name, raw in inputs.items()
        if isinstance(raw, Mapping)
        for axis, size in raw.get("axes", raw).items()
        if is_free(size)
    ]
