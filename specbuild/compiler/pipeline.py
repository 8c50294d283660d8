"""The compilation pipeline from a spec's text to source code: all stages in order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.backends.registry import builtin_reserved_names
from specbuild.compiler.free_sizes import Resized, with_free_sizes
from specbuild.compiler.model_compiler import ModelCompiler
from specbuild.elaborate import Features, Perturbation, StepElaborator, elaborate
from specbuild.elaborate.free_sizes import list_free_sizes
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source, resolve_path
from specbuild.ir.axis_sources import AxisOfInput
from specbuild.ir.cost import CostCounter, model_cost
from specbuild.ir.graph import Block, VariationSource
from specbuild.ir.prune import PASSES, Pruner

MARKS = ("pyproject.toml", ".git")  # what the folder of a project holds
MAX_PARAMETERS = 10**11  # of a model


class Compilation(Struct, frozen=True):
    """The graphs of one compilation, and the compiler for the code of each backend."""

    full_graph: Block  # as elaborated: with the steps that no output needs
    graph: Block  # after all passes: without these steps
    compiler: ModelCompiler
    resized: tuple[Resized, ...] = ()  # the graph at other sizes, if some can be any

    @property
    def annotated_graph(self) -> Block:
        """The graph with the source of its variations (see `constructor_params`)."""
        return replace(self.graph, variations=self.compiler.variations())


def open_spec(
    source: str | Path | Source, root: Path | None = None, beside: Path | None = None
) -> tuple[Spec, SpecFiles]:
    """Read a spec from a path, or from a text (a str with a line break); also returns its files.

    Imports must stay under `root`: by default the folder of the spec's project, which holds a `pyproject.toml` or
    a `.git`, else the spec's own folder.
    A text resolves its imports as if it were next to the file `beside`, by default in the root.
    """
    reserved = builtin_reserved_names()  # every spec can be compiled for all built-in backends
    if isinstance(source, str):
        source = Source(source) if "\n" in source else Path(source)
    if isinstance(source, Source):
        if beside is None:
            files = SpecFiles(root or Path.cwd(), reserved)
            return files.add_source(source), files
        files = SpecFiles(root or import_root(beside), reserved)
        return files.add_source(source, resolve_path(beside).with_name(Path(source.file).name)), files
    files = SpecFiles(root or import_root(source), reserved)
    return files.read_spec(source), files


def import_root(file: Path) -> Path:
    """Return the default root for the imports of a file: the folder of its project, or else its own."""
    folder = resolve_path(file).parent
    projects = (
        parent for parent in (folder, *folder.parents) if any(os.path.exists(parent / m) for m in MARKS)
    )
    return next(projects, folder)


def elaborate_model(
    spec: Spec,
    files: SpecFiles,
    params: Mapping[str, Any] | None = None,
    variant: str | None = None,
    features: Features | None = None,
) -> Compilation:
    """Elaborate the model of a spec, with outputs for the given `features`; raises SpecError.

    Raises SB504 for a model with too many parameters.
    """
    elaborator, pruner = StepElaborator(files), Pruner()  # one for all variations: they share blocks
    full_graph = elaborate(spec, files, params, variant, features=features, elaborator=elaborator)
    graph = run_passes(full_graph, pruner)
    resized: list[Resized] = []
    if spec.model is not None and (free := list_free_sizes(spec.model.inputs)):
        work, at = elaborator.instances.work, spec.model.at.child("inputs", free[0][0])
        count_trials = partial(work.count_trials, work.visit_count + len(graph.inputs), at)

        def elaborate_at(sizes: Mapping[AxisOfInput, int]) -> Block:
            perturbation = Perturbation(sizes=sizes)
            resized = elaborate(spec, files, params, variant, perturbation, features, elaborator)
            return run_passes(resized, pruner)

        graph, resized = with_free_sizes(graph, free, elaborate_at, count_trials)
    if (count := model_cost(graph).parameters) > MAX_PARAMETERS:
        costs = CostCounter()
        largest = max(graph.nodes, key=lambda node: costs.node_cost(node, graph).parameters)
        hint = f"a model holds at most {MAX_PARAMETERS:,}; this step has most of them"
        raise largest.at.error("SB504", f"{graph.name} would have {count:,} parameters", hint)

    def elaborate_with(changed: Mapping[str, Any]) -> Block:
        perturbation = Perturbation(changed)
        return run_passes(elaborate(spec, files, params, variant, perturbation, features, elaborator), pruner)

    @cache
    def variations() -> VariationSource:
        # imported late: few commands need it
        from specbuild.compiler.constructor_params import ModelVariations

        documents = [opened.source.data for opened in files.specs_by_source.values()]
        return ModelVariations(elaborate_with, documents, pruner)

    compiler = ModelCompiler(graph, variations)
    return Compilation(full_graph, graph, compiler, tuple(resized))


def run_passes(model: Block, pruner: Pruner) -> Block:
    """Return the model after all graph passes."""
    for transform in PASSES:
        model = transform(model, pruner)
    return model


def elaborate_source(
    source: str | Path | Source, params: Mapping[str, Any] | None = None, variant: str | None = None
) -> Compilation:
    """Elaborate the model of a spec file or of the text of a spec."""
    spec, files = open_spec(source)
    return elaborate_model(spec, files, params, variant)


def build_graph(
    source: str | Path | Source, params: Mapping[str, Any] | None = None, variant: str | None = None
) -> Block:
    """Return the elaborated model of a spec file or of the text of a spec."""
    return elaborate_source(source, params, variant).annotated_graph


def compile_source(
    model: Block,
    backend: str,
    header: tuple[str, ...] = (),
    *,
    loader: bool = False,
    groups: bool = False,
) -> str:
    """Return the audited source of a model for one framework; `header` lines become comments at the top.

    With `loader`, it includes a function that loads canonical weights; with `groups`, a function that groups
    the parameters for an optimizer. Raises SB605 if the backend has no such function.
    """
    from specbuild.compiler.compiled_model import compile_graph  # imported late: most commands emit no code

    return compile_graph(model, backend).source(header, loader=loader, groups=groups)
