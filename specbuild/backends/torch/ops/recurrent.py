"""Recurrent layers in PyTorch."""

from __future__ import annotations

from specbuild.backends.signatures import Signature
from specbuild.backends.torch.layout import call_method, emits
from specbuild.codegen.constructions import SELF
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand, Storage
from specbuild.codegen.tree import Call, Expr, Index, Literal, Slice
from specbuild.ops.recurrent import Gru, Lstm, Recurrent
from specbuild.ops.types import CHANNEL, TensorType

RECURRENT_LAYERS: dict[type[Recurrent], Signature] = {
    Lstm: Signature(
        "nn.LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)"
    ),
    Gru: Signature(
        "nn.GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False)"
    ),
}
WEIGHT_NAMES = {
    "kernel": "weight_ih_l0",
    "recurrent_kernel": "weight_hh_l0",
    "bias": "bias_ih_l0",
    "recurrent_bias": "bias_hh_l0",
}


@emits(Lstm, Gru)
def emit_recurrent(op: Lstm | Gru, x: Operand, out: TensorType) -> LoweringResult:
    others = tuple(a for a in (*x.layout.folded, *x.order) if a not in (op.over, CHANNEL))
    x = x.to_order(op.over, CHANNEL, folded=others)
    layer = RECURRENT_LAYERS[type(op)].construct(
        x[CHANNEL], op.units, bias=op.bias, batch_first=True, bidirectional=op.bidirectional
    )
    weights = {name: Storage(torch_weight_name(name)) for name in op.weight_specs(x.type)}
    init_of = {"kernel": op.init, "recurrent_kernel": op.recurrent_init}
    inits = tuple(
        (torch_weight_name(name), init)
        for name in weights
        if (init := init_of.get(name.removeprefix("backward_")))
    )
    code: Expr = Call(SELF, (x.expr,))
    if op.returns == "sequence":
        code, layout = Index(code, (Literal(0),)), x.layout
    elif op.bidirectional:
        code, layout = final_states(op, code), Layout((CHANNEL,), others)
    else:
        code = Index(Index(code, (Literal(0),)), (Slice(), Literal(-1)))
        layout = Layout((CHANNEL,), others)
    return LoweringResult(code, layout, layer, inits=inits, weights=weights)


def final_states(op: Lstm | Gru, code: Expr) -> Expr:
    """Return the final states of both directions, side by side."""
    state: Expr = Index(code, (Literal(1),))
    state = Index(state, (Literal(0),)) if isinstance(op, Lstm) else state
    return call_method(call_method(state, "transpose", 0, 1), "flatten", 1)


def torch_weight_name(name: str) -> str:
    """Return the name of a weight in PyTorch."""
    own = name.removeprefix("backward_")
    return WEIGHT_NAMES[own] + ("_reverse" if own != name else "")
