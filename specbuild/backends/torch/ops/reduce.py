"""Reductions in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.backends.align import unfolded
from specbuild.backends.base import External, inline
from specbuild.backends.torch.layout import emits, method
from specbuild.backends.torch.ops.activation import dimension
from specbuild.codegen.constructions import literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand, Result
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name
from specbuild.ops import reduce as ops
from specbuild.ops.reduce import Argmax, Cumsum, L2Norm, Normalize, Prod, Reduction, Spread
from specbuild.ops.types import Tensor

METHODS: dict[type[Reduction], str] = {
    ops.Sum: "sum",
    ops.Mean: "mean",
    ops.Max: "amax",
    ops.Min: "amin",
    ops.Logsumexp: "logsumexp",
    ops.Variance: "var",
    ops.Std: "std",
}
NORMALIZE = External("F.normalize(input, p=2.0, dim=1, eps=1e-12)")


def reduced(x: Operand, axes: tuple[str, ...], keep: bool) -> Layout:
    order = x.order if keep else tuple(a for a in x.order if a not in axes)
    return Layout(order, x.layout.folded, x.layout.batched)


def dimensions(x: Operand, axes: tuple[str, ...]) -> Any:
    """Where axes stand: one number, or a tuple."""
    dims = x.dims(axes)
    return dims if len(dims) > 1 else dims[0]


@emits(*METHODS)
def reduction(op: Reduction, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    more: dict[str, Any] = (
        {"correction": literal(op.correction)} if isinstance(op, Spread) and op.correction != 1 else {}
    )
    keep = {"keepdim": True} if op.keep else {}
    call = method(here.expr, METHODS[type(op)], dimensions(here, op.over), **more, **keep)
    return inline(call, reduced(here, op.over, op.keep))


@emits(Prod)
def prod(op: Prod, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    call: Expr = here.expr
    for dim in reversed(here.dims(op.over)):  # it takes one at a time
        call = method(call, "prod", dim, **({"keepdim": True} if op.keep else {}))
    return inline(call, reduced(here, op.over, op.keep))


def vector_norm(x: Expr, dims: Any, keep: bool) -> Call:
    keywords = (("dim", literal(dims)), *((("keepdim", Literal(True)),) if keep else ()))
    return Call(Name("torch.linalg.vector_norm"), (x,), keywords)


@emits(L2Norm)
def l2_norm(op: L2Norm, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    return inline(vector_norm(here.expr, dimensions(here, op.over), op.keep), reduced(here, op.over, op.keep))


@emits(Normalize)
def normalize(op: Normalize, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, op.over)
    if len(op.over) == 1:
        return inline(NORMALIZE(here.expr, dim=dimension(here, op.over[0]), eps=op.epsilon), here.layout)
    norm = method(vector_norm(here.expr, here.dims(op.over), True), "clamp", min=literal(op.epsilon))
    return inline(Infix("/", here.expr, norm), here.layout)


@emits(Argmax)
def argmax(op: Argmax, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, (op.over,))
    call = method(here.expr, "argmax", here.dim(op.over), **({"keepdim": True} if op.keep else {}))
    return inline(call, reduced(here, (op.over,), op.keep))


@emits(Cumsum)
def cumsum(op: Cumsum, x: Operand, out: Tensor) -> Result:
    here = unfolded(x, (op.over,))
    return inline(method(here.expr, "cumsum", dimension(here, op.over)), here.layout)
