"""The result of `Model.diff`: a comparison of two models that can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec.structs import asdict

from specbuild.compiler.output_files import write_picture
from specbuild.diagnostics.errors import SpecError
from specbuild.diff.compare import Comparison, compare_models
from specbuild.ir.graph import Block

if TYPE_CHECKING:
    from specbuild.diagram import DetailLevel, DrawingStyle


class Diff(Comparison):
    """A comparison of two models that draws both in one picture."""

    def picture(
        self,
        format: str = "svg",
        detail: DetailLevel | None = None,
        look: DrawingStyle | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> bytes:
        """Draw both models in one picture and return its bytes: svg, html, png, pdf, dot or mermaid."""
        from specbuild.diff.diff_diagram import render_diff  # imported late: most comparisons are not drawn

        return render_diff(self, format, detail, look, log)

    def draw(
        self,
        path: str | Path,
        *,
        direction: Literal["LR", "TB"] = "LR",
        theme: Literal["auto", "light", "dark"] = "auto",
        title: str = "",
    ) -> None:
        """Draw both models to a file. Its suffix sets the format: .svg, .html, .png, .pdf, .dot or .mmd."""
        from specbuild.diagram import DrawingStyle, format_from_path

        write_picture(
            Path(path), self.picture(format_from_path(str(path)), look=DrawingStyle(direction, theme, title))
        )

    def _repr_svg_(self) -> str | None:
        """Return the picture that notebooks show; None without Graphviz."""
        try:
            return self.picture("svg").decode()
        except SpecError:
            return None


def diff_models(before: Block, after: Block) -> Diff:
    """Compare two models."""
    comparison = compare_models(before, after)
    return Diff(**asdict(comparison))
