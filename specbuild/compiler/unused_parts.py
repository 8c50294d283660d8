"""Check what a compilation does not reach: the other variants of a model, and unused parts of its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate import elaborate
from specbuild.elaborate.nodes import MAX_STEPS
from specbuild.elaborate.static_checks import check_definitions
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import SpecFiles


def check_unused_parts(
    spec: Spec, files: SpecFiles, values: Mapping[str, Any], compiled_variant: str | None = None
) -> list[SpecError]:
    """Return the errors in a file that the compilation of its model, or of one variant, does not find.

    `values` are the parameters that the caller gives.
    """
    errors = [*check_definitions(spec, files), *check_variants(spec, files, values, compiled_variant)]
    by_location = {(error.code, error.location): error for error in errors}  # variants share most steps
    return list(by_location.values())


def check_variants(
    spec: Spec, files: SpecFiles, values: Mapping[str, Any], compiled_variant: str | None
) -> Iterator[SpecError]:
    """Elaborate the variants one after another, until they have as many steps as one model may have."""
    step_count = 0
    for name in (None, *spec.variants):
        if spec.model is None or step_count > MAX_STEPS:
            return
        given = {**spec.variants.get(name or "", {}), **values}
        needed = {param for param, definition in spec.model.params.items() if definition.required}
        if name == compiled_variant or not needed <= given.keys():
            continue
        try:
            step_count += elaborate(spec, files, values, name).step_count
        except SpecErrors as errors:
            yield from errors.errors
        except SpecError as error:
            where = "without a variant" if name is None else f"in the variant {name}"
            yield SpecError(error.code, error.message, error.location, error.hint, (*error.trail, where))
