"""The gallery: every model of specs/ on a page of its own, and the library's backbones beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from docs.pages import blocks, diagrams, markdown, models
from specbuild.frontend.editor_schema import library_blocks

SPECS = Path(__file__).parent.parent.parent / "specs"
HEAD = ("Model", *markdown.NUMBERS)


def pages() -> Iterator[tuple[str, str | bytes]]:
    paths = sorted(SPECS.glob("*.yaml"))
    yield "zoo/index.md", index(paths)
    for path in paths:
        picture = diagrams.of_model(models.loaded(path).graph)
        if picture is not None:
            yield f"zoo/{path.stem}.svg", picture
            moving = diagrams.of_model(models.loaded(path).graph, "html")
            yield f"static/zoo/{path.stem}.html", moving or b""
        yield f"zoo/{path.stem}.md", page(path, picture is not None)


def index(paths: list[Path]) -> str:
    systems = [row(path, f"{path.stem}.md") for path in paths]
    backbones = [
        row(blocks.file(block), f"../blocks/{blocks.family(block)}/{block.name}.md")
        for block in library_blocks().values()
        if block.model is not None
    ]
    return markdown.page(
        "# Zoo",
        "Whole models. Each is compiled to both frameworks, and the two are compared in double precision; the "
        "backbones give the outputs of torchvision or timm with their weights. Sizes are those of the default parameters.",
        "## Systems",
        markdown.table(HEAD, systems),
        "## Backbones",
        markdown.table(HEAD, backbones),
        markdown.contents(path.stem for path in paths),
    )


def row(path: Path, target: str) -> tuple[str, ...]:
    model = models.loaded(path)
    return (
        f"[{model.name}]({target})<br>{markdown.sentence(model.graph.doc)}",
        *models.counts(model.cost),
    )


def page(path: Path, pictured: bool) -> str:
    model = models.loaded(path)
    count, macs = models.counts(model.cost)
    parameters = blocks.parameters(model.spec.model) if model.spec.model is not None else ""
    variants = models.variants(path)
    return markdown.page(
        f"# {model.name}",
        markdown.prose(model.graph.doc),
        f"{models.flows(model)}: {count} parameters, {macs} multiply-adds.",
        f"![Diagram of {model.name}]({path.stem}.svg)" if pictured else "",
        f'<a href="../_static/zoo/{path.stem}.html">Open the picture</a>, to zoom, fold and search.'
        if pictured
        else "",
        parameters,
        "## Variants" if variants else "",
        variants,
        *models.body(path, f"specs/{path.name}"),
    )
