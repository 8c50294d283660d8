"""Dropout in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline, layer
from specbuild.backends.torch.layout import emits
from specbuild.codegen.constructions import SELF
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Call, Index, Infix, Literal, Name, Slice
from specbuild.ops.dropout import Dropout, DropPath
from specbuild.ops.types import Tensor

DROPOUT = External("nn.Dropout(p=0.5, inplace=False)")
TOGETHER = {n: External(f"nn.Dropout{n}d(p=0.5, inplace=False)") for n in (1, 2, 3)}
DROP_PATH = External("DropPath(rate)")
IDENTITY = External("nn.Identity()")


@emits(Dropout)
def dropout(op: Dropout, x: Operand, out: Tensor) -> Result:
    if fixed(op.rate, 0):
        return inline(x.expr, x.layout, IDENTITY.made())
    if not op.over:
        return layer(DROPOUT.made(p=op.rate), x)
    here = unfolded(x, op.over)
    if len(op.over) in TOGETHER and set(here.order[1:]) == set(op.over) and here.layout.batched:
        return layer(TOGETHER[len(op.over)].made(p=op.rate), here)
    first = [Slice(upper=Literal(1)) if a in op.over else Slice() for a in here.order]
    while first[-1] == Slice():
        first.pop()
    place = Index(here.expr, (*([Slice()] if here.layout.batched else []), *first))
    mask = Call(SELF, (Call(Name("torch.ones_like"), (place,)),))
    return Result(Infix("*", here.expr, mask), here.layout, DROPOUT.made(p=op.rate))


@emits(DropPath)
def drop_path(op: DropPath, x: Operand, out: Tensor) -> Result:
    if fixed(op.rate, 0):
        return inline(x.expr, x.layout, IDENTITY.made())
    return layer(DROP_PATH.made(op.rate), x.unfolded())
