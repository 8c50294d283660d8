"""The compilation pipeline from a spec's text to source code: all stages in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from specbuild.backends.registry import builtin_reserved_names
from specbuild.compiler.model_compiler import ModelCompiler
from specbuild.elaborate import Features, Perturbation, elaborate
from specbuild.frontend.document import Spec
from specbuild.frontend.names import reserve_names
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source
from specbuild.ir.cost import model_cost
from specbuild.ir.graph import Block
from specbuild.ir.prune import PASSES
from specbuild.ops.convolution import MAX_PARAMETERS

for names in builtin_reserved_names():
    reserve_names(names)  # in all specs: each can be compiled for every backend


@dataclass(frozen=True)
class CompilationStages:
    """The stages of one compilation."""

    unpruned: Block  # the model as elaborated
    graph: Block  # after all graph passes
    compiler: ModelCompiler  # for the code of each backend

    @property
    def model(self) -> Block:
        """The graph, with its unstable parameters marked (see `constructor_params`). The first access finds them."""
        unstable = self.compiler.unstable_params()
        return replace(self.graph, unstable_params=unstable) if unstable else self.graph


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
    graph = run_passes(unpruned)
    if (count := model_cost(graph).parameters) > MAX_PARAMETERS:
        hint = f"a model holds at most {MAX_PARAMETERS:,}"
        raise graph.at.error("SB504", f"{graph.kind} would have {count:,} parameters", hint)

    def elaborate_with(perturbation: Perturbation) -> Block:
        return run_passes(elaborate(spec, files, params, variant, perturbation, features))

    @cache
    def unstable_params() -> frozenset[str]:
        # imported late: few commands need it
        from specbuild.compiler.constructor_params import find_unstable_params

        documents = [opened.source.data for opened in files.specs_by_source.values()]
        return find_unstable_params(compiler, elaborate_with, documents)

    compiler = ModelCompiler(graph, unstable_params)
    return CompilationStages(unpruned, graph, compiler)


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

    With `loader`, it includes a function that loads canonical weights; with `groups`, a function that groups
    the parameters for an optimizer. Raises SB605 if the backend has no such function.
    """
    from specbuild.compiler.compiled_model import compile_graph  # imported late: most commands emit no code

    return compile_graph(model, backend).source(header, loader=loader, groups=groups)
