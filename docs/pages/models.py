"""A whole model on one page: what it is, its variants and what they take, its spec, what it compiles to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from docs.pages import markdown
from docs.pages.samples import TITLES
from specbuild import load
from specbuild.api import Model
from specbuild.backends import BACKEND_NAMES
from specbuild.compiler.pipeline import open_spec
from specbuild.elaborate import elaborate
from specbuild.ir.cost import Cost, model_cost
from specbuild.ir.prune import PASSES, Pruner
from specbuild.summary import format_quantity
from specbuild.summary.examples import write_in_flow


@cache
def loaded(path: Path) -> Model:
    return load(path)


def counts(took: Cost) -> tuple[str, str]:
    """What a model takes, for a table."""
    return f"{took.parameters:,}", format_quantity(took.macs)


def cost_of(path: Path, variant: str) -> Cost:
    """What a variant takes; without finding out what its code would look like, which takes longer."""
    model = elaborate(*open_spec(path), variant=variant)
    for transform in PASSES:
        model = transform(model, Pruner())
    return model_cost(model)


def flows(model: Model) -> str:
    """What goes in and what comes out."""
    went = ", ".join(f"`{name}` {markdown.code(str(x))}" for name, x in model.graph.inputs.items())
    came = ", ".join(
        f"`{name}` {markdown.code(str(o.type))}" if name else markdown.code(str(o.type))
        for name, o in model.graph.outputs.items()
    )
    return f"{went} → {came}"


def variants(path: Path) -> str:
    """Every variant, what it sets, and what it takes."""
    found: Mapping[str, Mapping[str, Any]] = loaded(path).spec.variants
    rows = [
        (markdown.code(name), markdown.code(settings(values)), *counts(cost_of(path, name)))
        for name, values in found.items()
    ]
    return markdown.table(("Variant", "Sets", *markdown.NUMBERS), rows)


def settings(values: Mapping[str, Any]) -> str:
    return write_in_flow(dict(values)) if values else ""


def body(path: Path, shown: str) -> Iterator[str]:
    """What stands below the head of a page: steps, spec, both files. `shown` is how the spec is named on the command line."""
    model = loaded(path)
    yield "## Steps"
    yield markdown.listing(model.summary(), "text")
    yield "## Spec"
    yield f"`{shown}`"
    yield markdown.listing(path.read_text(encoding="utf-8"), "yaml")
    yield "## What it compiles to"
    yield emitted_files(model)


def emitted_files(model: Model) -> str:
    """The whole file for each framework."""
    return markdown.tabs(
        "framework",
        ((TITLES[name], markdown.listing(model.source(name), "python")) for name in BACKEND_NAMES),
    )
