"""The code of Fourier transforms, which is the same in every backend that has helpers for them."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.signatures import Signature
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr
from specbuild.ops.fourier import ComplexResult, Fft, Ifft, Irfft, Rfft
from specbuild.ops.types import TensorType

PARTS = ("real", "imaginary")
# Helpers of these names are in `helpers/fourier.py` of each backend.
TRANSFORMS: dict[type[ComplexResult], Signature] = {
    Fft: Signature("fft(real, imaginary=None, axes=(-1,), norm='backward')"),
    Ifft: Signature("ifft(real, imaginary=None, axes=(-1,), norm='backward')"),
    Rfft: Signature("rfft(x, axes=(-1,), norm='backward')"),
}
IRFFT = Signature("irfft(real, imaginary, size=None, axes=(-1,), norm='backward')")


def emit_transform(
    op: ComplexResult, real: Operand, imaginary: Operand | None = None, *, out: TensorType
) -> LoweringResult:
    """Return the code of a transform with a complex result: its real and its imaginary part."""
    parts, layout, dims = arrange_parts(op.over, real, imaginary)
    return LoweringResult(TRANSFORMS[type(op)](*parts, axes=dims, norm=op.norm), layout, parts=PARTS)


def emit_irfft(op: Irfft, real: Operand, imaginary: Operand, out: TensorType) -> LoweringResult:
    """Return the code of the transform that has a real result."""
    parts, layout, dims = arrange_parts(op.over, real, imaginary)
    code = IRFFT(*parts, size=op.size, axes=dims, norm=op.norm)
    return inline_result(code, layout)


def arrange_parts(
    axes: tuple[str, ...], real: Operand, imaginary: Operand | None
) -> tuple[list[Expr], Layout, tuple[int, ...]]:
    """Return the real and the imaginary part in one layout, the layout, and the dimensions of the axes in it."""
    parts = [x.unfold_axes() for x in (real, imaginary) if x is not None]
    layout = parts[0].layout
    return [x.to_order(*layout.order).expr for x in parts], layout, tuple(layout.dim(a) for a in axes)
