"""Activations in PyTorch."""

from __future__ import annotations

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, layer_result
from specbuild.backends.indexing import axis_index
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.codegen.lowered_steps import LoweringResult, MissingBatch, Storage
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Infix
from specbuild.ops import activation as ops
from specbuild.ops.activation import Activation, Glu, LogSoftmax, Prelu, Softmax
from specbuild.ops.types import TensorType

# op -> function, module, and the op attribute for each argument
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
    arguments = {argument: getattr(op, attribute) for argument, attribute in names.items()}
    return inline_result(function(x.expr, **arguments), x.layout, module.construct(**arguments))


@emits(Prelu)
def emit_prelu(op: Prelu, x: Operand, out: TensorType) -> LoweringResult:
    x = x if op.over is None else unfold_axes(x, (op.over,))
    if op.over is not None:
        if not x.layout.batched:
            raise MissingBatch("its PReLU needs a batch dimension, and this value has none")
        x = x.to_order(op.over, *(a for a in x.order if a != op.over), batch_axes=x.layout.batch_axes)
    count = 1 if op.over is None else x[op.over]
    weights = {"slope": Storage("weight")}
    if op.init.kind == "constant":
        return layer_result(PRELU.construct(count, init=op.init.args[0]), x, weights=weights)
    return layer_result(PRELU.construct(count), x, inits=(("weight", op.init),), weights=weights)


@emits(Softmax)
def emit_softmax(op: Softmax, x: Operand, out: TensorType) -> LoweringResult:
    function, module = SOFTMAX
    x = unfold_axes(x, op.over)
    if len(op.over) == 1:
        dim = axis_index(x.layout, op.over[0])
        return inline_result(function(x.expr, dim=dim), x.layout, module.construct(dim=dim))
    dims = x.sorted_dims(op.over)
    if dims[-1] - dims[0] >= len(dims):  # not adjacent
        x = x.move_last(*op.over)
        dims = x.sorted_dims(op.over)
    end = () if dims[-1] == x.layout.rank - 1 else dims[-1:]
    flat = call_method(x.expr, "flatten", *dims[:1], *end)
    return inline_result(call_method(function(flat, dim=dims[0]), "view_as", x.expr), x.layout)


@emits(LogSoftmax)
def emit_log_softmax(op: LogSoftmax, x: Operand, out: TensorType) -> LoweringResult:
    function, module = LOG_SOFTMAX
    x = unfold_axes(x, op.over)
    if len(op.over) == 1:
        dim = axis_index(x.layout, op.over[0])
        return inline_result(function(x.expr, dim=dim), x.layout, module.construct(dim=dim))
    total = call_method(x.expr, "logsumexp", x.sorted_dims(op.over), keepdim=True)
    return inline_result(Infix("-", x.expr, total), x.layout)


@emits(Glu)
def emit_glu(op: Glu, x: Operand, out: TensorType) -> LoweringResult:
    function, module = GLU
    x = unfold_axes(x, (op.over,))
    dim = axis_index(x.layout, op.over)
    return inline_result(function(x.expr, dim=dim), x.layout, module.construct(dim=dim))
