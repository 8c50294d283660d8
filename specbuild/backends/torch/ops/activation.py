"""Activations in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, layer_result
from specbuild.backends.torch.layout import call_method, emits
from specbuild.codegen.lowering import LoweringResult, Operand, Storage, UnsupportedOp
from specbuild.codegen.tree import Infix
from specbuild.ops import activation as ops
from specbuild.ops.activation import Activation, Glu, LogSoftmax, Prelu, Softmax
from specbuild.ops.types import TensorType

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
ACTIVATION_SIGNATURES = {
    op: (Signature(function), Signature(module), names)
    for op, (function, module, names) in ELEMENTWISE.items()
}
SOFTMAX = Signature("F.softmax(input, dim=None)"), Signature("nn.Softmax(dim=None)")
LOG_SOFTMAX = Signature("F.log_softmax(input, dim=None)"), Signature("nn.LogSoftmax(dim=None)")
GLU = Signature("F.glu(input, dim=-1)"), Signature("nn.GLU(dim=-1)")
PRELU = Signature("nn.PReLU(num_parameters=1, init=0.25)")


@emits(*ACTIVATION_SIGNATURES)
def emit_activation(op: Activation, x: Operand, out: TensorType) -> LoweringResult:
    function, module, names = ACTIVATION_SIGNATURES[type(op)]
    attributes = {theirs: getattr(op, ours) for theirs, ours in names.items()}
    return inline_result(function(x.expr, **attributes), x.layout, module.construct(**attributes))


@emits(Prelu)
def emit_prelu(op: Prelu, x: Operand, out: TensorType) -> LoweringResult:
    here = x if op.over is None else unfold_axes(x, (op.over,))
    if op.over is not None:
        if not x.layout.batched:
            raise UnsupportedOp("it has slopes for the axis after the batch, and this value has no batch")
        here = here.to_order(op.over, *(a for a in here.order if a != op.over), folded=here.layout.folded)
    count = 1 if op.over is None else here[op.over]
    weights = {"slope": Storage("weight")}
    if op.init.kind == "constant":
        return layer_result(PRELU.construct(count, init=op.init.args[0]), here, weights=weights)
    return layer_result(PRELU.construct(count), here, inits=(("weight", op.init),), weights=weights)


def axis_index(x: Operand, axis: str) -> int:
    """Where an axis stands; -1 if it is the last."""
    dim = x.dim(axis)
    return -1 if dim == x.layout.rank - 1 else dim


@emits(Softmax)
def emit_softmax(op: Softmax, x: Operand, out: TensorType) -> LoweringResult:
    function, module = SOFTMAX
    here = unfold_axes(x, op.over)
    if len(op.over) == 1:
        dim = axis_index(here, op.over[0])
        return inline_result(function(here.expr, dim=dim), here.layout, module.construct(dim=dim))
    dims = here.sorted_dims(op.over)
    if dims[-1] - dims[0] >= len(dims):
        here = here.move_last(*op.over)
        dims = here.sorted_dims(op.over)
    flat = call_method(
        here.expr, "flatten", *dims[:1], *(() if dims[-1] == here.layout.rank - 1 else dims[-1:])
    )
    return inline_result(call_method(function(flat, dim=dims[0]), "view_as", here.expr), here.layout)


@emits(LogSoftmax)
def emit_log_softmax(op: LogSoftmax, x: Operand, out: TensorType) -> LoweringResult:
    function, module = LOG_SOFTMAX
    here = unfold_axes(x, op.over)
    if len(op.over) == 1:
        dim = axis_index(here, op.over[0])
        return inline_result(function(here.expr, dim=dim), here.layout, module.construct(dim=dim))
    return inline_result(
        Infix("-", here.expr, call_method(here.expr, "logsumexp", here.sorted_dims(op.over), keepdim=True)),
        here.layout,
    )


@emits(Glu)
def emit_glu(op: Glu, x: Operand, out: TensorType) -> LoweringResult:
    function, module = GLU
    here = unfold_axes(x, (op.over,))
    dim = axis_index(here, op.over)
    return inline_result(function(here.expr, dim=dim), here.layout, module.construct(dim=dim))
