"""Pooling in PyTorch."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.backend import External, layer, scalar
from specbuild.backends.torch.base import emits
from specbuild.backends.torch.mix import padded, places, symmetric
from specbuild.emit.code import Call
from specbuild.emit.lower import Operand, Result
from specbuild.emit.made import SELF
from specbuild.ops.pool import MaxPool

MAX_POOL = {
    n: External(f"nn.MaxPool{n}d(kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False)") for n in (1, 2, 3)
}


@emits(MaxPool)
def max_pool(op: MaxPool, x: Operand, out: Tensor) -> Result:
    window = op.window(x.type)
    here = places(x, window.axes)
    padding = symmetric(window)
    make = MAX_POOL[len(window.axes)].made(
        scalar(window.kernel),
        stride=None if op.stride is None else scalar(window.stride),
        padding=0 if padding is None else padding,
        dilation=scalar(window.dilation),
        ceil_mode=op.ceil_mode,
    )
    if padding is not None:
        return layer(make, here)
    return Result(Call(SELF, (padded(here.expr, window, value=float("-inf")),)), here.layout, make)
