"""Pictures of blocks and models, where there is a Graphviz to place them."""

from __future__ import annotations

from specbuild.diagnostics.errors import SpecError
from specbuild.diagram.model_diagram import render_picture
from specbuild.frontend.document import BlockDef
from specbuild.ir.graph import Block
from specbuild.summary.examples import example_model


def of_block(block: BlockDef) -> bytes | None:
    """A block of the library by itself, with usual sizes, as SVG."""
    found = example_model(block)
    return None if found is None else of_model(found.graph)


def of_model(model: Block) -> bytes | None:
    """A model as SVG; None without Graphviz, so that the pages can be read all the same."""
    try:
        return render_picture(model)
    except SpecError as error:
        if error.code == "SB951":
            return None
        raise
