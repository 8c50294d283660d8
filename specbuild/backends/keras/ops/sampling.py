"""Sampling at the points of a grid in Keras."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.keras.framework import emits
from specbuild.backends.keras.ops.merge import repeat_batch
from specbuild.backends.sampling import sampling_operands
from specbuild.backends.signatures import Signature
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.sampling import GridSample
from specbuild.ops.types import TensorType

GRID_SAMPLE = Signature("grid_sample(x, grid, mode='bilinear', padding_mode='zeros', align_corners=False)")


@emits(GridSample)
def emit_grid_sample(op: GridSample, x: Operand, grid: Operand, out: TensorType) -> LoweringResult:
    operands = sampling_operands(op, x, grid, True, repeat_batch)
    code = GRID_SAMPLE(
        operands.map,
        operands.grid,
        mode=op.mode,
        padding_mode=op.padding_mode,
        align_corners=op.align_corners,
    )
    return inline_result(operands.remove_added(code), operands.layout)
