"""Activations in Keras."""

from __future__ import annotations

from collections.abc import Callable

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import inline_result, is_fixed, layer_result
from specbuild.backends.indexing import axis_argument
from specbuild.backends.keras.framework import call_function, emits
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import Construction, literal_expression
from specbuild.codegen.lowered_steps import LoweringResult, MissingBatch, Storage
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr, Infix, Literal
from specbuild.expressions import concrete
from specbuild.ir.axis_sources import reads_input_size
from specbuild.ops import activation as ops
from specbuild.ops.activation import (
    Activation,
    Celu,
    Elu,
    Gelu,
    Glu,
    LeakyRelu,
    LogSoftmax,
    Mish,
    Prelu,
    Softmax,
    Softplus,
)
from specbuild.ops.types import CHANNEL, TensorType

ACTIVATION = Signature("layers.Activation(activation)")
RELU = Signature("layers.ReLU(max_value=None, negative_slope=0.0, threshold=0.0)")
LEAKY_RELU = (
    Signature("ops.leaky_relu(x, negative_slope=0.2)"),
    Signature("layers.LeakyReLU(negative_slope=0.3)"),
)
ELU = Signature("layers.ELU(alpha=1.0)")
GELU = Signature("ops.gelu(x, approximate=True)"), Signature("GELU(approximate=False)")
SOFTPLUS = Signature("ops.softplus(x)")
TANH = Signature("ops.tanh(x)")
SOFTMAX = Signature("ops.softmax(x, axis=-1)"), Signature("layers.Softmax(axis=-1)")
MAX_SOFTMAX_RANK = 5  # of TensorFlow on a CPU, with oneDNN
LOG_SOFTMAX = Signature("ops.log_softmax(x, axis=-1)")
GLU = Signature("ops.glu(x, axis=-1)")
PRELU = Signature(
    "layers.PReLU(alpha_initializer='Zeros', alpha_regularizer=None, alpha_constraint=None, shared_axes=None)"
)


def activation_layer(name: str) -> Callable[..., Construction]:
    """Return a function that constructs `layers.Activation(name)`."""
    return lambda: ACTIVATION.construct(name)


# op -> function, constructor of the layer if there is one, and the op attribute for each argument
ELEMENTWISE: dict[type[Activation], tuple[str, Callable[..., Construction] | None, dict[str, str]]] = {
    ops.Relu: ("ops.relu(x)", RELU.construct, {}),
    ops.Relu6: ("ops.relu6(x)", activation_layer("relu6"), {}),
    ops.Elu: ("ops.elu(x, alpha=1.0)", ELU.construct, {"alpha": "alpha"}),
    ops.Selu: ("ops.selu(x)", activation_layer("selu"), {}),
    ops.Celu: ("ops.celu(x, alpha=1.0)", None, {"alpha": "alpha"}),
    ops.Silu: ("ops.silu(x)", activation_layer("silu"), {}),
    ops.Softsign: ("ops.softsign(x)", activation_layer("softsign"), {}),
    ops.Sigmoid: ("ops.sigmoid(x)", activation_layer("sigmoid"), {}),
    ops.HardSigmoid: ("ops.hard_sigmoid(x)", activation_layer("hard_sigmoid"), {}),
    ops.HardSilu: ("ops.hard_silu(x)", activation_layer("hard_silu"), {}),
    ops.LogSigmoid: ("ops.log_sigmoid(x)", activation_layer("log_sigmoid"), {}),
    ops.Tanh: ("ops.tanh(x)", activation_layer("tanh"), {}),
    ops.HardTanh: ("ops.hard_tanh(x)", activation_layer("hard_tanh"), {}),
    ops.TanhShrink: ("ops.tanh_shrink(x)", activation_layer("tanh_shrink"), {}),
    ops.SoftShrink: ("ops.soft_shrink(x, threshold=0.5)", None, {"threshold": "threshold"}),
    ops.HardShrink: ("ops.hard_shrink(x, threshold=0.5)", None, {"threshold": "threshold"}),
    ops.Threshold: (
        "ops.threshold(x, threshold, default_value)",
        None,
        {"threshold": "threshold", "default_value": "value"},
    ),
}
ACTIVATION_SIGNATURES = {
    op: (Signature(function), construct, names) for op, (function, construct, names) in ELEMENTWISE.items()
}


@emits(*ACTIVATION_SIGNATURES)
def emit_activation(op: Activation, x: Operand, out: TensorType) -> LoweringResult:
    function, construct, names = ACTIVATION_SIGNATURES[type(op)]
    arguments = {argument: getattr(op, attribute) for argument, attribute in names.items()}
    layer = construct(**arguments) if construct else None
    return inline_result(function(x.expr, **arguments), x.layout, layer)


