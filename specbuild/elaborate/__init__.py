"""Spec to graph: a tree of concrete block instances, every value typed when it is made."""

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

__all__ = ["Features", "Perturbation", "elaborate"]


def elaborate(
    spec: Spec,
    files: SpecFiles,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    perturbation: Perturbation | None = None,
    features: Features | None = None,
) -> Block:
    """The model of a file as a tree of block instances; raises SpecError, for an edit that does not fit at the edit."""
    edits: list[EditDef] = []

    def build_model(perturbation: Perturbation) -> Block:
        instances = StepElaborator(files).instances
        try:
            return instances.build_model(spec, dict(params or {}), variant, perturbation)
        finally:
            edits[:] = [e for of_file in reversed(instances.edits_by_model.values()) for e in of_file]

    try:
        block = build_model(perturbation or Perturbation())
    except SpecError as error:
        if not edits or perturbation is not None:
            raise
        found = list(edits)
        raise misfit_error(error, found, lambda some: build_model(Perturbation(edits=some))) from None
    for edit in edits:
        if not any(edit is done for done, _ in block.applied_edits):
            raise unmatched_selector_error(edit, block)
    return features.expose_features(block) if features is not None else block
