"""Activations in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, inline, layer
from specbuild.backends.torch.layout import emits, method
from specbuild.codegen.lowering import Operand, Result, Stored, Unsupported
from specbuild.codegen.tree import Infix
from specbuild.ops import activation as ops
from specbuild.ops.activation import Activation, Glu, LogSoftmax, Prelu, Softmax
from specbuild.ops.types import Tensor

# op: as a function, as a module; our names of its attributes by those that PyTorch gives them
ELEMENTWISE: dict[type[Activation], tuple[str, str, dict[str, str]]] = {
    ops.Relu: ("F.relu(input, inplace=False)", "nn.ReLU(inplace=False)", {}),
    ops.Relu6: ("F.relu6(input, inplace=False)", "nn.ReLU6(inplace=False)", {}),
    ops.LeakyRelu: (
        "F.leaky_relu(input, negative_slope=0.01, inplace=False)",
        "nn.LeakyReLU(negative_slope=0.01, inplace=False)",
        {"negative_slope": "slope"},
    ),
    ops.Elu: (
        "F.elu(input, alpha=1.0, inplace=False)",
        "nn.ELU(alpha=1.0, inplace=False)",
        {"alpha": "alpha"},
    ),
    ops.Selu: ("F.selu(input, inplace=False)", "nn.SELU(inplace=False)", {}),
    ops.Celu: (
        "F.celu(input, alpha=1.0, inplace=False)",
        "nn.CELU(alpha=1.0, inplace=False)",
        {"alpha": "alpha"},
    ),
    ops.Gelu: (
        "F.gelu(input, approximate='none')",
        "nn.GELU(approximate='none')",
        {"approximate": "approximate"},
    ),
    ops.Silu: ("F.silu(input, inplace=False)", "nn.SiLU(inplace=False)", {}),
    ops.Mish: ("F.mish(input, inplace=False)", "nn.Mish(inplace=False)", {}),
    ops.Softplus: (
        "F.softplus(input, beta=1.0, threshold=20.0)",
        "nn.Softplus(beta=1.0, threshold=20.0)",
        {"beta": "beta"},
    ),
    ops.Softsign: ("F.softsign(input)", "nn.Softsign()", {}),
    ops.Sigmoid: ("torch.sigmoid(input)", "nn.Sigmoid()", {}),
    ops.HardSigmoid: ("F.hardsigmoid(input, inplace=False)", "nn.Hardsigmoid(inplace=False)", {}),
    ops.HardSilu: ("F.hardswish(input, inplace=False)", "nn.Hardswish(inplace=False)", {}),
    ops.LogSigmoid: ("F.logsigmoid(input)", "nn.LogSigmoid()", {}),
    ops.Tanh: ("torch.tanh(input)", "nn.Tanh()", {}),
    ops.HardTanh: (
        "F.hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False)",
        "nn.Hardtanh(min_val=-1.0, max_val=1.0, inplace=False)",
        {},
    ),
    ops.TanhShrink: ("F.tanhshrink(input)", "nn.Tanhshrink()", {}),
    ops.SoftShrink: ("F.softshrink(input, lambd=0.5)", "nn.Softshrink(lambd=0.5)", {"lambd": "threshold"}),
    ops.HardShrink: ("F.hardshrink(input, lambd=0.5)", "nn.Hardshrink(lambd=0.5)", {"lambd": "threshold"}),
    ops.Threshold: (
        "F.threshold(input, threshold, value, inplace=False)",
        "nn.Threshold(threshold, value, inplace=False)",
        {"threshold": "threshold", "value": "value"},
    ),
}
FORMS = {
    op: (External(function), External(module), names) for op, (function, module, names) in ELEMENTWISE.items()
}
SOFTMAX = External("F.softmax(input, dim=None)"), External("nn.Softmax(dim=None)")
LOG_SOFTMAX = External("F.log_softmax(input, dim=None)"), External("nn.LogSoftmax(dim=None)")
GLU = External("F.glu(input, dim=-1)"), External("nn.GLU(dim=-1)")
PRELU = External("nn.PReLU(num_parameters=1, init=0.25)")


@emits(*FORMS)
def elementwise(op: Activation, x: Operand, out: Tensor) -> Result:
    function, module, names = FORMS[type(op)]
    attributes = {theirs: getattr(op, ours) for theirs, ours in names.items()}
    return inline(function(x.expr, **attributes), x.layout, module.made(**attributes))


@emits(Prelu)
def prelu(op: Prelu, x: Operand, out: Tensor) -> Result:
    here = x if op.over is None else unfolded(x, (op.over,))
    if op.over is not None:
        if not x.layout.batched:
            raise Unsupported("it has slopes for the axis after the batch, and this value has no batch")
        here = here.to(op.over, *(a for a in here.order if a != op.over), folded=here.layout.folded)
    count = 1 if op.over is None else here[op.over]
    weights = {"slope": Stored("weight")}
    if op.init.kind == "constant":
        return layer(PRELU.made(count, init=op.init.args[0]), here, weights=weights)
    return layer(PRELU.made(count), here, inits=(("weight", op.init),), weights=weights)


def dimension(x: Operand, axis: str) -> int:
    """Where an axis stands; -1 if it is the last."""
    dim = x.dim(axis)
    return -1 if dim == x.layout.rank - 1 else dim


@emits(Softmax)
def softmax(op: Softmax, x: Operand, out: Tensor) -> Result:
    function, module = SOFTMAX
    here = unfolded(x, op.over)
    if len(op.over) == 1:
        dim = dimension(here, op.over[0])
        return inline(function(here.expr, dim=dim), here.layout, module.made(dim=dim))
    dims = here.dims(op.over)
    if dims[-1] - dims[0] >= len(dims):
        here = here.last(*op.over)
        dims = here.dims(op.over)
    flat = method(here.expr, "flatten", *dims[:1], *(() if dims[-1] == here.layout.rank - 1 else dims[-1:]))
    return inline(method(function(flat, dim=dims[0]), "view_as", here.expr), here.layout)


@emits(LogSoftmax)
def log_softmax(op: LogSoftmax, x: Operand, out: Tensor) -> Result:
    function, module = LOG_SOFTMAX
    here = unfolded(x, op.over)
    if len(op.over) == 1:
        dim = dimension(here, op.over[0])
        return inline(function(here.expr, dim=dim), here.layout, module.made(dim=dim))
    return inline(
        Infix("-", here.expr, method(here.expr, "logsumexp", here.dims(op.over), keepdim=True)), here.layout
    )


@emits(Glu)
def glu(op: Glu, x: Operand, out: Tensor) -> Result:
    function, module = GLU
    here = unfolded(x, (op.over,))
    dim = dimension(here, op.over)
    return inline(function(here.expr, dim=dim), here.layout, module.made(dim=dim))
