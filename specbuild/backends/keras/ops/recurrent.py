"""Recurrent layers in Keras."""

from __future__ import annotations

from dataclasses import replace

from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import emits
from specbuild.backends.signatures import Signature
from specbuild.codegen.constructions import SELF
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, Storage, UnsupportedOp
from specbuild.codegen.tree import Call, Literal
from specbuild.ops.recurrent import Gru, Lstm, Recurrent
from specbuild.ops.types import CHANNEL, TensorType

RECURRENT_PARAMETERS = (
    "use_bias=True, kernel_initializer='glorot_uniform', recurrent_initializer='orthogonal', "
    "return_sequences=False"
)
RECURRENT_LAYERS: dict[type[Recurrent], Signature] = {
    Lstm: Signature(f"layers.LSTM(units, {RECURRENT_PARAMETERS})"),
    Gru: Signature(f"layers.GRU(units, {RECURRENT_PARAMETERS})"),
}
BIDIRECTIONAL = Signature("layers.Bidirectional(layer)")
GRU_GATES = (1, 0, 2)  # order of the gates: r, z, n in specbuild; z, r, h in Keras


@emits(Lstm, Gru)
def emit_recurrent(op: Lstm | Gru, x: Operand, out: TensorType) -> LoweringResult:
    if not x.layout.batched:
        raise UnsupportedOp("its recurrent layers need a batch dimension, and this value has none")
    others = tuple(a for a in (*x.layout.folded, *x.order) if a not in (op.over, CHANNEL))
    x = x.to_order(op.over, CHANNEL, folded=others)
    arguments = {
        "use_bias": op.bias,
        "kernel_initializer": emit_initializer(op.init, "glorot_uniform"),
        "recurrent_initializer": emit_initializer(op.recurrent_init, "orthogonal"),
        "return_sequences": op.returns == "sequence",
    }
    if op.bidirectional:
        inner = RECURRENT_LAYERS[type(op)](op.units, **arguments)
        inner = replace(inner, keywords=(*inner.keywords, ("name", Literal(op.name))))
        layer = BIDIRECTIONAL.construct(inner)
    else:
        layer = RECURRENT_LAYERS[type(op)].construct(op.units, **arguments)
    weights = {name: recurrent_storage(op, name) for name in op.weight_specs(x.type)}
    layout = x.layout if op.returns == "sequence" else Layout((CHANNEL,), others)
    return LoweringResult(Call(SELF, (x.expr,)), layout, layer, weights=weights)


def recurrent_storage(op: Lstm | Gru, name: str) -> Storage:
    """Return where Keras stores a weight. An LSTM has the sum of the two biases, a GRU has them stacked."""
    own = name.removeprefix("backward_")
    cell = f"{op.name}_cell"
    if op.bidirectional:
        cell = f"{'forward' if own == name else 'backward'}_{op.name}/{cell}"
    gates = GRU_GATES if isinstance(op, Gru) else None
    if own in ("bias", "recurrent_bias"):
        return Storage(f"{cell}/bias", blocks=gates, stacked=isinstance(op, Gru))
    return Storage(f"{cell}/{own}", (1, 0), blocks=gates)
