"""How notebooks show a model: a picture and a table, whole by themselves, whatever a spec's texts hold."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

import specbuild
from specbuild.diagram import graphviz_process as engine
from specbuild.summary.html import HEADINGS, MAX_ROWS
from tests.diagram.test_draw import EVIL, evil_model

ROOT = Path(__file__).parents[2]
ALLOWED = {"div", "style", "table", "thead", "tbody", "tr", "td", "th", "p"}
DRAWN = {"svg", "title", "desc", "style", "rect", "g", "text", "path"}


class Found(HTMLParser):
    """The elements, what they are told with, and the texts of the table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.cells: list[list[str]] = []
        self.styles = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "tr":
            self.cells.append([])
        if tag in ("td", "th"):
            self.cells[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1][-1] += data
        if self.open and self.open[-1] == "style":
            self.styles += data


def test_picture_and_table() -> None:
    model = specbuild.load(ROOT / "specs" / "gated_classifier.yaml")
    page = Found(model._repr_html_())
    assert page.open == [] and page.tags.count("svg") == page.tags.count("table") == 1
    assert page.cells[0] == list(HEADINGS)
    assert page.cells[1] == ["stem", "GatedBlock", "{C: 32, H: 32, W: 32}", "1,348", "983,296"]
    assert len(page.cells) == 1 + 4
    assert f"{model.parameters:,} parameters" in model._repr_html_()


def test_it_follows_the_notebook() -> None:
    """Text has the colour of what is around; the picture has that of the notebook, which may not be the browser's."""
    page = Found(specbuild.load(ROOT / "specs" / "gated_classifier.yaml")._repr_html_())
    cells = [value for name, value in page.attributes if name == "style" and "padding" in value]
    assert cells and all("color:inherit" in value and "background:transparent" in value for value in cells)
    assert "body[data-jp-theme-light=false]" in page.styles and "body.vscode-light" in page.styles
    assert "url(data:" in page.styles and "http" not in page.styles


@pytest.mark.parametrize("text", EVIL)
def test_hostile_text(text: str) -> None:
    page = Found(evil_model(text)._repr_html_())
    assert page.open == [] and set(page.tags) <= ALLOWED | DRAWN
    assert not any(name.startswith("on") or name in ("href", "src") for name, _ in page.attributes)
    assert page.tags.count("table") == 1 and "</" not in page.styles


def test_names_are_shortened_and_rows_bounded() -> None:
    steps = "".join(f"  - relu:\n    as: {'long' * 12}{i}\n" for i in range(100))
    page = Found(
        specbuild.load(f"specbuild: 1\nmodel: Long\ninputs: {{x: {{C: 4}}}}\nsteps:\n{steps}")._repr_html_()
    )
    assert len(page.cells) == 1 + MAX_ROWS + 1 and page.cells[-1][0] == "60 more"


def test_without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "find_spec", lambda name: None)
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    page = Found(specbuild.load(ROOT / "specs" / "gated_classifier.yaml")._repr_html_())
    assert set(page.tags) <= ALLOWED and page.cells[-1][0] == "head"
