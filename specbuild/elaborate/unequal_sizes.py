"""The error for two values of a step that do not fit: which ones, in which axis, and how to make them equal."""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete
from specbuild.ir.graph import Ref
from specbuild.ops.types import TensorType, UnequalSizes

SPACE = ("D", "H", "W")


def describe_unequal_sizes(error: UnequalSizes, sources: Sequence[Ref | None]) -> tuple[str, str]:
    """Return the message and the hint, with the names that the spec has for the values."""
    first, second = error.types[error.first], error.types[error.second]
    names = [(sources[i] or "").replace("@", ".") for i in (error.first, error.second)]
    differences = join_names(f"{axis} ({format_sizes(axis, first, second)})" for axis in error.axes)
    message = f"{error.rule}; {names[0]} {first} and {names[1]} {second} differ in {differences}"
    return message, suggest_fix(error, names, first, second)


def format_sizes(axis: str, *types: TensorType) -> str:
    return " and ".join(str(concrete(x.sizes[axis])) if axis in x.sizes else "none" for x in types)


def suggest_fix(error: UnequalSizes, names: list[str], first: TensorType, second: TensorType) -> str:
    """Return what to write so that the values fit: one is resized or projected to the size of the other."""
    can_broadcast = all(1 in (first.sizes.get(axis, 1), second.sizes.get(axis, 1)) for axis in error.axes)
    if can_broadcast and error.rule.endswith("needs equal axes"):
        return "add `broadcast: true` to repeat the smaller one"
    if any(axis not in x.sizes for axis in error.axes for x in (first, second)) or "float" not in first.dtype:
        return ""
    smaller_axes = [axis for axis in error.axes if axis != "C"] or error.axes
    is_first_smaller = all(concrete(first[axis]) < concrete(second[axis]) for axis in smaller_axes)
    (small, large), x = (names, first) if is_first_smaller else (names[::-1], second)
    if set(error.axes) <= set(SPACE):
        over = "" if set(error.axes) == {axis for axis in SPACE if axis in x.sizes} else list_axes(error.axes)
        step = f"resize: {{like: {large}{over}}}"
    elif error.axes == ["C"] and any(axis in x.sizes for axis in SPACE):
        step = f"conv: {{channels: {large}.C, kernel: 1}}"
    elif len(error.axes) == 1 and error.axes == ["C"]:
        step = f"linear: {{features: {large}.C}}"
    elif "C" in error.axes and set(error.axes) <= {"C", *SPACE}:
        name = f"{small.replace('.', '_')}_fitted"
        resized, projected = f"resize: {{like: {large}}}", f"conv: {{channels: {large}.C, kernel: 1}}"
        first_step = f"`- {{{resized}, from: {small}}}`"
        return f"make {small} fit first: {first_step}, `- {{{projected}, as: {name}}}`, then use {name}"
    else:
        return ""
    name = f"{small.replace('.', '_')}_fitted"
    return f"make {small} fit first: `- {{{step}, from: {small}, as: {name}}}`, then use {name}"


def list_axes(axes: Sequence[str]) -> str:
    return f", over: [{', '.join(axes)}]"
