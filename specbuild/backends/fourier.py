"""The operands of Fourier transforms."""

from __future__ import annotations

from specbuild.codegen.layout import Layout
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr

PARTS = ("real", "imaginary")


def arrange_parts(
    axes: tuple[str, ...], real: Operand, imaginary: Operand | None
) -> tuple[list[Expr], Layout, tuple[int, ...]]:
    """Return the real and the imaginary part in one layout, the layout, and the dimensions of the axes in it."""
    parts = [x.unfold_axes() for x in (real, imaginary) if x is not None]
    layout = parts[0].layout
    return [x.to_order(*layout.order).expr for x in parts], layout, tuple(layout.dim(a) for a in axes)
