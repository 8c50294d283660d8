"""The catalogue: every block and model of the library in one table, which the reader sorts and filters."""

from __future__ import annotations

from collections.abc import Iterator

from docs.pages import blocks, markdown, models
from specbuild.frontend.document import BlockDef
from specbuild.frontend.editor_schema import library_blocks
from specbuild.ir.cost import Cost, model_cost

HEAD = ("Name", "Kind", "Paper", "Year", "Also called", *markdown.NUMBERS)


def pages() -> Iterator[tuple[str, str | bytes]]:
    rows = [row(block) for block in library_blocks().values()]
    yield (
        "blocks/catalogue.md",
        markdown.page(
            "# Catalogue",
            "All blocks and models of the library. Parameters and multiply-adds are those of a model with its defaults, and of "
            "a block in its example. A click on a heading sorts; the field above the table keeps the rows with all of its words.",
            f"::::{{div}} catalogue\n{markdown.table(HEAD, rows)}\n::::",
        ),
    )


def row(block: BlockDef) -> tuple[str, ...]:
    family = blocks.family(block)
    about = block.about
    paper = f"arXiv {about.arxiv}" if about.arxiv else f"doi {about.doi}" if about.doi else ""
    title = f"{markdown.line(about.title)}<br>{markdown.line(paper)}" if about.title else ""
    cost = find_cost(block)
    return (
        f"[{block.name}]({family}/{block.name}.md)",
        family,
        title,
        str(about.year or ""),
        ", ".join(map(markdown.escaped, about.names)),
        *(models.counts(cost) if cost is not None else ("", "")),
    )


def find_cost(block: BlockDef) -> Cost | None:
    """What a model takes, or the example of a block; nothing for a block that needs more than an example gives."""
    if block.model is not None:
        return models.loaded(blocks.file(block)).cost
    found = blocks.find_example(block.name)
    return None if found is None else model_cost(found.model)
