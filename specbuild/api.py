"""The Python face: a spec as an object that gives source, live models and counts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from specbuild.backends import NAMES
from specbuild.compiler import files as output
from specbuild.compiler.arguments import Given, from_arguments, said
from specbuild.compiler.pipeline import Stages, compile_source, elaborated, opened
from specbuild.diagnostics.errors import SpecError, SpecErrors, nearest
from specbuild.elaborate import Features
from specbuild.frontend.document import Spec
from specbuild.frontend.resolver import Files
from specbuild.frontend.source import Source
from specbuild.ir.cost import Cost, cost
from specbuild.runtimes.live import live
from specbuild.summary import summary

if TYPE_CHECKING:
    from specbuild.diagram import Detail, Look
    from specbuild.diff import Diff


class Model:
    """A spec that has been checked, with its parameters chosen."""

    def __init__(self, spec: Spec, files: Files, given: Given, stages: Stages, digest: str) -> None:
        self.spec, self.files, self.given = spec, files, given
        self.variant = given.variant.value if given.variant else None
        self.whole = stages.whole  # as written, with steps that no output needs
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
        return cost(self.graph)

    @property
    def parameters(self) -> int:
        """How many numbers its weights hold; `cost.frozen` of them are frozen."""
        return self.cost.parameters

    def with_features(self, *paths: str, only: bool = False) -> Model:
        """The model that also gives the values at these paths, or `only` them; `specbuild show --taps` lists paths.

        Its outputs are named: what it gives already after its step, a feature after its path, `layer3_0` for layer3.0.
        """
        features = Features({path: said("features", path) for path in paths}, only)
        return built(self.spec, self.files, replace(self.given, features=features))

    @property
    def in_full(self) -> Model | None:
        """The model with all its own outputs, if it gives only features of it."""
        features = self.given.features
        if features is None or not features.only:
            return None
        return built(self.spec, self.files, replace(self.given, features=None))

    def summary(self, depth: int | None = 2) -> str:
        """What `specbuild show` tells: steps, output sizes, parameters, multiply-adds, memory; `depth` levels deep."""
        return summary(self.graph, depth)

    def source(self, backend: str, *, loader: bool = False, groups: bool = False) -> str:
        """The file that `specbuild compile` writes for this backend.

        If asked, with a `loader` of weights (for Keras), with a function that makes `groups` for an optimizer.
        """
        header = output.header(self.digest, self.spec.license)
        return output.stamped(
            compile_source(
                self.graph, known(backend), header, loader=loader and backend == "keras", groups=groups
            )
        )

    def picture(
        self,
        format: str = "svg",
        detail: Detail | None = None,
        look: Look | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> bytes:
        """The model as the bytes of a picture: svg, png, pdf, dot or mermaid."""
        from specbuild.diagram import Look  # only here: most of what is done with a model is no drawing
        from specbuild.diagram.model_diagram import picture

        look = look or Look()
        if not look.title and self.variant:
            look = replace(look, title=f"{self.name} · {self.variant}")
        return picture(self.graph, format, detail, look, log)

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
        from specbuild.diagram import Detail, Look, format_of  # only here, as above

        look = Look(direction, theme, title, link_base)
        data = self.picture(format_of(str(path)), Detail(depth, open, ops), look)
        output.put(Path(path), data)

    def diff(self, after: Model) -> Diff:
        """What became of this model in another one; `.draw("diff.svg")` draws both as one."""
        from specbuild.diff import diff  # only here, as above

        return diff(self.graph, after.graph)

    def _repr_svg_(self) -> str | None:
        """The picture alone, if Graphviz is here."""
        try:
            return self.picture("svg").decode()
        except SpecError:
            return None

    def _repr_html_(self) -> str:
        """How notebooks show a model: its picture, if Graphviz is here, and a short table of its steps."""
        from specbuild.summary import rows
        from specbuild.summary.html import html  # only here, as above
        from specbuild.summary.table import Table

        return html(Table(self.graph, rows(self.graph), 1), self._repr_svg_() or "")

    def build(self, backend: str) -> Any:
        """A live model: an nn.Module, or a keras.Model. The framework is imported here and nowhere else."""
        return live(self.source(backend), self.graph, backend)


def load(source: str | Path, /, variant: str | None = None, **params: Any) -> Model:
    """The model of a spec file, or of a spec's own text; raises SpecError, or SpecErrors for several."""
    return made(source, from_arguments(params, variant))


def compile(source: str | Path, /, backend: str, variant: str | None = None, **params: Any) -> str:
    """The source of a spec's model for one framework: "torch" or "keras"."""
    return load(source, variant, **params).source(backend)


def made(source: str | Path | Source, given: Given, root: Path | None = None) -> Model:
    """The model of a spec with everything chosen, from the command line or from Python."""
    return built(*opened(source, root), given)


def built(spec: Spec, files: Files, given: Given) -> Model:
    """The model of an opened spec."""
    given.check(spec)
    variant, features = given.variant.value if given.variant else None, given.features
    try:
        stages = elaborated(spec, files, given.values, variant, features)
    except SpecError as error:
        raise given.blamed(error, spec) from None
    except SpecErrors as errors:
        raise SpecErrors(given.blamed(error, spec) for error in errors.errors) from None
    documents = [read.source.data for read in files.owners.values()]
    chosen = [variant, given.values, *([[*features.places], features.only] if features else [])]
    content = json.dumps([documents, *chosen], separators=(",", ":"))
    return Model(spec, files, given, stages, hashlib.sha256(content.encode()).hexdigest())


def known(backend: str) -> str:
    """The name of a backend, if it is one."""
    if backend in NAMES:
        return backend
    near = nearest(backend, NAMES)
    raise SpecError(
        "SB602",
        f"there is no backend {backend!r}",
        hint=f"did you mean {near!r}?" if near else f"there are {', '.join(NAMES)}",
    )
