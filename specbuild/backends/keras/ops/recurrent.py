"""Recurrent layers in Keras."""

from __future__ import annotations

from dataclasses import replace

from specbuild.backends.base import External
from specbuild.backends.keras.initializers import initializer
from specbuild.backends.keras.layout import emits
from specbuild.codegen.constructions import SELF
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result, Stored, Unsupported
from specbuild.codegen.tree import Call, Literal
from specbuild.ops.recurrent import Gru, Lstm, Recurrent
from specbuild.ops.types import CHANNEL, Tensor

REST = "use_bias=True, kernel_initializer='glorot_uniform', recurrent_initializer='orthogonal', return_sequences=False"
LAYERS: dict[type[Recurrent], External] = {
    Lstm: External(f"layers.LSTM(units, {REST})"),
    Gru: External(f"layers.GRU(units, {REST})"),
}
BIDIRECTIONAL = External("layers.Bidirectional(layer)")
GATES = (1, 0, 2)  # of a GRU: r, z, n here; z, r, h there


@emits(Lstm, Gru)
def recurrent(op: Lstm | Gru, x: Operand, out: Tensor) -> Result:
    if not x.layout.batched:
        raise Unsupported("its recurrent layers read batches, and this value has no batch")
    others = tuple(a for a in (*x.layout.folded, *x.order) if a not in (op.over, CHANNEL))
    here = x.to(op.over, CHANNEL, folded=others)
    arguments = {
        "use_bias": op.bias,
        "kernel_initializer": initializer(op.init, "glorot_uniform"),
        "recurrent_initializer": initializer(op.recurrent_init, "orthogonal"),
        "return_sequences": op.returns == "sequence",
    }
    if op.bidirectional:
        inner = LAYERS[type(op)](op.units, **arguments)
        make = BIDIRECTIONAL.made(replace(inner, keywords=(*inner.keywords, ("name", Literal(op.name)))))
    else:
        make = LAYERS[type(op)].made(op.units, **arguments)
    weights = {name: stored(op, name) for name in op.weights(x.type)}
    layout = here.layout if op.returns == "sequence" else Layout((CHANNEL,), others)
    return Result(Call(SELF, (here.expr,)), layout, make, weights=weights)


def stored(op: Lstm | Gru, name: str) -> Stored:
    """Where a weight is kept: the two biases are summed by an LSTM, stacked by a GRU."""
    own = name.removeprefix("backward_")
    cell = f"{op.name}_cell"
    if op.bidirectional:
        cell = f"{'forward' if own == name else 'backward'}_{op.name}/{cell}"
    gates = GATES if isinstance(op, Gru) else None
    if own in ("bias", "recurrent_bias"):
        return Stored(f"{cell}/bias", blocks=gates, stacked=isinstance(op, Gru))
    return Stored(f"{cell}/{own}", (1, 0), blocks=gates)
