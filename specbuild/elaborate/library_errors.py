"""Errors inside a block of the library: the reader has the step that calls it in hand, not the library's file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specbuild.diagnostics.errors import Location, SpecError
from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete
from specbuild.frontend.document import BlockDef, Spec
from specbuild.frontend.library import LIBRARY
from specbuild.frontend.source import SourceAddress
from specbuild.ops.types import TensorType

MAX_ARGUMENTS = 4
MAX_ITEMS = 8  # of a list that is shown


def relocate_to_call(
    error: SpecError,
    definition: BlockDef,
    params: Mapping[str, Any],
    inputs: Mapping[str, TensorType],
    at: SourceAddress,
) -> SpecError | None:
    """Return an error in a library file at the step `at` that calls the block; None if the step is in one too.

    Its hint says what the block was given, if values or sizes did not fit.
    """
    if error.location is None or not is_in_library(error.location) or is_in_library(at.location):
        return None
    inner = error.location
    hint = error.hint
    if error.code[:3] in ("SB3", "SB4"):
        given = describe_call(definition, params, inputs)
        hint = f"it has {given}: change one of them" if given else ""
    trail = (f"at {inner.file}:{inner.line}:{inner.column}", *error.trail)
    step = at.read_value()
    is_named = isinstance(step, Mapping) and definition.name in step
    place = at.child(definition.name).key_location if is_named else at.location
    return type(error)(error.code, f"in {definition.name}: {error.message}", place, hint, trail)


def is_in_library(location: Location) -> bool:
    return location.file.startswith("library:")


def is_shown(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) <= MAX_ITEMS and all(map(is_shown, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def describe_call(definition: BlockDef, params: Mapping[str, Any], inputs: Mapping[str, TensorType]) -> str:
    """Return the numbers and lists that a block has, with those first that are no defaults, and its inputs."""
    values = {name: concrete(value) for name, value in params.items() if is_shown(value)}
    own = [name for name in values if values[name] != definition.params[name].default]
    counts = [name for name, value in values.items() if isinstance(value, int)]
    names = list(dict.fromkeys([*own, *counts]))[:MAX_ARGUMENTS]
    parts = [f"{name}: {values[name]}" for name in names]
    parts += [f"the input {x}" if len(inputs) == 1 else f"the input {name} {x}" for name, x in inputs.items()]
    return join_names(parts)


def missing_model_hint(spec: Spec) -> str:
    """Return what to do with a file that has no model: for one of blocks alone, also how to look at a block."""
    add = "add `model:`, `inputs:` and `steps:`"
    if not spec.blocks:
        return add
    stem = Path(spec.source.file).stem.replace("_", "")
    block = next((name for name in spec.blocks if name.lower() == stem), next(iter(spec.blocks)))
    if is_in_library(spec.source.address_of().location) or Path(spec.source.file).is_relative_to(LIBRARY):
        return f"it has only blocks: look at one with `specbuild library show {block}`"
    return f"{add}, such as a step `{block}`: the file has only blocks"
