"""The Python face: a spec as an object that gives source, live models and counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specbuild.compiler import output_files as output
from specbuild.compiler.arguments import SpecArguments, argument_location, arguments_from_python
from specbuild.compiler.pipeline import CompilationStages, compile_source, elaborate_model, open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate import Features
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source
from specbuild.ir.cost import Cost, model_cost
from specbuild.runtimes.live_model import instantiate_model
from specbuild.summary import summarize_model

if TYPE_CHECKING:
    from specbuild.diagram import DetailLevel, DrawingStyle
    from specbuild.diff import Diff


class Model:
    """A spec that has been checked, with its parameters chosen."""

    def __init__(
        self, spec: Spec, files: SpecFiles, arguments: SpecArguments, stages: CompilationStages, digest: str
    ) -> None:
        self.spec, self.files, self.arguments = spec, files, arguments
        self.variant = arguments.variant.value if arguments.variant else None
        self.full_graph = stages.unpruned  # as written, with steps that no output needs
        self.graph = stages.model
        self.digest = digest  # SHA-256 of all that went in: documents, parameters, variant

    def __repr__(self) -> str:
        return f"<{self.name}: {self.parameters:,} parameters>"

    @property
    def name(self) -> str:
        return self.graph.kind

    @cached_property
    def cost(self) -> Cost:
        """Parameters, multiply-adds and activations."""
        return model_cost(self.graph)

    @property
    def parameters(self) -> int:
        """How many numbers its weights hold; `cost.frozen` of them are frozen."""
        return self.cost.parameters

    def with_features(self, *paths: str, only: bool = False) -> Model:
        """The model that also gives the values at these paths, or `only` them; `specbuild show --taps` lists paths.

        Its outputs are named: what it gives already after its step, a feature after its path, `layer3_0` for layer3.0.
        """
        features = Features({path: argument_location("features", path) for path in paths}, only)
        return build_model(self.spec, self.files, replace(self.arguments, features=features))

    @property
    def in_full(self) -> Model | None:
        """The model with all its own outputs, if it gives only features of it."""
        features = self.arguments.features
        if features is None or not features.only:
            return None
        return build_model(self.spec, self.files, replace(self.arguments, features=None))

    def summary(self, depth: int | None = 2) -> str:
        """What `specbuild show` tells: steps, output sizes, parameters, multiply-adds, memory; `depth` levels deep."""
        return summarize_model(self.graph, depth)

    def source(self, backend: str, *, loader: bool = False, groups: bool = False) -> str:
        """The file that `specbuild compile` writes for this backend.

        If asked, with a `loader` of weights (for Keras), with a function that makes `groups` for an optimizer.
        """
        header = output.file_header(self.digest, self.spec.license)
        return output.stamp_source(
            compile_source(
                self.graph,
                backend,
                header,
                loader=loader and backend == "keras",
                groups=groups,
            )
        )

    def picture(
        self,
        format: str = "svg",
        detail: DetailLevel | None = None,
        look: DrawingStyle | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> bytes:
        """The model as the bytes of a picture: svg, png, pdf, dot or mermaid."""
        from specbuild.diagram import (
            DrawingStyle,  # only here: most of what is done with a model is no drawing
        )
        from specbuild.diagram.model_diagram import render_picture

        look = look or DrawingStyle()
        if not look.title and self.variant:
            look = replace(look, title=f"{self.name} · {self.variant}")
        return render_picture(self.graph, format, detail, look, log)

    def draw(
        self,
        path: str | Path,
        *,
        depth: int | None = None,
        open: str = "",
        ops: bool = False,
        direction: Literal["LR", "TB"] = "LR",
        theme: Literal["auto", "light", "dark"] = "auto",
        title: str = "",
        link_base: str = "",
    ) -> None:
        """Write a picture; the ending of `path` is its format (.svg, .png, .pdf, .dot, .mmd).

        `depth` counts the levels of blocks that are opened (by default what fits a page), `open` names one
        block to draw, `ops` gives every op its own box.
        """
        from specbuild.diagram import DetailLevel, DrawingStyle, format_from_path  # only here, as above

        look = DrawingStyle(direction, theme, title, link_base)
        data = self.picture(format_from_path(str(path)), DetailLevel(depth, open, ops), look)
        output.write_picture(Path(path), data)

    def diff(self, after: Model) -> Diff:
        """What became of this model in another one; `.draw("diff.svg")` draws both as one."""
        from specbuild.diff import diff_models  # only here, as above

        return diff_models(self.graph, after.graph)

    def _repr_svg_(self) -> str | None:
        """The picture alone, if Graphviz is here."""
        try:
            return self.picture("svg").decode()
        except SpecError:
            return None

    def _repr_html_(self) -> str:
        """How notebooks show a model: its picture, if Graphviz is here, and a short table of its steps."""
        from specbuild.summary import summary_rows
        from specbuild.summary.html import summary_html  # only here, as above
        from specbuild.summary.table import SummaryTable

        return summary_html(SummaryTable(self.graph, summary_rows(self.graph), 1), self._repr_svg_() or "")

    def build(self, backend: str) -> Any:
        """A live model: an nn.Module, or a keras.Model. The framework is imported here and nowhere else."""
        return instantiate_model(self.source(backend), self.graph, backend)


def load(source: str | Path, /, variant: str | None = None, **params: Any) -> Model:
    """The model of a spec file, or of a spec's own text; raises SpecError, or SpecErrors for several."""
    return create_model(source, arguments_from_python(params, variant))


def compile(source: str | Path, /, backend: str, variant: str | None = None, **params: Any) -> str:
    """The source of a spec's model for one framework: "torch" or "keras"."""
    return load(source, variant, **params).source(backend)


def create_model(source: str | Path | Source, arguments: SpecArguments, root: Path | None = None) -> Model:
    """The model of a spec with everything chosen, from the command line or from Python."""
    return build_model(*open_spec(source, root), arguments)


def build_model(spec: Spec, files: SpecFiles, arguments: SpecArguments) -> Model:
    """The model of an opened spec."""
    arguments.check_spec(spec)
    variant, features = arguments.variant.value if arguments.variant else None, arguments.features
    try:
        stages = elaborate_model(spec, files, arguments.param_values, variant, features)
    except SpecError as error:
        raise arguments.relocate_error(error, spec) from None
    except SpecErrors as errors:
        raise SpecErrors(arguments.relocate_error(error, spec) for error in errors.errors) from None
    documents = [read.source.data for read in files.specs_by_source.values()]
    chosen = [variant, arguments.param_values, *([[*features.locations], features.only] if features else [])]
    content = json.dumps([documents, *chosen], separators=(",", ":"))
    return Model(spec, files, arguments, stages, hashlib.sha256(content.encode()).hexdigest())
