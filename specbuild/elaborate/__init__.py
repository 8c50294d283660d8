"""Spec to graph: a tree of concrete block instances, every value typed when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.elaborate.steps import Steps
from specbuild.graph import Block
from specbuild.resolve import Files
from specbuild.spec import Spec

__all__ = ["elaborate"]


def elaborate(spec: Spec, files: Files, params: Mapping[str, Any] | None = None, variant: str | None = None) -> Block:
    """The model of a file as a tree of block instances; raises SpecError."""
    return Steps(files).instances.model(spec, dict(params or {}), variant)
