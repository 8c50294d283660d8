"""Whether a value fits an input that a block declares: its axes, and what its numbers are."""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.diagnostics.suggestions import join_names
from specbuild.elaborate.library_errors import is_in_library
from specbuild.frontend.block_inputs import declared_axes, declared_dtype
from specbuild.frontend.document import BlockDef, StepDef
from specbuild.ops.types import TensorType


def check_input_type(definition: BlockDef, name: str, x: TensorType, step: StepDef) -> None:
    """Raise SB404 if a value has other axes than a block declares for its input `name`, SB305 for another dtype."""
    declared = definition.inputs[name.partition(".")[0]]
    axes, dtype = declared_axes(declared), declared_dtype(declared)
    if dtype is not None and x.dtype != dtype:
        message = f"{definition.name} takes {name} as {dtype}, but gets {x}"
        raise step.error("SB305", message, f"convert it before: `cast: {{dtype: {dtype}}}`")
    if axes is None:
        return
    allows_more = "..." in axes
    axes = [a for a in axes if a != "..."]
    missing, extra = [a for a in axes if a not in x], [a for a in x.axes if a not in axes]
    if missing or (extra and not allows_more):
        described = f"axes {join_names(axes)}" if axes else "no axes"
        message = f"{definition.name} takes {name} with {described}, but gets {x}"
        if missing:
            hint = f"change it before this step: `{suggest_axes_step(missing, extra)}`"
        else:
            hint = suggest_extra_axes(definition, name, extra, step)
        raise step.error("SB404", message, hint)


def suggest_extra_axes(definition: BlockDef, name: str, extra: Sequence[str], step: StepDef) -> str:
    """Return what to write where a value has more axes than a block takes, as a video has more than an image."""
    more = f"add `...` to the axes of {name.partition('.')[0]} in {definition.name}"
    if step.scan is not None or step.kind == "reuse":
        return f"to allow more axes, {more}"
    axis = extra[0] if len(extra) == 1 else next(n for n in ("T", "S", "N") if n not in extra)
    is_bare = isinstance(step.at.read_value(), str)
    form = f"`- {{{step.kind}: {{}}, scan: {axis}}}`" if is_bare else f"`scan: {axis}` in this step"
    hint = f"to apply {definition.name} to each position of {join_names(extra)} alike, write {form}"
    if len(extra) > 1:
        hint += f" after `flatten: {{axes: [{', '.join(extra)}], into: {axis}}}`"
    return hint if is_in_library(definition.at.location) else f"{hint}; or {more}"


def suggest_axes_step(missing: Sequence[str], extra: Sequence[str]) -> str:
    """Return the step that gives a value the missing axes, from the axes that it has instead of them."""
    if not extra:
        return f"expand: {{axes: {{{', '.join(f'{axis}: 1' for axis in missing)}}}}}"
    if len(missing) == len(extra):
        names = ", ".join(f"{old}: {new}" for old, new in zip(extra, missing, strict=True))
        return f"rename: {{axes: {{{names}}}}}"
    if len(missing) == 1:
        return f"flatten: {{axes: [{', '.join(extra)}], into: {missing[0]}}}"
    if len(extra) == 1:
        return f"unflatten: {{axis: {extra[0]}, into: {{{', '.join(f'{axis}: ...' for axis in missing)}}}}}"
    return f"flatten: {{axes: [{', '.join(extra)}], into: {missing[0]}}}"
