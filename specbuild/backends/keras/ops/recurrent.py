"""Recurrent layers in Keras."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from specbuild.backends.keras.framework import emits
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.signatures import Signature, call_function
from specbuild.codegen.constructions import OWN_MEMBER, Construction
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, MissingBatch, Storage
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Index, Literal
from specbuild.ops.recurrent import Gru, Lstm, Recurrent, Rnn
from specbuild.ops.types import CHANNEL, TensorType

RECURRENT_PARAMETERS = (
    "use_bias=True, kernel_initializer='glorot_uniform', recurrent_initializer='orthogonal', "
    "return_sequences=False, return_state=False"
)
RECURRENT_LAYERS: dict[type[Recurrent], Signature] = {
    Lstm: Signature(f"layers.LSTM(units, {RECURRENT_PARAMETERS})"),
    Gru: Signature(f"layers.GRU(units, {RECURRENT_PARAMETERS})"),
    Rnn: Signature(f"layers.SimpleRNN(units, activation='tanh', {RECURRENT_PARAMETERS})"),
}
CELLS = {Lstm: "lstm_cell", Gru: "gru_cell", Rnn: "simple_rnn_cell"}
BIDIRECTIONAL = Signature("layers.Bidirectional(layer)")
GRU_GATES = (1, 0, 2)  # order of the gates: r, z, n in specbuild; z, r, h in Keras


@emits(Lstm, Gru, Rnn)
def emit_recurrent(
    op: Recurrent,
    x: Operand,
    lengths: Operand | None,
    mask: Operand | None,
    *initial: Operand | None,
    out: TensorType,
) -> LoweringResult:
    states = [state for state in initial if state is not None]
    if not all(part.layout.batched for part in (x, lengths, mask, *states) if part):
        raise MissingBatch("its recurrent layers need a batch dimension, and this value has none")
    others = tuple(a for a in (*x.layout.batch_axes, *x.order) if a not in (op.over, CHANNEL))
    x = x.to_order(op.over, CHANNEL, batch_axes=others)
    last = Layout((CHANNEL,), others)
    has_states = bool(op.returns == "all" or states or lengths or mask)
    layer = recurrent_layer(op, has_states)
    weights = {name: recurrent_storage(op, name) for name in op.weight_specs(x.type)}
    if not has_states:
        layout = x.layout if op.returns == "sequence" else last
        return LoweringResult(Call(OWN_MEMBER, (x.expr,)), layout, layer, weights=weights)
    keywords: dict[str, Expr] = {}
    if lengths is not None:
        counts = lengths.to_order(batch_axes=others)
        keywords["mask"] = call_function("length_mask", x.expr, counts.expr)
    elif mask is not None:
        keywords["mask"] = mask.to_order(op.over, batch_axes=others).expr
    directions = {"bidirectional": True} if op.bidirectional else {}
    given = [state.to_order(CHANNEL, batch_axes=others).expr for state in states]
    code: Expr = call_function("run_recurrent", OWN_MEMBER, x.expr, *given, **keywords, **directions)
    if op.returns == "all":
        parts = ("sequence", *op.states)
        part_layouts = dict.fromkeys(op.states, last)
        return LoweringResult(code, x.layout, layer, weights=weights, parts=parts, part_layouts=part_layouts)
    is_last = op.returns == "last"
    code = Index(code, (Literal(int(is_last)),))
    return LoweringResult(code, last if is_last else x.layout, layer, weights=weights)


def recurrent_layer(op: Recurrent, has_states: bool) -> Construction:
    """Return the layer; with `has_states`, it also returns its last states."""
    arguments: dict[str, Any] = {
        "use_bias": op.bias,
        "kernel_initializer": emit_initializer(op.init, "glorot_uniform"),
        "recurrent_initializer": emit_initializer(op.recurrent_init, "orthogonal"),
        "return_sequences": has_states or op.returns == "sequence",
        "return_state": has_states,
    }
    if isinstance(op, Rnn):
        arguments["activation"] = op.activation
    signature = RECURRENT_LAYERS[type(op)]
    if not op.bidirectional:
        return signature.construct(op.units, **arguments)
    inner = signature(op.units, **arguments)
    return BIDIRECTIONAL.construct(replace(inner, keywords=(*inner.keywords, ("name", Literal(op.name)))))


def recurrent_storage(op: Recurrent, name: str) -> Storage:
    """Return where Keras stores a weight. A GRU has the two biases stacked, the other layers have their sum."""
    own = name.removeprefix("backward_")
    cell = CELLS[type(op)]
    if op.bidirectional:
        cell = f"{'forward' if own == name else 'backward'}_{op.name}/{cell}"
    gates = GRU_GATES if isinstance(op, Gru) else None
    if own in ("bias", "recurrent_bias"):
        return Storage(f"{cell}/bias", gate_order=gates, stacked=isinstance(op, Gru))
    return Storage(f"{cell}/{own}", (1, 0), gate_order=gates)
