"""Everything that Sphinx reads, put together in one folder: guides with their examples run, and generated pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from docs.pages import blocks, catalogue, codes, commands, gallery, ops, other_names, python_api
from docs.pages.diagrams import with_dark_pictures
from docs.pages.worked import worked

DOCS = Path(__file__).parent.parent
GENERATED = (
    ops.pages,
    blocks.pages,
    catalogue.pages,
    gallery.pages,
    codes.pages,
    commands.pages,
    other_names.pages,
    python_api.pages,
)


def assemble(folder: Path) -> None:
    """Write the sources of the whole site into a folder; what was there before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(DOCS / "conf.py", folder)
    shutil.copytree(DOCS / "static", folder / "static")
    for name, text in with_dark_pictures(pages()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text, encoding="utf-8")


def pages() -> Iterator[tuple[str, str | bytes]]:
    """The name and content of every page, and of the pictures on them."""
    for path in sorted([*DOCS.glob("*.md"), *DOCS.glob("guide/*.md")]):
        text, pictures = worked(path)
        yield str(path.relative_to(DOCS)), text
        for name, picture in pictures.items():
            yield str(path.with_name(name).relative_to(DOCS)), picture
    for generated in GENERATED:
        yield from generated()
