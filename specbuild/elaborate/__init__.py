"""From a spec to a graph of block instances in which every value has a type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.edit_errors import misfit_error, unmatched_selector_error
from specbuild.elaborate.features import Features
from specbuild.elaborate.instances import Perturbation
from specbuild.elaborate.steps import StepElaborator
from specbuild.frontend.document import Spec
from specbuild.frontend.edits import EditDef
from specbuild.frontend.resolver import SpecFiles
from specbuild.ir.graph import Block

MAX_SEARCH_VISITS = 20_000  # of steps, to find the edit that causes an error

__all__ = ["Features", "Perturbation", "StepElaborator", "elaborate"]


def elaborate(
    spec: Spec,
    files: SpecFiles,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    perturbation: Perturbation | None = None,
    features: Features | None = None,
    elaborator: StepElaborator | None = None,
) -> Block:
    """Return the model of a file as a tree of block instances, shared with other models of the `elaborator`.

    Raises SpecError; if an edit causes the error, its location is the edit.
    """
    edits: list[EditDef] = []  # of all files, the innermost model's first
    visit_count = 0

    def build_model(perturbation: Perturbation) -> Block:
        nonlocal visit_count
        instances = (elaborator or StepElaborator(files)).instances
        try:
            return instances.build_model(spec, dict(params or {}), variant, perturbation)
        finally:
            visit_count += instances.work.visit_count
            edits[:] = [e for file_edits in reversed(instances.edits_by_model.values()) for e in file_edits]

    try:
        block = build_model(perturbation or Perturbation())
    except SpecError as error:
        if not edits or perturbation is not None:
            raise
        all_edits = list(edits)
        raise misfit_error(
            error,
            all_edits,
            lambda some: build_model(Perturbation(edits=some)),
            lambda: visit_count < MAX_SEARCH_VISITS,
        ) from None
    for edit in edits:
        if not any(edit is applied for applied, _ in block.applied_edits):
            raise unmatched_selector_error(edit, block)
    return features.expose_features(block) if features is not None else block
