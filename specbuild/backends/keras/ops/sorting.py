"""Sorting in Keras."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.indexing import axis_index
from specbuild.backends.keras.framework import emits
from specbuild.backends.signatures import Signature
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.sorting import Sort, TopK
from specbuild.ops.types import TensorType

SORT = Signature("sort(x, axis=-1, descending=False)")
TOP_K = Signature("top_k(x, k, axis=-1, largest=True)")
PARTS = ("values", "indices")


@emits(Sort)
def emit_sort(op: Sort, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    code = SORT(x.expr, axis=axis_index(x.layout, op.over), descending=op.descending)
    return LoweringResult(code, x.layout, parts=PARTS)


@emits(TopK)
def emit_top_k(op: TopK, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    code = TOP_K(x.expr, op.k, axis=axis_index(x.layout, op.over), largest=op.largest)
    return LoweringResult(code, x.layout, parts=PARTS)
