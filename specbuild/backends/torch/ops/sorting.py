"""Sorting in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.indexing import axis_index
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.ops.sorting import Sort, TopK
from specbuild.ops.types import TensorType

TOP_K = Signature("top_k(x, k, axis=-1, largest=True)")
PARTS = ("values", "indices")


@emits(Sort)
def emit_sort(op: Sort, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    descending = {"descending": True} if op.descending else {}
    code = call_method(x.expr, "sort", stable=True, dim=axis_index(x.layout, op.over), **descending)
    return LoweringResult(code, x.layout, parts=PARTS)


@emits(TopK)
def emit_top_k(op: TopK, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, [op.over])
    code = TOP_K(x.expr, op.k, axis=axis_index(x.layout, op.over), largest=op.largest)
    return LoweringResult(code, x.layout, parts=PARTS)
