"""Activations in Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, fixed, inline, layer
from specbuild.backends.keras.initializers import initializer
from specbuild.backends.keras.layout import call, emits
from specbuild.codegen.constructions import Construct, literal
from specbuild.codegen.lowering import Operand, Result, Stored, Unsupported
from specbuild.codegen.tree import Infix
from specbuild.expressions import plain
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
from specbuild.ops.types import Tensor

ACTIVATION = External("layers.Activation(activation)")
RELU = External("layers.ReLU(max_value=None, negative_slope=0.0, threshold=0.0)")
LEAKY_RELU = (
    External("ops.leaky_relu(x, negative_slope=0.2)"),
    External("layers.LeakyReLU(negative_slope=0.3)"),
)
ELU = External("layers.ELU(alpha=1.0)")
GELU = External("ops.gelu(x, approximate=True)"), External("GELU(approximate=False)")
SOFTPLUS = External("ops.softplus(x)")
TANH = External("ops.tanh(x)")
SOFTMAX = External("ops.softmax(x, axis=-1)"), External("layers.Softmax(axis=-1)")
LOG_SOFTMAX = External("ops.log_softmax(x, axis=-1)")
GLU = External("ops.glu(x, axis=-1)")
PRELU = External(
    "layers.PReLU(alpha_initializer='Zeros', alpha_regularizer=None, alpha_constraint=None, shared_axes=None)"
)


def named(name: str) -> Callable[..., Construct]:
    """The layer of an activation that has no layer of its own; one with attributes has none at all."""
    return lambda: ACTIVATION.made(name)


# op: as a function, as a layer if there is one; our names of its attributes by those that Keras gives them
ELEMENTWISE: dict[type[Activation], tuple[str, Callable[..., Construct] | None, dict[str, str]]] = {
    ops.Relu: ("ops.relu(x)", RELU.made, {}),
    ops.Relu6: ("ops.relu6(x)", named("relu6"), {}),
    ops.Elu: ("ops.elu(x, alpha=1.0)", ELU.made, {"alpha": "alpha"}),
    ops.Selu: ("ops.selu(x)", named("selu"), {}),
    ops.Celu: ("ops.celu(x, alpha=1.0)", None, {"alpha": "alpha"}),
    ops.Silu: ("ops.silu(x)", named("silu"), {}),
    ops.Softsign: ("ops.softsign(x)", named("softsign"), {}),
    ops.Sigmoid: ("ops.sigmoid(x)", named("sigmoid"), {}),
    ops.HardSigmoid: ("ops.hard_sigmoid(x)", named("hard_sigmoid"), {}),
    ops.HardSilu: ("ops.hard_silu(x)", named("hard_silu"), {}),
    ops.LogSigmoid: ("ops.log_sigmoid(x)", named("log_sigmoid"), {}),
    ops.Tanh: ("ops.tanh(x)", named("tanh"), {}),
    ops.HardTanh: ("ops.hard_tanh(x)", named("hard_tanh"), {}),
    ops.TanhShrink: ("ops.tanh_shrink(x)", named("tanh_shrink"), {}),
    ops.SoftShrink: ("ops.soft_shrink(x, threshold=0.5)", None, {"threshold": "threshold"}),
    ops.HardShrink: ("ops.hard_shrink(x, threshold=0.5)", None, {"threshold": "threshold"}),
    ops.Threshold: (
        "ops.threshold(x, threshold, default_value)",
        None,
        {"threshold": "threshold", "default_value": "value"},
    ),
}
FORMS = {op: (External(function), make, names) for op, (function, make, names) in ELEMENTWISE.items()}


@emits(*FORMS)
def elementwise(op: Activation, x: Operand, out: Tensor) -> Result:
    function, make, names = FORMS[type(op)]
    attributes = {theirs: getattr(op, ours) for theirs, ours in names.items()}
    return inline(function(x.expr, **attributes), x.layout, make(**attributes) if make else None)


@emits(LeakyRelu)
def leaky_relu(op: LeakyRelu, x: Operand, out: Tensor) -> Result:
    function, module = LEAKY_RELU
    layer = module.made(negative_slope=op.slope) if plain(op.slope) >= 0 else None  # it takes no other
    return inline(function(x.expr, negative_slope=op.slope), x.layout, layer)


@emits(Gelu)
def gelu(op: Gelu, x: Operand, out: Tensor) -> Result:
    function, module = GELU
    tanh = op.approximate == "tanh"
    return inline(
        function(x.expr, approximate=tanh),
        x.layout,
        module.made(approximate=True) if tanh else ACTIVATION.made("gelu"),
    )


@emits(Mish)
def mish(op: Mish, x: Operand, out: Tensor) -> Result:
    # keras.activations.mish does not take the symbolic values of a model
    return inline(Infix("*", x.expr, TANH(SOFTPLUS(x.expr))), x.layout, ACTIVATION.made("mish"))


@emits(Softplus)
def softplus(op: Softplus, x: Operand, out: Tensor) -> Result:
    if fixed(op.beta, 1):
        return inline(SOFTPLUS(x.expr), x.layout, ACTIVATION.made("softplus"))
    return inline(Infix("/", SOFTPLUS(Infix("*", x.expr, literal(op.beta))), literal(op.beta)), x.layout)


@emits(Prelu)
def prelu(op: Prelu, x: Operand, out: Tensor) -> Result:
    if not x.layout.batched:
        raise Unsupported("it has slopes for the axes after the batch, and this value has no batch")
    here = x if op.over is None else unfolded(x, (op.over,))
    shared = tuple(here.dim(a) for a in here.order if a != op.over)
    shape = tuple(plain(here[a]) if a == op.over else 1 for a in here.order)
    make = PRELU.made(alpha_initializer=initializer(op.init, "Zeros"), shared_axes=shared or None)
    return layer(make, here, weights={"slope": Stored("alpha", shape=shape)})


def dimensions(x: Operand, axes: tuple[str, ...]) -> Any:
    """Where axes stand: one number, -1 if it is the last, or a tuple."""
    dims = x.dims(axes)
    return dims if len(dims) > 1 else -1 if dims[0] == x.layout.rank - 1 else dims[0]


@emits(Softmax)
def softmax(op: Softmax, x: Operand, out: Tensor) -> Result:
    function, module = SOFTMAX
    here = unfolded(x, op.over)
    axis = dimensions(here, op.over)
    if len(op.over) > 1:
        return layer(module.made(axis=axis), here)  # the function fails on several axes
    return inline(function(here.expr, axis=axis), here.layout, module.made(axis=axis))


@emits(LogSoftmax)
def log_softmax(op: LogSoftmax, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    axis = dimensions(here, op.over)
    if len(op.over) > 1:
        total = call("ops.logsumexp", here.expr, axis=axis, keepdims=True)
        return inline(Infix("-", here.expr, total), here.layout)
    return inline(
        LOG_SOFTMAX(here.expr, axis=axis), here.layout, ACTIVATION.made("log_softmax") if axis == -1 else None
    )


@emits(Glu)
def glu(op: Glu, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, (op.over,))
    axis = dimensions(here, (op.over,))
    return inline(GLU(here.expr, axis=axis), here.layout)  # an Activation would promise the size that goes in
