"""The walk from text to code: the one place that names every stage in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from specbuild import backends
from specbuild.elaborate import elaborate
from specbuild.emit.printer import module
from specbuild.emit.units import units
from specbuild.graph import Block
from specbuild.passes import PASSES
from specbuild.resolve import Files
from specbuild.source import Source


def graph(source: str | Path, params: Mapping[str, Any] | None = None, variant: str | None = None) -> Block:
    """The elaborated model of a spec file or of a spec's text."""
    path = Path(source) if isinstance(source, Path) or "\n" not in source else None
    root = Path.cwd() if path is None or path.resolve().is_relative_to(Path.cwd()) else path.resolve().parent
    files = Files(root)
    spec = files.read(path) if path is not None else files.add(Source(str(source)))
    model = elaborate(spec, files, params, variant)
    for transform in PASSES:
        model = transform(model)
    return model


def compile_source(model: Block, backend: str) -> str:
    """The model as the source of a file for one framework."""
    target = backends.load(backend)
    return module(target.module(units(model, target), model.doc, ()))
