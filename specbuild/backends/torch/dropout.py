"""Dropout in PyTorch."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.align import unfolded
from specbuild.backends.backend import External, fixed, inline, layer
from specbuild.backends.torch.base import emits
from specbuild.emit.lower import Operand, Result, Unsupported
from specbuild.ops.dropout import Dropout, DropPath

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
    if len(op.over) > 3:
        raise Unsupported("it drops along at most three axes together")
    here = unfolded(x, op.over)
    *others, one = (a for a in (*here.layout.folded, *here.order) if a not in op.over)
    here = here.to(one, *(a for a in here.order if a in op.over), folded=tuple(others))
    return layer(TOGETHER[len(op.over)].made(p=op.rate), here)


@emits(DropPath)
def drop_path(op: DropPath, x: Operand, out: Tensor) -> Result:
    if fixed(op.rate, 0):
        return inline(x.expr, x.layout, IDENTITY.made())
    return layer(DROP_PATH.made(op.rate), x.unfolded())
