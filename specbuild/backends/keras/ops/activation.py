"""Activations in Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result, is_fixed, layer_result
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import call_function, emits
from specbuild.codegen.constructions import Construction, literal_expression
from specbuild.codegen.lowering import LoweringResult, Operand, Storage, UnsupportedOp
from specbuild.codegen.tree import Infix
from specbuild.expressions import concrete
from specbuild.ops import activation as ops
from specbuild.ops.activation import (
    Activation,
    Gelu,
    Glu,
    LeakyRelu,
    LogSoftmax,
    Mish,
    Prelu,
    Softmax,
    Softplus,
)
from specbuild.ops.types import TensorType

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
LOG_SOFTMAX = Signature("ops.log_softmax(x, axis=-1)")
GLU = Signature("ops.glu(x, axis=-1)")
PRELU = Signature(
    "layers.PReLU(alpha_initializer='Zeros', alpha_regularizer=None, alpha_constraint=None, shared_axes=None)"
)


def activation_layer(name: str) -> Callable[..., Construction]:
    """The layer of an activation that has no layer of its own; one with attributes has none at all."""
    return lambda: ACTIVATION.construct(name)


# op: as a function, as a layer if there is one; our names of its attributes by those that Keras gives them
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
    op: (Signature(function), make, names) for op, (function, make, names) in ELEMENTWISE.items()
}


@emits(*ACTIVATION_SIGNATURES)
def emit_activation(op: Activation, x: Operand, out: TensorType) -> LoweringResult:
    function, make, names = ACTIVATION_SIGNATURES[type(op)]
    attributes = {theirs: getattr(op, ours) for theirs, ours in names.items()}
    return inline_result(function(x.expr, **attributes), x.layout, make(**attributes) if make else None)


@emits(LeakyRelu)
def emit_leaky_relu(op: LeakyRelu, x: Operand, out: TensorType) -> LoweringResult:
    function, module = LEAKY_RELU
    layer = (
        module.construct(negative_slope=op.slope) if concrete(op.slope) >= 0 else None
    )  # it takes no other
    return inline_result(function(x.expr, negative_slope=op.slope), x.layout, layer)


@emits(Gelu)
def emit_gelu(op: Gelu, x: Operand, out: TensorType) -> LoweringResult:
    function, module = GELU
    tanh = op.approximate == "tanh"
    return inline_result(
        function(x.expr, approximate=tanh),
        x.layout,
        module.construct(approximate=True) if tanh else ACTIVATION.construct("gelu"),
    )


@emits(Mish)
def emit_mish(op: Mish, x: Operand, out: TensorType) -> LoweringResult:
    # keras.activations.mish does not take the symbolic values of a model
    return inline_result(Infix("*", x.expr, TANH(SOFTPLUS(x.expr))), x.layout, ACTIVATION.construct("mish"))


@emits(Softplus)
def emit_softplus(op: Softplus, x: Operand, out: TensorType) -> LoweringResult:
    if is_fixed(op.beta, 1):
        return inline_result(SOFTPLUS(x.expr), x.layout, ACTIVATION.construct("softplus"))
    return inline_result(
        Infix("/", SOFTPLUS(Infix("*", x.expr, literal_expression(op.beta))), literal_expression(op.beta)),
        x.layout,
    )


@emits(Prelu)
def emit_prelu(op: Prelu, x: Operand, out: TensorType) -> LoweringResult:
    if not x.layout.batched:
        raise UnsupportedOp("it has slopes for the axes after the batch, and this value has no batch")
    here = x if op.over is None else unfold_axes(x, (op.over,))
    shared = tuple(here.dim(a) for a in here.order if a != op.over)
    shape = tuple(concrete(here[a]) if a == op.over else 1 for a in here.order)
    make = PRELU.construct(alpha_initializer=emit_initializer(op.init, "Zeros"), shared_axes=shared or None)
    return layer_result(make, here, weights={"slope": Storage("alpha", shape=shape)})


def axis_argument(x: Operand, axes: tuple[str, ...]) -> Any:
    """Where axes stand: one number, -1 if it is the last, or a tuple."""
    dims = x.sorted_dims(axes)
    return dims if len(dims) > 1 else -1 if dims[0] == x.layout.rank - 1 else dims[0]


@emits(Softmax)
def emit_softmax(op: Softmax, x: Operand, out: TensorType) -> LoweringResult:
    function, module = SOFTMAX
    here = unfold_axes(x, op.over)
    axis = axis_argument(here, op.over)
    if len(op.over) > 1:
        return layer_result(module.construct(axis=axis), here)  # the function fails on several axes
    return inline_result(function(here.expr, axis=axis), here.layout, module.construct(axis=axis))


@emits(LogSoftmax)
def emit_log_softmax(op: LogSoftmax, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    axis = axis_argument(here, op.over)
    if len(op.over) > 1:
        total = call_function("ops.logsumexp", here.expr, axis=axis, keepdims=True)
        return inline_result(Infix("-", here.expr, total), here.layout)
    return inline_result(
        LOG_SOFTMAX(here.expr, axis=axis),
        here.layout,
        ACTIVATION.construct("log_softmax") if axis == -1 else None,
    )


@emits(Glu)
def emit_glu(op: Glu, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, (op.over,))
    axis = axis_argument(here, (op.over,))
    return inline_result(
        GLU(here.expr, axis=axis), here.layout
    )  # an Activation would promise the size that goes in
