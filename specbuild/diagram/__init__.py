"""Diagrams of models as SVG, HTML, PNG, PDF, DOT or Mermaid. Graphviz lays out the first four."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Literal
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError, make_printable
from specbuild.diagram.card_rows import FULL_FORMAT
from specbuild.diagram.diff_marks import DiffMarks
from specbuild.diagram.dot_format import render_dot
from specbuild.diagram.graphviz_process import LayoutTimeout
from specbuild.diagram.html_format import render_html
from specbuild.diagram.mermaid_format import render_mermaid
from specbuild.diagram.page import compose_scene
from specbuild.diagram.panel_placement import PageFormat, place_panels
from specbuild.diagram.panel_selection import DetailLevel, plan_view
from specbuild.diagram.print_size import fit_width
from specbuild.diagram.raster_format import render_image
from specbuild.diagram.scene import Scene
from specbuild.diagram.svg_format import render_svg
from specbuild.diagram.view_model import Box, CostFunction, View
from specbuild.ir.graph import Block

__all__ = [
    "NESTED_FORMATS",
    "SUFFIX_FORMATS",
    "CostFunction",
    "DetailLevel",
    "DrawingStyle",
    "draw_model",
    "format_from_path",
]

SUFFIX_FORMATS = {
    ".svg": "svg",
    ".html": "html",
    ".png": "png",
    ".pdf": "pdf",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
}

NESTED_FORMATS = ("svg", "png", "pdf")  # those that can draw a block inside another

MAX_DEPTH = 99

Theme = Literal["auto", "light", "dark"]
LogFunction = Callable[[str], None]


def format_from_path(path: str) -> str:
    """Return the format that the ending of a path stands for. Raises SB702 for an unknown ending."""
    suffix = PurePath(path).suffix.lower()
    if suffix not in SUFFIX_FORMATS:
        raise SpecError(
            "SB702",
            f"the ending of `{make_printable(path)}` is not a known format",
            hint=f"use one of {', '.join(SUFFIX_FORMATS)}",
        )
    return SUFFIX_FORMATS[suffix]


class DrawingStyle(Struct, frozen=True):
    """How a diagram looks."""

    direction: Literal["LR", "TB"] = "LR"
    theme: Theme = "auto"
    title: str = ""
    link_base: str = ""
    shows_locations: bool = True  # whether tooltips give the file and line of a step
    width: float | None = None  # on paper, in points
    shows_counts: bool = True  # parameters and multiply-adds
    has_legend: bool = True
    is_nested: bool = False  # blocks are frames inside of others, in NESTED_FORMATS


def draw_model(
    model: Block,
    costs: CostFunction,
    format: str = "svg",
    detail: DetailLevel | None = None,
    style: DrawingStyle | None = None,
    log: LogFunction = lambda _: None,
    marks: DiffMarks | None = None,
) -> bytes:
    """Draw a model, and return the bytes of the file.

    `costs` returns the parameters and multiply-adds of a step. With `marks`, `model` is the union of two
    models, and the diagram shows what was added, removed and changed. Raises SB951, SB952, SB953 and SB954.
    """
    detail, style = detail or DetailLevel(), style or DrawingStyle()
    view = view_for_style(model, costs, detail, style, marks)
    for note in view.notes:
        log(note)
    theme = "light" if style.theme == "auto" else style.theme
    if format == "dot":
        return render_dot(view, style.direction, theme).encode()
    if format == "mermaid":
        return render_mermaid(view, style.direction, theme).encode()
    if format == "html":
        return draw_page(view, model, costs, detail, style, log, marks).encode()
    scene = lay_out_scene(view, model, costs, detail, style, log, marks)
    if format == "svg":
        return render_svg(scene, style.theme).encode()
    return render_image(scene, format, theme)


def draw_page(
    readable: View,
    model: Block,
    costs: CostFunction,
    detail: DetailLevel,
    style: DrawingStyle,
    log: LogFunction,
    marks: DiffMarks | None,
) -> str:
    """Return a diagram as a page. It has all blocks; those that the `readable` picture does not show are folded.

    Raises SB951, SB952 and SB954.
    """
    whole = view_for_style(model, costs, replace(detail, depth=MAX_DEPTH), style, marks)
    opened = {panel.key for panel in readable.panels}
    try:
        panels = place_panels(whole, style.direction, PageFormat())
    except LayoutTimeout:
        whole = readable
        try:
            panels = place_panels(whole, style.direction, PageFormat())
        except LayoutTimeout:
            raise layout_timeout() from None
    for note in whole.notes:
        if note not in readable.notes:
            log(note)
    links = source_linker(style.link_base)
    return render_html(whole, panels, links, style.theme, opened, style.has_legend)


def view_for_style(
    model: Block, costs: CostFunction, detail: DetailLevel, style: DrawingStyle, marks: DiffMarks | None
) -> View:
    view = plan_view(model, costs, detail, style.title, marks)
    view = view if style.shows_counts else view.without_counts()
    return view if style.shows_locations else view.without_locations()


def lay_out_scene(
    view: View,
    model: Block,
    costs: CostFunction,
    detail: DetailLevel,
    style: DrawingStyle,
    log: LogFunction,
    marks: DiffMarks | None = None,
) -> Scene:
    """Lay out all panels; if that takes too long, log it and lay out only the outermost blocks.

    Raises SB952 if that takes too long as well.
    """
    try:
        return compose_in_style(view, style, log)
    except LayoutTimeout:
        log("the layout takes too long; only the outermost blocks are drawn")
    try:
        outer_view = view_for_style(model, costs, DetailLevel(1, detail.open_path), style, marks)
        return compose_in_style(outer_view, style, log)
    except LayoutTimeout:
        raise layout_timeout() from None


def layout_timeout() -> SpecError:
    message = "the layout of the diagram takes too long"
    return SpecError("SB952", message, hint="draw one block with `--open`, or use `--format dot`")


def compose_in_style(view: View, style: DrawingStyle, log: LogFunction) -> Scene:
    """Lay out a view, with the width that the style asks for."""
    link_for = source_linker(style.link_base)
    page_format = PageFormat(
        has_legend=style.has_legend, is_nested=style.is_nested, has_counts=style.shows_counts
    )
    if style.width is None:
        return compose_scene(view, style.direction, link_for, page_format)
    shorter_view = view.without_counts()

    def compose(direction: str, page: PageFormat) -> Scene:
        return compose_scene(view if page.cards is FULL_FORMAT else shorter_view, direction, link_for, page)

    return fit_width(compose, page_format, style.width, style.direction, log)


def source_linker(base: str) -> Callable[[Box], str]:
    """Return a function that returns the URL of the line of the spec that a box comes from, or an empty text."""

    def source_url(box: Box) -> str:
        if not base or box.at is None:
            return ""
        location = box.at.location
        return f"{base.rstrip('/')}/{quote(location.file.lstrip('/'))}#L{location.line}"

    return source_url
