"""The page of a diagram: one file, in which nothing of a spec is markup or script."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import specbuild
from specbuild import Model
from specbuild.diagram import DetailLevel, DrawingStyle, panel_selection
from specbuild.diagram.html_format import read_resource
from tests.diagram.test_draw import EVIL, evil_model, seen

pytest.importorskip("pygraphviz")

NETWORKS = Path(__file__).parent / "networks"
HOSTILE = [
    *EVIL,
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "</title><h1>big</h1>",
    "<svg/onload=alert(1)>",
    "' onmouseover='alert(1)",
    "<!--><script>",
    "x" * 3000,
    "word " * 700,
]
TAGS = set(
    "html head meta title style body header h1 p input span button main details summary b div svg g a rect path text "
    "footer script".split()
)
VOID = {"meta", "input"}


class Page(HTMLParser):
    """Collects elements and the text in them; refuses elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert not self.inside

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.inside.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.texts[self.inside[-1]][-1] += data

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)


def page_of(model: Model, style: DrawingStyle | None = None) -> Page:
    return Page(model.picture("html", look=style).decode())


def sha256(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def check_page(page: Page) -> None:
    """Only known elements, no script but the one of specbuild, no style by attributes, nothing from outside."""
    assert {tag for tag, _ in page.elements} <= TAGS
    for tag, attributes in page.elements:
        assert not [
            name for name in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")
        ]
        link = attributes.get("href")
        assert link is None or (tag == "a" and link.startswith("https://example.org/"))
    [script] = page.texts["script"]
    assert script == read_resource("viewer.js")
    [policy] = [a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a]
    styles = " ".join(map(sha256, page.texts["style"]))
    assert policy == (
        f"default-src 'none'; script-src {sha256(script)}; style-src {styles}; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    assert not re.search(
        r"(?<!xmlns=\")https?://(?!example\.org|www\.w3\.org)", "".join(page.texts["style"]) + script
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_only_text(text: str) -> None:
    page = page_of(evil_model(text), DrawingStyle(title=text, link_base="https://example.org"))
    check_page(page)
    assert page.texts["title"][0].startswith(text[:40])
    assert any(
        text[:20].strip() in shown
        for shown in page.texts["text"] + page.texts["summary"] + page.texts["span"]
    )


@pytest.mark.parametrize("name", ["unet", "yolo", "detr"])
def test_every_block_is_a_panel_that_folds(name: str) -> None:
    model = specbuild.load(NETWORKS / f"{name}.yaml")
    page = page_of(model)
    check_page(page)
    panels = seen(model, DetailLevel(99)).panels
    sections = [a for tag, a in page.elements if tag == "details"]
    assert [a["data-panel"] for a in sections] == [panel.key for panel in panels]
    opened = {a["data-panel"] for a in sections if "open" in a}
    assert opened == {panel.key for panel in seen(model).panels}
    keys = [a["data-key"] for _, a in page.elements if "data-key" in a]
    assert len(keys) == sum(len(panel.boxes) for panel in panels)
    opens = {a["data-opens"] for _, a in page.elements if "data-opens" in a}
    assert opens <= {a["data-panel"] for a in sections} and opens


def test_the_script_finds_what_it_looks_for() -> None:
    """Every id that the script reads is in the page."""
    page = page_of(specbuild.load(NETWORKS / "unet.yaml"))
    wanted = set(re.findall(r'byId\("(\w+)"\)', read_resource("viewer.js")))
    assert wanted == {a["id"] for _, a in page.elements if "id" in a}


def test_a_page_has_no_more_boxes_than_it_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_selection, "MAX_BOXES", 12)
    blocks = "".join(f"  B{i}: {{steps: [relu: {{}}, tanh: {{}}]}}\n" for i in range(6))
    head = f"specbuild: 1\nmodel: Net\ninputs: {{x: {{C: 4}}}}\nblocks:\n{blocks}steps:\n"
    model = specbuild.load(head + "".join(f"  - B{i}\n" for i in range(6)))
    notes: list[str] = []
    page = Page(model.picture("html", log=notes.append).decode())
    sections = [a["data-panel"] for tag, a in page.elements if tag == "details"]
    assert len(sections) == 3  # the model has 8 boxes, and a block 3
    assert {a["data-opens"] for _, a in page.elements if "data-opens" in a} < {*sections}
    assert "B2" in "".join(page.texts["text"])  # the legend tells
    assert notes == [
        "4 blocks are not drawn, such as B2, B3, B4 and B5: the others have 14 boxes; `--open` shows one block"
    ]
