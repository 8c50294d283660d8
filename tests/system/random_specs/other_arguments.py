"""Constructor arguments of the files of random specs at other values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.compiler.pipeline import elaborate_model, open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.ir.graph import Block
from tests.system.arguments.sweep import Trial, sweep


def try_arguments(text: str, sample: int) -> list[Trial]:
    """Arguments of the classes of a spec at other values, in PyTorch; none for a spec that is refused."""
    spec, files = open_spec(text)

    def elaborate_with(changed: Mapping[str, Any]) -> Block:
        return elaborate_model(spec, files, changed).graph

    try:
        compilation = elaborate_model(spec, files)
    except (SpecError, SpecErrors):
        return []
    return list(sweep(compilation, elaborate_with, "torch", sample=sample))
