"""The order of an output's axes: `scores: {of: head, order: [A, K]}` is (batch, A, K) in every framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.diagnostics.suggestions import join_names
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import Output


def split_order(raw: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the reference of an output and the order of its axes, which is () if the spec gives none."""
    if isinstance(raw, Mapping):
        return raw["of"], tuple(raw["order"])
    return raw, ()


def check_order(output: Output, at: SourceAddress) -> None:
    """Raise SB404 if the order of an output does not name each axis once."""
    if output.order and sorted(output.order) != sorted(output.type.axes):
        message = f"the order [{', '.join(output.order)}] does not name each axis of {output.type} once"
        raise at.child("order").error("SB404", message, f"its axes are {join_names(output.type.axes)}")
