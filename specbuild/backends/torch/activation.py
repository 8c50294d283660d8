"""Activations in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.axes import Tensor
from specbuild.backends.backend import External, inline
from specbuild.backends.torch.base import emits, method
from specbuild.emit.code import Expr
from specbuild.emit.lower import Operand, Result
from specbuild.ops.activation import Activation, Gelu, Relu, Sigmoid, Softmax

# op: as a function, as a module, and its attributes under the names that PyTorch gives them
ELEMENTWISE: dict[type[Activation], tuple[External, External, dict[str, str]]] = {
    Relu: (External("F.relu(input, inplace=False)"), External("nn.ReLU(inplace=False)"), {}),
    Sigmoid: (External("torch.sigmoid(input)"), External("nn.Sigmoid()"), {}),
    Gelu: (External("F.gelu(input, approximate='none')"), External("nn.GELU(approximate='none')"), {"approximate": "approximate"}),
}
SOFTMAX = External("F.softmax(input, dim)"), External("nn.Softmax(dim)")


@emits(*ELEMENTWISE)
def elementwise(op: Activation, x: Operand, out: Tensor) -> Result:
    function, module, names = ELEMENTWISE[type(op)]
    attributes: dict[str, Any] = {theirs: getattr(op, ours) for ours, theirs in names.items()}
    return inline(function(x.expr, **attributes), x.layout, module.made(**attributes))


@emits(Softmax)
def softmax(op: Softmax, x: Operand, out: Tensor) -> Result:
    function, module = SOFTMAX
    if len(op.over) == 1:
        here = x.unfolded() if op.over[0] in x.layout.folded else x
        dim = here.dim(op.over[0])
        dim = -1 if dim == here.layout.rank - 1 else dim
        return inline(function(here.expr, dim), here.layout, module.made(dim))
    here = x.last(*op.over)
    start = here.layout.rank - len(op.over)
    sizes = tuple(out[a] for a in op.over)
    flat: Expr = method(here.expr, "flatten", start)
    return inline(method(function(flat, -1), "unflatten", -1, sizes), here.layout)
