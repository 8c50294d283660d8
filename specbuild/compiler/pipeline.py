"""The compilation pipeline from a spec's text to source code: all stages in order."""

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
    """A model as elaborated, and after all graph passes."""

    unpruned: Block
    model: Block


def open_spec(
    source: str | Path | Source, root: Path | None = None, beside: Path | None = None
) -> tuple[Spec, SpecFiles]:
    """Read a spec from a path, or from a text (a str with a line break); also returns its files.

    Imports must stay under `root`: by default the current folder, or the spec's folder if that is elsewhere.
    A text resolves its imports as if it were next to the file `beside`, by default in the root.
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
    """The default root for the imports of a file."""
    is_inside = file.resolve().is_relative_to(Path.cwd())
    return Path.cwd() if is_inside else file.resolve().parent


def elaborate_model(
    spec: Spec,
    files: SpecFiles,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    features: Features | None = None,
) -> CompilationStages:
    """Elaborate the model of a spec, with outputs for the given `features`; raises SpecError.

    Raises SB504 for a model with too many parameters.
    """
    unpruned = elaborate(spec, files, params, variant, features=features)
    documents = [owner.source.data for owner in files.specs_by_source.values()]
    model = fix_unstable_params(
        run_passes(unpruned),
        lambda perturbation: run_passes(elaborate(spec, files, params, variant, perturbation, features)),
        documents,
    )
    if (count := model_cost(model).parameters) > MAX_PARAMETERS:
        hint = f"a model holds at most {MAX_PARAMETERS:,}"
        raise model.at.error("SB504", f"{model.kind} would have {count:,} parameters", hint)
    return CompilationStages(unpruned, model)


def run_passes(model: Block) -> Block:
    """The model after all graph passes."""
    for transform in PASSES:
        model = transform(model)
    return model


def build_graph(
    source: str | Path | Source, params: Mapping[str, Any] | None = None, variant: str | None = None
) -> Block:
    """The elaborated model of a spec file or of the text of a spec."""
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
    """The audited source of a model for one framework; `header` lines become comments at the top.

    With `loader`, the source of a Keras model includes a function that loads canonical weights.
    With `groups`, it includes a function that groups the parameters for an optimizer.
    """
    target = backends.load_backend(backend)
    summary = model.doc.strip().split("\n\n")[0]  # the class has the full text
    module = target.module_file(build_classes(model, target), summary, header)
    if loader:
        module = add_loader(module, model)
    if groups:
        module = add_parameter_groups(module, model, backend)
    text = print_module(module)
    audit_source(text, target.name, loader=loader)
    return text
