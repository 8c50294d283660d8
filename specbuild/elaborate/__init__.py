"""Spec to graph: a tree of concrete block instances, every value typed when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.elaborate.instances import Trial
from specbuild.elaborate.steps import Steps
from specbuild.graph import Block
from specbuild.resolve import Files
from specbuild.spec import BlockDef, Spec

__all__ = ["Trial", "elaborate"]


def elaborate(
    spec: Spec,
    files: Files,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    trial: Trial | None = None,
) -> Block:
    """The model of a file as a tree of block instances; raises SpecError."""
    instances = Steps(files).instances
    return instances.model(
        spec, dict(params or {}), variant, lambda model: renamed(model, files), trial or Trial()
    )


def renamed(model: BlockDef, files: Files) -> BlockDef | None:
    """The other model that a model is under another name: its only step, if that has no name of its own."""
    if len(model.steps) != 1 or model.outputs is not None:
        return None
    [step] = model.steps
    beside = (step.name, step.sources, step.when, step.repeat, step.expect)
    if not step.kind[:1].isupper() or any(key is not None for key in beside):
        return None
    other = files.lookup(model.source, step.kind, step.value_at)
    return (
        other
        if other.model is not None and other is not model and list(other.inputs) == list(model.inputs)
        else None
    )
