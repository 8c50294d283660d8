"""A page for every block and every model of the library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from docs.pages import diagrams, markdown, models
from docs.pages.samples import shown
from specbuild.frontend.document import BlockDef, ParamDef
from specbuild.frontend.editor_schema import library_blocks
from specbuild.frontend.library import LIBRARY, library_index
from specbuild.summary.examples import ExampleSpec, example_spec
from specbuild.summary.search import format_about

Pages = Iterator[tuple[str, str | bytes]]


def pages() -> Pages:
    """The index, one page for each folder of the library, one for each block, with its picture."""
    families: dict[str, list[BlockDef]] = {}
    for block in library_blocks().values():
        families.setdefault(family(block), []).append(block)
    yield "blocks/index.md", index(families)
    for name, members in sorted(families.items()):
        names = [block.name for block in members]
        title = f"# {name.capitalize()}"
        yield (
            f"blocks/{name}/index.md",
            markdown.page(title, summaries(members, ""), markdown.contents(names)),
        )
        for block in members:
            picture = (
                diagrams.of_model(models.loaded(file(block)).graph)
                if block.model
                else diagrams.of_block(block)
            )
            if picture is not None:
                yield f"blocks/{name}/{block.name}.svg", picture
            yield f"blocks/{name}/{block.name}.md", page(block, picture is not None)


def family(block: BlockDef) -> str:
    """The folder of the library that a block lies in."""
    return file(block).relative_to(LIBRARY).parts[0]


def file(block: BlockDef) -> Path:
    return library_index()[block.name]


def index(families: dict[str, list[BlockDef]]) -> str:
    sections = (
        markdown.page(f"## {name.capitalize()}", summaries(members, f"{name}/"))
        for name, members in sorted(families.items())
    )
    return markdown.page(
        "# Blocks",
        "Blocks of the library are written in the same YAML as yours. A step names one without an import; "
        "a block of the same name in your file stands before it. The [catalogue](catalogue.md) has all of them in one table.",
        *sections,
        markdown.contents(["catalogue", *(f"{name}/index" for name in sorted(families))]),
    )


def summaries(members: list[BlockDef], folder: str) -> str:
    rows = [(f"[{block.name}]({folder}{block.name}.md)", markdown.sentence(block.doc)) for block in members]
    return markdown.table(("Block", "What it computes"), rows)


def page(block: BlockDef, pictured: bool) -> str:
    picture = f"![Diagram of {block.name}]({block.name}.svg)" if pictured else ""
    prose = markdown.prose(block.doc)
    head = (f"# {block.name}", prose, about(block), picture, inputs(block), parameters(block))
    path = file(block)
    name = f"library:{path.relative_to(LIBRARY)}"
    if block.model is not None:
        variants = models.variants(path)
        title = "## Variants" if variants else ""
        flows = models.flows(models.loaded(path))
        count, macs = models.counts(models.loaded(path).cost)
        taken = f"{flows}: {count} parameters, {macs} multiply-adds."
        return markdown.page(*head, taken, title, variants, *models.body(path, name))
    found = find_example(block.name)
    example = ("## Example", shown(found)) if found else ()
    return markdown.page(*head, *example, "## Definition", f"`{name}`", definition(path))


@cache
def find_example(name: str) -> ExampleSpec | None:
    """The example of a block; finding one takes a moment, and two pages show it."""
    return example_spec(library_blocks()[name])


def about(block: BlockDef) -> str:
    """Its paper, and what else it is called."""
    paper = ", ".join(format_about(block.about))
    names = ", ".join(map(markdown.code, block.about.names))
    lines = [f"Paper: {markdown.line(paper)}" if paper else "", f"Also called {names}" if names else ""]
    return "\n\n".join(f"{line}." for line in lines if line)


def inputs(block: BlockDef) -> str:
    rows = (
        (name, "any axes" if axes is None else markdown.code(json.dumps(axes).replace('"', "")), "")
        for name, axes in block.inputs.items()
    )
    return markdown.page("## Inputs", markdown.entries(rows))


def parameters(block: BlockDef) -> str:
    rows = [
        (markdown.code(p.name), default(p), markdown.described(markdown.line(p.doc), markdown.line(holds(p))))
        for p in block.params.values()
    ]
    head = ("Parameter", "Default", "Meaning")
    return markdown.page("## Parameters", markdown.table(head, rows)) if rows else "It has no parameters."


def holds(p: ParamDef) -> str:
    """The type of a parameter, and its range."""
    limits = [f"at least {p.minimum}"] * (p.minimum is not None) + [f"at most {p.maximum}"] * (
        p.maximum is not None
    )
    choices = [f"one of {', '.join(map(str, p.choices))}"] * bool(p.choices)
    return ", ".join([p.type, *limits, *choices])


def default(p: ParamDef) -> str:
    if p.required:
        return "required"
    return markdown.code(p.default if isinstance(p.default, str) else json.dumps(p.default).replace('"', ""))


def definition(path: Path) -> str:
    return markdown.listing(path.read_text(encoding="utf-8"), "yaml")
