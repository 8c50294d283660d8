"""A model's picture, with what each step takes: where drawing and counting meet."""

from __future__ import annotations

from collections.abc import Callable

from specbuild.diagram import DetailLevel, DrawingStyle, draw_model
from specbuild.ir.cost import CostCounter
from specbuild.ir.graph import Block, Node


def render_picture(
    graph: Block,
    format: str = "svg",
    detail: DetailLevel | None = None,
    style: DrawingStyle | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> bytes:
    """The bytes of a file: svg, png, pdf, dot or mermaid. Raises SpecError, such as without Graphviz."""
    costs = CostCounter()

    def step_cost(node: Node, holder: Block) -> tuple[int, int]:
        cost = costs.node_cost(node, holder)
        return cost.parameters, cost.macs

    return draw_model(graph, step_cost, format, detail, style, log)
