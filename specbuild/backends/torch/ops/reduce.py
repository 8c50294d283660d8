"""Reductions in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import reduced_layout, unfold_axes
from specbuild.backends.base import inline_result
from specbuild.backends.indexing import axis_index
from specbuild.backends.signatures import Signature
from specbuild.backends.torch.framework import call_method, emits
from specbuild.backends.torch.ops.pool import ADAPTIVE_POOL, RANKS
from specbuild.codegen.constructions import Construction, literal_expression
from specbuild.codegen.lowered_steps import LoweringResult
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name
from specbuild.ops import reduce as ops
from specbuild.ops.pool import AdaptiveAvgPool
from specbuild.ops.reduce import Argmax, Cumsum, DispersionReduction, L2Norm, Normalize, Prod, Reduction
from specbuild.ops.types import CHANNEL, TensorType

REDUCTION_METHODS: dict[type[Reduction], str] = {
    ops.Sum: "sum",
    ops.Mean: "mean",
    ops.Max: "amax",
    ops.Min: "amin",
    ops.Logsumexp: "logsumexp",
    ops.Variance: "var",
    ops.Std: "std",
}
NORMALIZE = Signature("F.normalize(input, p=2.0, dim=1, eps=1e-12)")


def keepdim_argument(keep: bool) -> dict[str, Any]:
    return {"keepdim": True} if keep else {}


def dim_argument(x: Operand, axes: tuple[str, ...]) -> Any:
    """Return the dimension of one axis, or a tuple of the dimensions of several."""
    dims = x.sorted_dims(axes)
    return dims if len(dims) > 1 else dims[0]


@emits(*REDUCTION_METHODS)
def emit_reduction(op: Reduction, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    keywords: dict[str, Any] = {}
    if isinstance(op, DispersionReduction) and op.correction != 1:
        keywords["correction"] = op.correction
    keywords |= keepdim_argument(op.keep)
    code = call_method(x.expr, REDUCTION_METHODS[type(op)], dim_argument(x, op.over), **keywords)
    return inline_result(code, reduced_layout(x, op.over, op.keep), pooling_layer(op, x))


def pooling_layer(op: Reduction, x: Operand) -> Construction | None:
    """Return the layer that computes the mean of all places of a map; None for other reductions."""
    channel, *places = x.layout.order
    is_mean = type(op) is ops.Mean and op.keep and x.layout.batched and channel == CHANNEL
    if not is_mean or {*places} != {*op.over} or len(places) not in RANKS:
        return None
    return ADAPTIVE_POOL[AdaptiveAvgPool][len(places)].construct(1)


@emits(Prod)
def emit_prod(op: Prod, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    code: Expr = x.expr
    for dim in reversed(x.sorted_dims(op.over)):  # PyTorch multiplies over one axis at a time
        code = call_method(code, "prod", dim, **keepdim_argument(op.keep))
    return inline_result(code, reduced_layout(x, op.over, op.keep))


def call_vector_norm(x: Expr, dims: Any, keep: bool) -> Call:
    keepdim = (("keepdim", Literal(True)),) if keep else ()
    return Call(Name("torch.linalg.vector_norm"), (x,), (("dim", literal_expression(dims)), *keepdim))


@emits(L2Norm)
def emit_l2_norm(op: L2Norm, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    norm = call_vector_norm(x.expr, dim_argument(x, op.over), op.keep)
    return inline_result(norm, reduced_layout(x, op.over, op.keep))


@emits(Normalize)
def emit_normalize(op: Normalize, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, op.over)
    if len(op.over) == 1:
        dim = axis_index(x.layout, op.over[0])
        return inline_result(NORMALIZE(x.expr, dim=dim, eps=op.epsilon), x.layout)
    norm = call_vector_norm(x.expr, x.sorted_dims(op.over), keep=True)
    norm = call_method(norm, "clamp", min=op.epsilon)
    return inline_result(Infix("/", x.expr, norm), x.layout)


@emits(Argmax)
def emit_argmax(op: Argmax, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    code = call_method(x.expr, "argmax", x.dim(op.over), **keepdim_argument(op.keep))
    return inline_result(code, reduced_layout(x, (op.over,), op.keep))


@emits(Cumsum)
def emit_cumsum(op: Cumsum, x: Operand, out: TensorType) -> LoweringResult:
    x = unfold_axes(x, (op.over,))
    return inline_result(call_method(x.expr, "cumsum", axis_index(x.layout, op.over)), x.layout)
