"""The walk from text to code: the one place that names every stage in order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from specbuild import backends
from specbuild.codegen.classes import build_classes
from specbuild.codegen.printer import print_module
from specbuild.compiler.audit import audit_source
from specbuild.compiler.constructor_params import fix_unstable_params
from specbuild.compiler.keras_weights_loader import add_loader
from specbuild.compiler.optimizer_code import add_parameter_groups
from specbuild.elaborate import Features, elaborate
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source
from specbuild.ir.cost import model_cost
from specbuild.ir.graph import Block
from specbuild.ir.prune import PASSES
from specbuild.ops.convolution import MAX_PARAMETERS


class CompilationStages(NamedTuple):
    """A model as written, and after every pass."""

    unpruned: Block
    model: Block


def open_spec(
    source: str | Path | Source, root: Path | None = None, beside: Path | None = None
) -> tuple[Spec, SpecFiles]:
    """The spec at a path, or of a text (a str with a line break), and the files of its compilation.

    Imports stay under `root`: by default the current folder, or the spec's own if it lies elsewhere.
    A text imports as if it lay `beside` a file: by default as if in the root.
    """
    if isinstance(source, str):
        source = Source(source) if "\n" in source else Path(source)
    if isinstance(source, Source):
        if beside is None:
            files = SpecFiles(root or Path.cwd())
            return files.add_source(source), files
        files = SpecFiles(root or import_root(beside))
        return files.add_source(source, beside.resolve().with_name(source.file)), files
    files = SpecFiles(root or import_root(source))
    return files.read_spec(source), files


def import_root(file: Path) -> Path:
    """Where a file's imports stay unless told otherwise."""
    inside = file.resolve().is_relative_to(Path.cwd())
    return Path.cwd() if inside else file.resolve().parent


def elaborate_model(
    spec: Spec,
    files: SpecFiles,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    features: Features | None = None,
) -> CompilationStages:
    """The model of an opened spec, with outputs for the `features` asked for; raises SpecError."""
    whole = elaborate(spec, files, params, variant, features=features)
    documents = [opened.source.data for opened in files.specs_by_source.values()]
    model = fix_unstable_params(
        run_passes(whole),
        lambda trial: run_passes(elaborate(spec, files, params, variant, trial, features)),
        documents,
    )
    if (count := model_cost(model).parameters) > MAX_PARAMETERS:
        hint = f"a model holds at most {MAX_PARAMETERS:,}"
        raise model.at.error("SB504", f"{model.kind} would have {count:,} parameters", hint)
    return CompilationStages(whole, model)


def run_passes(model: Block) -> Block:
    """The model after every pass."""
    for transform in PASSES:
        model = transform(model)
    return model


def build_graph(
    source: str | Path | Source, params: Mapping[str, Any] | None = None, variant: str | None = None
) -> Block:
    """The elaborated model of a spec file or of a spec's text."""
    spec, files = open_spec(source)
    return elaborate_model(spec, files, params, variant).model


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
    target = backends.load_backend(backend)
    summary = model.doc.strip().split("\n\n")[0]  # the class has the rest
    page = target.module_file(build_classes(model, target), summary, header)
    if loader:
        page = add_loader(page, model)
    if groups:
        page = add_parameter_groups(page, model, backend)
    text = print_module(page)
    audit_source(text, target.name, loader=loader)
    return text
