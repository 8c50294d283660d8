"""Fourier transforms in Keras."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.fourier import PARTS, arrange_parts
from specbuild.backends.keras.framework import emits
from specbuild.backends.signatures import Signature
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.fourier import ComplexResult, Fft, Ifft, Irfft, Rfft
from specbuild.ops.types import TensorType

TRANSFORMS: dict[type[ComplexResult], Signature] = {
    Fft: Signature("fft(real, imaginary=None, axes=(-1,), norm='backward')"),
    Ifft: Signature("ifft(real, imaginary=None, axes=(-1,), norm='backward')"),
    Rfft: Signature("rfft(x, axes=(-1,), norm='backward')"),
}
IRFFT = Signature("irfft(real, imaginary, size=None, axes=(-1,), norm='backward')")


@emits(*TRANSFORMS)
def emit_transform(
    op: ComplexResult, real: Operand, imaginary: Operand | None = None, *, out: TensorType
) -> LoweringResult:
    parts, layout, dims = arrange_parts(op.over, real, imaginary)
    return LoweringResult(TRANSFORMS[type(op)](*parts, axes=dims, norm=op.norm), layout, parts=PARTS)


@emits(Irfft)
def emit_irfft(op: Irfft, real: Operand, imaginary: Operand, out: TensorType) -> LoweringResult:
    parts, layout, dims = arrange_parts(op.over, real, imaginary)
    code = IRFFT(*parts, size=op.size, axes=dims, norm=op.norm)
    return inline_result(code, layout)
