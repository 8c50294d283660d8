"""Sampling at the points of a grid in PyTorch."""

from __future__ import annotations

from specbuild.backends.base import inline_result
from specbuild.backends.sampling import sampling_operands
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import emits
from specbuild.backends.torch.ops.merge import repeat_for_batch
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.sampling import GridSample
from specbuild.ops.types import TensorType

# `align_corners` is always written: without it, PyTorch warns
GRID_SAMPLE = Signature(
    "F.grid_sample(input, grid, mode='bilinear', padding_mode='zeros', align_corners=None)",
    always_written=("align_corners",),
)


@emits(GridSample)
def emit_grid_sample(op: GridSample, x: Operand, grid: Operand, out: TensorType) -> LoweringResult:
    operands = sampling_operands(op, x, grid, False, repeat_for_batch)
    code = GRID_SAMPLE(
        operands.map,
        operands.grid,
        mode=op.mode,
        padding_mode=op.padding_mode,
        align_corners=op.align_corners,
    )
    return inline_result(operands.remove_added(code), operands.layout)
