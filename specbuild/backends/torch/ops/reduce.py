"""Reductions in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import unfold_axes
from specbuild.backends.base import Signature, inline_result
from specbuild.backends.torch.layout import call_method, emits
from specbuild.backends.torch.ops.activation import axis_index
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Operand
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name
from specbuild.ops import reduce as ops
from specbuild.ops.reduce import Argmax, Cumsum, DispersionReduction, L2Norm, Normalize, Prod, Reduction
from specbuild.ops.types import TensorType

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


def reduced_layout(x: Operand, axes: tuple[str, ...], keep: bool) -> Layout:
    order = x.order if keep else tuple(a for a in x.order if a not in axes)
    return Layout(order, x.layout.folded, x.layout.batched)


def dim_argument(x: Operand, axes: tuple[str, ...]) -> Any:
    """Where axes stand: one number, or a tuple."""
    dims = x.sorted_dims(axes)
    return dims if len(dims) > 1 else dims[0]


@emits(*REDUCTION_METHODS)
def emit_reduction(op: Reduction, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    more: dict[str, Any] = (
        {"correction": literal_expression(op.correction)}
        if isinstance(op, DispersionReduction) and op.correction != 1
        else {}
    )
    keep = {"keepdim": True} if op.keep else {}
    call = call_method(here.expr, REDUCTION_METHODS[type(op)], dim_argument(here, op.over), **more, **keep)
    return inline_result(call, reduced_layout(here, op.over, op.keep))


@emits(Prod)
def emit_prod(op: Prod, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    call: Expr = here.expr
    for dim in reversed(here.sorted_dims(op.over)):  # it takes one at a time
        call = call_method(call, "prod", dim, **({"keepdim": True} if op.keep else {}))
    return inline_result(call, reduced_layout(here, op.over, op.keep))


def call_vector_norm(x: Expr, dims: Any, keep: bool) -> Call:
    keywords = (("dim", literal_expression(dims)), *((("keepdim", Literal(True)),) if keep else ()))
    return Call(Name("torch.linalg.vector_norm"), (x,), keywords)


@emits(L2Norm)
def emit_l2_norm(op: L2Norm, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    return inline_result(
        call_vector_norm(here.expr, dim_argument(here, op.over), op.keep),
        reduced_layout(here, op.over, op.keep),
    )


@emits(Normalize)
def emit_normalize(op: Normalize, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, op.over)
    if len(op.over) == 1:
        return inline_result(
            NORMALIZE(here.expr, dim=axis_index(here, op.over[0]), eps=op.epsilon), here.layout
        )
    norm = call_method(
        call_vector_norm(here.expr, here.sorted_dims(op.over), True),
        "clamp",
        min=literal_expression(op.epsilon),
    )
    return inline_result(Infix("/", here.expr, norm), here.layout)


@emits(Argmax)
def emit_argmax(op: Argmax, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, (op.over,))
    call = call_method(here.expr, "argmax", here.dim(op.over), **({"keepdim": True} if op.keep else {}))
    return inline_result(call, reduced_layout(here, (op.over,), op.keep))


@emits(Cumsum)
def emit_cumsum(op: Cumsum, x: Operand, out: TensorType) -> LoweringResult:
    here = unfold_axes(x, (op.over,))
    return inline_result(call_method(here.expr, "cumsum", axis_index(here, op.over)), here.layout)
