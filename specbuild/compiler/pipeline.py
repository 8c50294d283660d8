"""The walk from text to code: the one place that names every stage in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from specbuild import backends
from specbuild.codegen.classes import units
from specbuild.codegen.printer import module
from specbuild.compiler.audit import audit
from specbuild.compiler.constructor_params import kept
from specbuild.compiler.keras_weights_loader import with_loader
from specbuild.compiler.optimizer_code import with_groups
from specbuild.elaborate import Features, elaborate
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import Files
from specbuild.frontend.source import Source
from specbuild.ir.cost import cost
from specbuild.ir.graph import Block
from specbuild.ir.prune import PASSES
from specbuild.ops.convolution import MAX_PARAMETERS


class Stages(NamedTuple):
    """A model as written, and after every pass."""

    whole: Block
    model: Block


def opened(
    source: str | Path | Source, root: Path | None = None, beside: Path | None = None
) -> tuple[Spec, Files]:
    """The spec at a path, or of a text (a str with a line break), and the files of its compilation.

    Imports stay under `root`: by default the current folder, or the spec's own if it lies elsewhere.
    A text imports as if it lay `beside` a file: by default as if in the root.
    """
    if isinstance(source, str):
        source = Source(source) if "\n" in source else Path(source)
    if isinstance(source, Source):
        if beside is None:
            files = Files(root or Path.cwd())
            return files.add(source), files
        files = Files(root or root_of(beside))
        return files.add(source, beside.resolve().with_name(source.file)), files
    files = Files(root or root_of(source))
    return files.read(source), files


def root_of(file: Path) -> Path:
    """Where a file's imports stay unless told otherwise."""
    inside = file.resolve().is_relative_to(Path.cwd())
    return Path.cwd() if inside else file.resolve().parent


def elaborated(
    spec: Spec,
    files: Files,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    features: Features | None = None,
) -> Stages:
    """The model of an opened spec, with outputs for the `features` asked for; raises SpecError."""
    whole = elaborate(spec, files, params, variant, features=features)
    documents = [opened.source.data for opened in files.owners.values()]
    model = kept(
        passed(whole),
        lambda trial: passed(elaborate(spec, files, params, variant, trial, features)),
        documents,
    )
    if (count := cost(model).parameters) > MAX_PARAMETERS:
        hint = f"a model holds at most {MAX_PARAMETERS:,}"
        raise model.at.error("SB504", f"{model.kind} would have {count:,} parameters", hint)
    return Stages(whole, model)


def passed(model: Block) -> Block:
    """The model after every pass."""
    for transform in PASSES:
        model = transform(model)
    return model


def graph(
    source: str | Path | Source, params: Mapping[str, Any] | None = None, variant: str | None = None
) -> Block:
    """The elaborated model of a spec file or of a spec's text."""
    spec, files = opened(source)
    return elaborated(spec, files, params, variant).model


def compile_source(
    model: Block,
    backend: str,
    header: tuple[str, ...] = (),
    *,
    loader: bool = False,
    groups: bool = False,
) -> str:
    """The model as the source of a file for one framework, audited; `header` becomes comments at its head.

    With a `loader`, the file of a Keras model has a function that fills it from canonical weights; with `groups`,
    one that sorts its parameters for an optimizer.
    """
    target = backends.load(backend)
    summary = model.doc.strip().split("\n\n")[0]  # the class has the rest
    page = target.module(units(model, target), summary, header)
    if loader:
        page = with_loader(page, model)
    if groups:
        page = with_groups(page, model, backend)
    text = module(page)
    audit(text, target.name, loader=loader)
    return text
