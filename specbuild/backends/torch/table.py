"""Learned tensors and tables in PyTorch."""

from __future__ import annotations

from specbuild.axes import Tensor
from specbuild.backends.torch.base import backend, emits
from specbuild.emit.code import Call, Name
from specbuild.emit.layout import Layout
from specbuild.emit.lower import Result, Stored
from specbuild.emit.made import SELF, Argument, Construct, literal
from specbuild.ops.table import Weight


@emits(Weight)
def weight(op: Weight, out: Tensor) -> Result:
    order = backend.natural(out)
    sizes = tuple(literal(out[a]) for a in order) or (literal(()),)
    held = tuple(out.axes.index(a) for a in order)
    empty = Call(Name("torch.empty"), sizes)
    make = Construct("nn.Parameter", (Argument("data", empty),)) if op.trained else empty
    layout, inits = Layout(order, (), False), (("", op.init),)
    return Result(SELF, layout, make, inits=inits, buffer=not op.trained, weights={"value": Stored("", held)})
