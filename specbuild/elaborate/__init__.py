"""Spec to graph: a tree of concrete block instances, every value typed when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.edit_errors import misfit, unmet
from specbuild.elaborate.features import Features
from specbuild.elaborate.instances import Trial
from specbuild.elaborate.steps import Steps
from specbuild.frontend.document import Spec
from specbuild.frontend.edits import EditDef
from specbuild.frontend.resolver import Files
from specbuild.ir.graph import Block

__all__ = ["Features", "Trial", "elaborate"]


def elaborate(
    spec: Spec,
    files: Files,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    trial: Trial | None = None,
    features: Features | None = None,
) -> Block:
    """The model of a file as a tree of block instances; raises SpecError, for an edit that does not fit at the edit."""
    edits: list[EditDef] = []

    def made(trial: Trial) -> Block:
        instances = Steps(files).instances
        try:
            return instances.model(spec, dict(params or {}), variant, trial)
        finally:
            edits[:] = [e for of_file in reversed(instances.edits.values()) for e in of_file]

    try:
        block = made(trial or Trial())
    except SpecError as error:
        if not edits or trial is not None:
            raise
        found = list(edits)
        raise misfit(error, found, lambda some: made(Trial(edits=some))) from None
    for edit in edits:
        if not any(edit is done for done, _ in block.touched):
            raise unmet(edit, block)
    return features.of(block) if features is not None else block
