"""Pictures of blocks and models, where there is a Graphviz to place them; each for light and for dark pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from specbuild.diagnostics.errors import SpecError
from specbuild.diagram.model_diagram import render_picture
from specbuild.diagram.svg_format import theme_rules
from specbuild.frontend.document import BlockDef
from specbuild.ir.graph import Block
from specbuild.summary.examples import example_model

PICTURE = re.compile(r"^!\[([^\]\n]*)\]\(([^)\n]+)\.svg\)$", re.MULTILINE)
Pages = Iterable[tuple[str, str | bytes]]


def with_dark_pictures(pages: Pages) -> Iterator[tuple[str, str | bytes]]:
    """Pages on which each picture stands twice: the theme of the page, which a reader can change, shows one of them."""
    for name, content in pages:
        if isinstance(content, str):
            yield name, PICTURE.sub(r"![\1](\2.svg){.only-light}![\1](\2-dark.svg){.only-dark}", content)
        elif name.endswith(".svg"):
            light, dark = of_each_theme(content.decode())
            yield name, light.encode()
            yield f"{name.removesuffix('.svg')}-dark.svg", dark.encode()
        else:
            yield name, content


def of_each_theme(picture: str) -> tuple[str, str]:
    """A picture that follows the reader's system, as one that is always light and one that is always dark."""
    rules = theme_rules("dark")
    media = f"@media(prefers-color-scheme:dark){{{rules}}}"
    return picture.replace(media, ""), picture.replace(media, rules)


def of_block(block: BlockDef) -> bytes | None:
    """A block of the library by itself, with usual sizes, as SVG."""
    found = example_model(block)
    return None if found is None else of_model(found.graph)


def of_model(model: Block, format: str = "svg") -> bytes | None:
    """A model as SVG or HTML; None without Graphviz, so that the pages can be read all the same."""
    try:
        return render_picture(model, format)
    except SpecError as error:
        if error.code == "SB951":
            return None
        raise
