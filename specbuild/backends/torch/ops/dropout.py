"""Dropout in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, is_fixed, layer_result
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import emits
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Index, Infix, Literal, Name, SliceExpr
from specbuild.ops.dropout import Dropout, DropPath
from specbuild.ops.types import TensorType

DROPOUT = Signature("nn.Dropout(p=0.5, inplace=False)")
CHANNEL_DROPOUT = {n: Signature(f"nn.Dropout{n}d(p=0.5, inplace=False)") for n in (1, 2, 3)}
DROP_PATH = Signature("DropPath(rate)")
IDENTITY = Signature("nn.Identity()")


@emits(Dropout)
def emit_dropout(op: Dropout, x: Operand, out: TensorType) -> LoweringResult:
    if is_fixed(op.rate, 0):
        return inline_result(x.expr, x.layout, IDENTITY.construct())
    if not op.over:
        return layer_result(DROPOUT.construct(p=op.rate), x)
    x = unfold_axes(x, op.over)
    if len(op.over) in CHANNEL_DROPOUT and set(x.order[1:]) == set(op.over) and x.layout.batched:
        return layer_result(CHANNEL_DROPOUT[len(op.over)].construct(p=op.rate), x)
    items = [SliceExpr(upper=Literal(1)) if a in op.over else SliceExpr() for a in x.order]
    while items[-1] == SliceExpr():
        items.pop()
    one_per_group = Index(x.expr, (*([SliceExpr()] if x.layout.batched else []), *items))
    mask = Call(OWN_MEMBER, (Call(Name("torch.ones_like"), (one_per_group,)),))
    return LoweringResult(Infix("*", x.expr, mask), x.layout, DROPOUT.construct(p=op.rate))


@emits(DropPath)
def emit_drop_path(op: DropPath, x: Operand, out: TensorType) -> LoweringResult:
    if is_fixed(op.rate, 0):
        return inline_result(x.expr, x.layout, IDENTITY.construct())
    return layer_result(DROP_PATH.construct(op.rate), x.unfold_axes())