def emit_below_zero(x: Operand, code: Expr) -> LoweringResult:
    """Return code that computes other values where x is negative; `ops.elu` and similar functions take only Python's numbers."""
    condition = Infix("<", x.expr, Literal(0))
    return inline_result(call_function("ops.where", condition, code, x.expr), x.layout)


@emits(Elu, Celu)
def emit_elu(op: Elu | Celu, x: Operand, out: TensorType) -> LoweringResult:
    if not reads_input_size(x.lowering.block, op.alpha):
        return emit_activation(op, x, out)
    alpha, below = literal_expression(op.alpha), call_function("ops.minimum", x.expr, Literal(0))
    exponent = Infix("/", below, alpha) if isinstance(op, Celu) else below  # finite where x is large
    return emit_below_zero(x, Infix("*", alpha, call_function("ops.expm1", exponent)))


@emits(LeakyRelu)
def emit_leaky_relu(op: LeakyRelu, x: Operand, out: TensorType) -> LoweringResult:
    function, layer_class = LEAKY_RELU
    if reads_input_size(x.lowering.block, op.slope):
        return emit_below_zero(x, Infix("*", x.expr, literal_expression(op.slope)))
    # the layer does not accept a negative slope
    layer = layer_class.construct(negative_slope=op.slope) if concrete(op.slope) >= 0 else None
    return inline_result(function(x.expr, negative_slope=op.slope), x.layout, layer)


@emits(Gelu)
def emit_gelu(op: Gelu, x: Operand, out: TensorType) -> LoweringResult:
    function, layer_class = GELU
    uses_tanh = op.approximate == "tanh"
    layer = layer_class.construct(approximate=True) if uses_tanh else ACTIVATION.construct("gelu")
    return inline_result(function(x.expr, approximate=uses_tanh), x.layout, layer)


@emits(Mish)
def emit_mish(op: Mish, x: Operand, out: TensorType) -> LoweringResult:
    # keras.activations.mish does not accept symbolic values
    return inline_result(Infix("*", x.expr, TANH(SOFTPLUS(x.expr))), x.layout, ACTIVATION.construct("mish"))


@emits(Softplus)
def emit_softplus(op: Softplus, x: Operand, out: TensorType) -> LoweringResult:
    if is_fixed(op.beta, 1):
        return inline_result(SOFTPLUS(x.expr), x.layout, ACTIVATION.construct("softplus"))
    beta = literal_expression(op.beta)
    return inline_result(Infix("/", SOFTPLUS(Infix("*", x.expr, beta)), beta), x.layout)


@emits(Prelu)
def emit_prelu(op: Prelu, x: Operand, out: TensorType) -> LoweringResult:
    if not x.layout.batched:
        raise MissingBatch("its PReLU needs a batch dimension, and this value has none")
    x = x if op.over is None else unfold_axes(x, (op.over,))
    shared_axes = tuple(x.dim(a) for a in x.order if a != op.over)
    shape = tuple(concrete(x[a]) if a == op.over else 1 for a in x.order)
    layer = PRELU.construct(
        alpha_initializer=emit_initializer(op.init, "Zeros"), shared_axes=shared_axes or None
    )
    return layer_result(layer, x, weights={"slope": Storage("alpha", shape=shape)})


@emits(Softmax)
def emit_softmax(op: Softmax, x: Operand, out: TensorType) -> LoweringResult:
    function, layer_class = SOFTMAX
    x = unfold_axes(x, op.over)
    axis = axis_argument(x.layout, op.over)
    if len(op.over) > 1:
        return layer_result(layer_class.construct(axis=axis), x)  # the function fails for several axes
    if x.layout.batched and len(x.order) >= MAX_SOFTMAX_RANK:
        others = [a for a in x.order if a not in op.over]
        folded = others[: len(x.order) + 1 - MAX_SOFTMAX_RANK]
        kept = (a for a in x.order if a not in folded)
        x = x.to_order(*kept, batch_axes=(*x.layout.batch_axes, *folded))
        axis = axis_argument(x.layout, op.over)
    return inline_result(function(x.expr, axis=axis), x.layout, layer_class.construct(axis=axis))


@emits(LogSoftmax)
def emit_log_softmax(op: LogSoftmax, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    axis = axis_argument(x.layout, op.over)
    if len(op.over) > 1:
        total = call_function("ops.logsumexp", x.expr, axis=axis, keepdims=True)
        return inline_result(Infix("-", x.expr, total), x.layout)
    layer = ACTIVATION.construct("log_softmax") if axis == -1 else None
    return inline_result(LOG_SOFTMAX(x.expr, axis=axis), x.layout, layer)


@emits(Glu)
def emit_glu(op: Glu, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    axis = axis_argument(x.layout, (op.over,))
    if op.over != CHANNEL:  # its size may be known only at run time
        return inline_result(call_function("gate_halves", x.expr, axis=axis), x.layout)
    # no layer: layers.Activation expects the output to have the size of the input
    return inline_result(GLU(x.expr, axis=axis), x.layout)
