"""A model's picture, with what each step takes: where drawing and counting meet."""

from __future__ import annotations

from collections.abc import Callable

from specbuild.diagram import Detail, Look, draw
from specbuild.ir.cost import Costs
from specbuild.ir.graph import Block, Node


def picture(
    graph: Block,
    format: str = "svg",
    detail: Detail | None = None,
    look: Look | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> bytes:
    """The bytes of a file: svg, png, pdf, dot or mermaid. Raises SpecError, such as without Graphviz."""
    costs = Costs()

    def takes(node: Node, holder: Block) -> tuple[int, int]:
        found = costs.node(node, holder)
        return found.parameters, found.macs

    return draw(graph, takes, format, detail, look, log)
