"""The diagram of a model, with the cost of each step."""

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
    """Draw a model as svg, html, png, pdf, dot or mermaid. Returns the bytes of the file.

    Raises SB951, SB952, SB953 and SB954.
    """
    costs = CostCounter()

    def step_cost(node: Node, block: Block) -> tuple[int, int]:
        cost = costs.node_cost(node, block)
        return cost.parameters, cost.macs

    return draw_model(graph, step_cost, format, detail, style, log)
