"""Pictures of models: the graph folded to what is shown, placed by Graphviz, as SVG, PNG, PDF, DOT or Mermaid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal
from urllib.parse import quote

from specbuild.diagnostics.errors import SpecError, printable
from specbuild.diagram import graphviz_process as engine
from specbuild.diagram import page as compose
from specbuild.diagram.diff_marks import Marks
from specbuild.diagram.dot_format import dot
from specbuild.diagram.mermaid_format import mermaid
from specbuild.diagram.panel_plan import Detail, view
from specbuild.diagram.raster_format import image
from specbuild.diagram.scene import Scene
from specbuild.diagram.svg_format import svg
from specbuild.diagram.view import Box, Costing, View
from specbuild.ir.graph import Block

__all__ = ["ENDINGS", "Costing", "Detail", "Look", "draw", "format_of"]

ENDINGS = {".svg": "svg", ".png": "png", ".pdf": "pdf", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid"}

Theme = Literal["auto", "light", "dark"]
Log = Callable[[str], None]


def format_of(path: str) -> str:
    """The format that a path asks for by its ending; raises SpecError."""
    suffix = PurePath(path).suffix.lower()
    if suffix not in ENDINGS:
        raise SpecError(
            "SB702",
            f"cannot tell from `{printable(path)}` what to draw",
            hint=f"let the file end in {', '.join(ENDINGS)}",
        )
    return ENDINGS[suffix]


@dataclass(frozen=True)
class Look:
    """How a picture looks."""

    direction: Literal["LR", "TB"] = "LR"
    theme: Theme = "auto"
    title: str = ""
    link_base: str = ""
    places: bool = True  # whether a box tells its file and line to who points at it


def draw(
    model: Block,
    costs: Costing,
    format: str = "svg",
    detail: Detail | None = None,
    look: Look | None = None,
    log: Log = lambda _: None,
    marks: Marks | None = None,
) -> bytes:
    """The bytes of a file that shows a model. `costs` tells parameters and multiply-adds of a step.

    With `marks`, it shows two models as one: what came, went and is otherwise.
    """
    detail, look = detail or Detail(), look or Look()
    shown = seen(model, costs, detail, look, marks)
    for note in shown.notes:
        log(note)
    theme = "light" if look.theme == "auto" else look.theme
    if format == "dot":
        return dot(shown, look.direction, theme).encode()
    if format == "mermaid":
        return mermaid(shown, look.direction, theme).encode()
    scene = placed(shown, model, costs, detail, look, log, marks)
    if format == "svg":
        return svg(scene, look.theme).encode()
    return image(scene, format, theme)


def seen(model: Block, costs: Costing, detail: Detail, look: Look, marks: Marks | None) -> View:
    """What is shown of a model."""
    shown = view(model, costs, detail, look.title, marks)
    return shown if look.places else shown.without_places()


def placed(
    shown: View,
    model: Block,
    costs: Costing,
    detail: Detail,
    look: Look,
    log: Log,
    marks: Marks | None = None,
) -> Scene:
    """Everything in its place; where that takes too long, with less detail, which is said."""
    try:
        return compose.scene(shown, look.direction, linker(look.link_base))
    except engine.TooSlow:
        log("placing the boxes takes too long; only the outermost blocks are drawn")
    try:
        less = seen(model, costs, Detail(1, detail.open), look, marks)
        return compose.scene(less, look.direction, linker(look.link_base))
    except engine.TooSlow:
        raise SpecError(
            "SB952",
            "the picture takes too long to place",
            hint="draw one block with `--open`, or take `--format dot`",
        ) from None


def linker(base: str) -> Callable[[Box], str]:
    """The address of the line that a box comes from."""

    def address(box: Box) -> str:
        if not base or box.at is None:
            return ""
        place = box.at.place
        return f"{base.rstrip('/')}/{quote(place.file.lstrip('/'))}#L{place.line}"

    return address
