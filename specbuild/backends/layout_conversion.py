"""Code that brings a value from one layout to another, from a transpose and a reshape of the framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.layout import Layout, layout_permutation
from specbuild.codegen.tree import Attribute, Expr, Index, Literal
from specbuild.expressions import expression_of
from specbuild.ops.types import CHANNEL, TensorType

Transpose = Callable[[Expr, tuple[int, ...]], Expr]
Reshape = Callable[[Expr, tuple[Expr, ...]], Expr]


def emit_conversion(
    value: Expr,
    type_: TensorType,
    layouts: tuple[Layout, Layout],
    known_sizes: Mapping[str, Expr],
    transpose: Transpose,
    reshape: Reshape,
) -> Expr:
    """Return code that brings a value from the first layout to the second."""
    source, target = layouts
    original, original_layout = value, source

    def shape(order: tuple[str, ...], batched: bool) -> tuple[Expr, ...]:
        sizes = (known_sizes.get(a) or axis_size(original, original_layout, a, type_) for a in order)
        return (*((Literal(-1),) if batched else ()), *sizes)

    def permute(value: Expr, source: Layout, target: Layout) -> Expr:
        order = layout_permutation(source, target)
        return value if order == tuple(range(len(order))) else transpose(value, order)

    if source.batch_axes and source.batch_axes != target.batch_axes:
        source = Layout((*source.batch_axes, *source.order), (), source.batched)
        value = reshape(value, shape(source.order, source.batched))
    if target.batch_axes and source.batch_axes != target.batch_axes:
        unfolded = Layout((*target.batch_axes, *target.order), (), source.batched)
        return reshape(permute(value, source, unfolded), shape(target.order, source.batched))
    return permute(value, source, target)


def axis_size(value: Expr, layout: Layout, axis: str, type_: TensorType) -> Expr:
    """Return code for the size of an axis: `value.shape[i]`, or the size itself if it is safe to write.

    That is a size with an expression, the size of a folded axis, and the number of channels. Other sizes may
    differ between the uses of a block, which share one class.
    """
    if expression_of(type_[axis]) is not None or axis in layout.batch_axes or axis == CHANNEL:
        return literal_expression(type_[axis])
    return Index(Attribute(value, "shape"), (Literal(layout.dim(axis)),))
