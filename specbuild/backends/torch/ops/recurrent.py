"""Recurrent layers in PyTorch."""

from __future__ import annotations

from specbuild.backends.signatures import Signature, call_function
from specbuild.backends.torch.framework import call_method, emits
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, MissingBatch, Storage
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Index, Literal, SliceExpr
from specbuild.ops.recurrent import Gru, Lstm, Recurrent, Rnn
from specbuild.ops.types import CHANNEL, TensorType

RECURRENT_LAYERS: dict[type[Recurrent], Signature] = {
    Lstm: Signature(
        "nn.LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)"
    ),
    Gru: Signature(
        "nn.GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)"
    ),
    Rnn: Signature(
        "nn.RNN(input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, bidirectional=False)"
    ),
}
WEIGHT_NAMES = {
    "kernel": "weight_ih_l0",
    "recurrent_kernel": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "recurrent_bias": "bias_hh_l0",
}


@emits(Lstm, Gru, Rnn)
def emit_recurrent(
    op: Recurrent,
    x: Operand,
    lengths: Operand | None,
    mask: Operand | None,
    *initial: Operand | None,
    out: TensorType,
) -> LoweringResult:
    others = tuple(a for a in (*x.layout.batch_axes, *x.order) if a not in (op.over, CHANNEL))
    states = [state for state in initial if state is not None]
    if not all(part.layout.batched for part in (x, lengths, mask, *states) if part) and (
        op.returns == "all" or lengths or mask or states
    ):
        raise MissingBatch("its padding and states need a batch dimension")
    x = x.to_order(op.over, CHANNEL, batch_axes=others)
    kind = {"nonlinearity": op.activation} if isinstance(op, Rnn) else {}
    layer = RECURRENT_LAYERS[type(op)].construct(
        x[CHANNEL], op.units, bias=op.bias, batch_first=True, bidirectional=op.bidirectional, **kind
    )
    weights = {name: Storage(torch_weight_name(name)) for name in op.weight_specs(x.type)}
    init_of = {"kernel": op.init, "recurrent_kernel": op.recurrent_init}
    inits = tuple(
        (torch_weight_name(name), init)
        for name in weights
        if (init := init_of.get(name.removeprefix("backward_")))
    )
    last = Layout((CHANNEL,), others, x.layout.batched)
    given = [state.to_order(CHANNEL, batch_axes=others).expr for state in states]
    code: Expr
    if mask is not None:
        selected = mask.to_order(op.over, batch_axes=others)
        code = call_function("run_masked", OWN_MEMBER, x.expr, selected.expr, *given)
    elif lengths is not None:
        counts = lengths.to_order(batch_axes=others)
        code = call_function("run_recurrent", OWN_MEMBER, x.expr, *given, lengths=counts.expr)
    elif states or op.returns == "all":
        code = call_function("run_recurrent", OWN_MEMBER, x.expr, *given)
    else:
        code, layout = emit_plain(op, Call(OWN_MEMBER, (x.expr,)), x, last)
        return LoweringResult(code, layout, layer, inits=inits, weights=weights)
    if op.returns == "all":
        parts = ("sequence", *op.states)
        return LoweringResult(
            *(code, x.layout, layer),
            inits=inits,
            weights=weights,
            parts=parts,
            part_layouts=dict.fromkeys(op.states, last),
        )
    is_last = op.returns == "last"
    code = Index(code, (Literal(int(is_last)),))
    return LoweringResult(code, last if is_last else x.layout, layer, inits=inits, weights=weights)


def emit_plain(op: Recurrent, code: Expr, x: Operand, last: Layout) -> tuple[Expr, Layout]:
    """Return the code of the result from that of the layer's call, and its layout."""
    if op.returns == "sequence":
        return Index(code, (Literal(0),)), x.layout
    if op.bidirectional:
        return final_states(op, code), last
    return Index(Index(code, (Literal(0),)), (SliceExpr(), Literal(-1))), last


def final_states(op: Recurrent, code: Expr) -> Expr:
    """Return the final states of both directions, side by side."""
    state: Expr = Index(code, (Literal(1),))
    state = Index(state, (Literal(0),)) if isinstance(op, Lstm) else state
    return call_method(call_method(state, "transpose", 0, 1), "flatten", 1)


def torch_weight_name(name: str) -> str:
    """Return the name of a weight in PyTorch."""
    own = name.removeprefix("backward_")
    return WEIGHT_NAMES[own] + ("_reverse" if own != name else "")
