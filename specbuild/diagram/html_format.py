"""A diagram as one page that folds, zooms and can be searched, without anything from outside.

Nothing of a spec is markup or script there: its texts are escaped, and the Content-Security-Policy of the page
allows only the one script and the style sheets of specbuild, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence
from functools import cache
from html import escape
from pathlib import Path

from specbuild.diagram.page import LinkFunction, legend_scene, panel_scene
from specbuild.diagram.panel_placement import FramedPanel, usage_label
from specbuild.diagram.svg_format import drawing_element, style_sheet, theme_rules
from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import View

VIEWER = Path(__file__).with_name("viewer")
BUTTONS = (
    ("smaller", "−", "smaller (-)"),
    ("zoom", "100 %", "original size (0)"),
    ("larger", "+", "larger (+)"),
    ("fit", "fit", "fit the width"),
    ("open", "open all", "open all blocks"),
    ("close", "fold all", "fold all blocks"),
    ("theme", "◐", "light or dark"),
)


def render_html(
    view: View,
    panels: Sequence[FramedPanel],
    link_for: LinkFunction,
    theme: str,
    opened: Collection[str],
    has_legend: bool,
) -> str:
    """Return the page. `opened` has the keys of the panels that are open at first."""
    title = escape(display_text(view.title, 120))
    script, styles = read_resource("viewer.js"), [read_resource("viewer.css"), diagram_styles()]
    attribute = "" if theme == "auto" else f' data-theme="{theme}"'
    sections = [
        panel_section(view, framed, link_for, framed.placed.panel.key in opened or i == 0, is_model=i == 0)
        for i, framed in enumerate(panels)
    ]
    legend = []
    if has_legend:
        width = max(600.0, panels[0].w)
        legend = [f'<div class="drawing">{drawing_element(legend_scene(view, width))}</div>']
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"{attribute}>',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{security_policy(script, styles)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="generator" content="specbuild">',
            f"<title>{title}</title>",
            *(f"<style>{style}</style>" for style in styles),
            "</head>",
            "<body>",
            page_header(title, escape(view.subtitle)),
            "<main>",
            *sections,
            *legend,
            "</main>",
            '<footer id="note" role="status"></footer>',
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def page_header(title: str, subtitle: str) -> str:
    buttons = "".join(
        f'<button type="button" id="{name}" title="{hint}" aria-label="{hint}">{label}</button>'
        for name, label, hint in BUTTONS
    )
    search = '<input id="search" type="search" placeholder="search (/)" aria-label="search"><span id="count"></span>'
    return f"<header><h1>{title}</h1><p>{subtitle}</p>{search}{buttons}</header>"


def panel_section(
    view: View, framed: FramedPanel, link_for: LinkFunction, is_open: bool, *, is_model: bool
) -> str:
    """Return one panel, which can be folded."""
    panel = framed.placed.panel
    role = ' class="model"' if is_model else ""
    state = " open" if is_open else ""
    facts = " ".join(part for part in (usage_label(panel), display_text(panel.subtitle, 300)) if part)
    drawing = drawing_element(panel_scene(framed, link_for, view.is_diff))
    return (
        f'<details{role} data-panel="{escape(panel.key)}"{state}>'
        f"<summary><b>{escape(display_text(panel.title, 80))}</b> <span>{escape(facts)}</span></summary>"
        f'<div class="drawing">{drawing}</div></details>'
    )


def security_policy(script: str, styles: Sequence[str]) -> str:
    """Return a policy that allows this script, these style sheets and the fonts in them, and nothing else."""
    style_sources = " ".join(policy_hash(style) for style in styles)
    return (
        f"default-src 'none'; script-src {policy_hash(script)}; style-src {style_sources}; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def policy_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def read_resource(name: str) -> str:
    return (VIEWER / name).read_text(encoding="utf-8")


@cache
def diagram_styles() -> str:
    """Return the style sheet of all drawings: fonts, hover effects and the colours of both themes."""
    themes = (theme_rules(theme, f':root[data-theme="{theme}"]') for theme in ("light", "dark"))
    return style_sheet("auto") + "".join(themes)
