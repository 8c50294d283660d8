"""The Python API: load a spec, then get its source, a live model, pictures and costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from specbuild.compiler.arguments import SpecArguments, argument_location, arguments_from_python
from specbuild.compiler.output_files import file_header, stamp_source, write_picture
from specbuild.compiler.pipeline import Compilation, elaborate_model, open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate import Features
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import SpecFiles
from specbuild.frontend.source import Source
from specbuild.frontend.spec_paths import LIBRARY_PREFIX, spec_path
from specbuild.ir.cost import Cost, model_cost
from specbuild.runtimes.live_model import instantiate_model
from specbuild.summary import summarize_model

if TYPE_CHECKING:
    from specbuild.compiler.compiled_model import CompiledModel
    from specbuild.diagram import DetailLevel, DrawingStyle
    from specbuild.diff import Diff


class Model:
    """A checked spec with fixed parameters."""

    def __init__(
        self, spec: Spec, files: SpecFiles, arguments: SpecArguments, compilation: Compilation, digest: str
    ) -> None:
        self.spec, self.files, self.arguments = spec, files, arguments
        self.variant = arguments.variant.value if arguments.variant else None
        self.compilation = compilation
        self.full_graph = compilation.full_graph  # with the steps that no output needs
        self.graph = compilation.graph
        self.digest = digest  # SHA-256 of all input: documents, parameters, variant, features

    def __repr__(self) -> str:
        return f"<{self.name}: {self.parameters:,} parameters>"

    @property
    def name(self) -> str:
        """The name of the emitted class."""
        return self.graph.name

    @cached_property
    def cost(self) -> Cost:
        """The number of parameters, multiply-adds and activations."""
        return model_cost(self.graph)

    @property
    def parameters(self) -> int:
        """The number of parameters; `cost.frozen` of them are frozen."""
        return self.cost.parameters

    def with_features(self, *paths: str, only: bool = False) -> Model:
        """Return a model that also outputs the intermediate values at these paths, or `only` these.

        `specbuild show --taps` lists the paths. All outputs then have names: an output of the spec is named
        after its step, a feature after its path, `layer3_0` for layer3.0. Raises SpecError for a wrong path.
        """
        features = Features({path: argument_location("features", path) for path in paths}, only)
        return build_model(self.spec, self.files, replace(self.arguments, features=features))

    @property
    def in_full(self) -> Model | None:
        """The model with all outputs of the spec, if this one outputs only features; otherwise None."""
        features = self.arguments.features
        if features is None or not features.only:
            return None
        return build_model(self.spec, self.files, replace(self.arguments, features=None))

    def summary(self, depth: int | None = 2) -> str:
        """Return the table of `specbuild show`: steps, output shapes, parameters, multiply-adds and memory.

        `depth` is the number of block levels; None shows all.
        """
        return summarize_model(self.graph, depth)

    def source(self, backend: str, *, loader: bool = False, groups: bool = False) -> str:
        """Return the file that `specbuild compile` writes for a backend: "torch" or "keras".

        `loader` adds a function that loads weights, if the backend needs one (Keras does); `groups` adds one
        that groups the parameters for an optimizer. Raises SB601 if the backend cannot express the model,
        SB602 for an unknown backend.
        """
        header = file_header(self.digest, self.spec.license)
        compiled = self.compile_for(backend)
        has_loader = loader and compiled.backend.needs_loader
        return stamp_source(compiled.source(header, loader=has_loader, groups=groups))

    def compile_for(self, backend: str) -> CompiledModel:
        """Return the model compiled for one backend, which every use of it shares. Raises SB602."""
        return self.compilation.compiler.compile_for(backend)

    def picture(
        self,
        format: str = "svg",
        detail: DetailLevel | None = None,
        look: DrawingStyle | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> bytes:
        """Draw the model and return the bytes of the file: svg, html, png, pdf, dot or mermaid.

        `detail` sets which blocks are opened, `look` the direction, the colours, the title and the links.
        `log` is called with notes. Raises SB951 if Graphviz is needed and missing.
        """
        from specbuild.diagram import DrawingStyle  # imported late: most models are not drawn
        from specbuild.diagram.model_diagram import render_picture

        style = look or DrawingStyle()
        if not style.title and self.variant:
            style = replace(style, title=f"{self.name} · {self.variant}")
        return render_picture(self.graph, format, detail, style, log)

    # Many parameters: each is an option of `specbuild draw`.
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
        width: str = "",
        counts: bool = True,
        legend: bool = True,
        nested: bool = False,
        link_base: str = "",
    ) -> None:
        """Draw the model to a file; the suffix of `path` sets the format: .svg, .html, .png, .pdf, .dot or .mmd.

        `depth` is the number of block levels to show (default: what fits on a page). `open` is the path of
        one block to draw. With `ops`, every op has its own box. `width` is the width on paper, such as "3.3in"
        or "84mm". `counts` shows parameters and multiply-adds, `legend` explains colours and signs. With
        `nested`, each block is drawn inside the first box that uses it (svg, png and pdf only). `link_base` is
        the URL under which the boxes of an SVG link to their lines of the spec. Raises ValueError for a width
        that is none, and for `nested` in a format without frames.
        """
        from specbuild.diagram import (  # imported late, as above
            NESTED_FORMATS,
            DetailLevel,
            DrawingStyle,
            format_from_path,
        )
        from specbuild.diagram.print_size import parse_width

        format, points = format_from_path(str(path)), parse_width(width)
        if width and points is None:
            raise ValueError(f"{width!r} is not a width such as 3.3in, 7in, 84mm or 240pt")
        if nested and format not in NESTED_FORMATS:
            raise ValueError(f"{format} has no frames for `nested`: write svg, png or pdf")
        style = DrawingStyle(
            direction,
            theme,
            title,
            link_base,
            width=points,
            shows_counts=counts,
            has_legend=legend,
            is_nested=nested,
        )
        write_picture(Path(path), self.picture(format, DetailLevel(depth, open, ops), style))

    def diff(self, after: Model) -> Diff:
        """Compare this model with a later one; `.draw("diff.svg")` of the result draws the changes."""
        from specbuild.diff import diff_models  # imported late, as above

        return diff_models(self.graph, after.graph)

    def _repr_svg_(self) -> str | None:
        """Return the model as SVG for notebooks, or None without Graphviz."""
        try:
            return self.picture("svg").decode()
        except SpecError:
            return None

    def _repr_html_(self) -> str:
        """Return the model as HTML for notebooks: a picture, if Graphviz is installed, and a table."""
        from specbuild.summary import summary_rows
        from specbuild.summary.html import summary_html  # imported late, as above
        from specbuild.summary.table import SummaryTable

        return summary_html(SummaryTable(self.graph, summary_rows(self.graph), 1), self._repr_svg_() or "")

    def build(self, backend: str) -> Any:
        """Return a live model: an nn.Module or a keras.Model. Only this method imports the framework.

        Raises SB603 if the framework is not installed.
        """
        from specbuild.backends import load_backend  # imported late: most commands emit no code
        from specbuild.compiler.weight_locations import to_framework

        source, framework = self.source(backend), load_backend(backend)
        for module in sorted(framework.modules):
            if find_spec(module) is None:
                raise framework.missing_package(module)
        try:
            live = instantiate_model(source, self.graph, backend, framework.constructor_arguments())
        except ModuleNotFoundError as error:
            raise framework.missing_package(error.name or "a module") from error
        given = [weight for weight in self.compile_for(backend).weights if weight.spec.given is not None]
        if given:
            values = {w.path: w.spec.given.to_array() for w in given if w.spec.given is not None}
            framework.load_tables(live, to_framework(given, values))
        return live


def load(source: str | Path, /, variant: str | None = None, **params: Any) -> Model:
    """Load the model of a spec file, or of the text of a spec: a str with a line break.

    `load("library:backbones/resnet.yaml", "resnet50")` loads a model of the library.
    `params` are values for the spec's parameters. Raises SpecError for an error, SpecErrors for several.
    """
    return create_model(source, arguments_from_python(params, variant))


def compile(source: str | Path, /, backend: str, variant: str | None = None, **params: Any) -> str:
    """Load a spec and return its source for a backend: "torch" or "keras"."""
    return load(source, variant, **params).source(backend)


def create_model(source: str | Path | Source, arguments: SpecArguments, root: Path | None = None) -> Model:
    """Load the model of a spec with arguments from the command line or from Python."""
    if isinstance(source, str) and source.startswith(LIBRARY_PREFIX) and "\n" not in source:
        source = spec_path(source)
    return build_model(*open_spec(source, root), arguments)


def build_model(spec: Spec, files: SpecFiles, arguments: SpecArguments) -> Model:
    """Build the model of an opened spec."""
    arguments.check_spec(spec)
    variant, features = arguments.variant.value if arguments.variant else None, arguments.features
    try:
        compilation = elaborate_model(spec, files, arguments.param_values, variant, features)
    except SpecError as error:
        raise arguments.relocate_error(error, spec) from None
    except SpecErrors as errors:
        raise SpecErrors(arguments.relocate_error(error, spec) for error in errors.errors) from None
    documents = [opened.source.data for opened in files.specs_by_source.values()]
    values = [variant, arguments.param_values, *([[*features.locations], features.only] if features else [])]
    tables = sorted(file.digest for file in files.tensor_files.values())
    content = json.dumps([documents, *values, *([tables] if tables else [])], separators=(",", ":"))
    return Model(spec, files, arguments, compilation, hashlib.sha256(content.encode()).hexdigest())
