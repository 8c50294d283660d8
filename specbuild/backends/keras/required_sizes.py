"""Checks of sizes that code takes for granted: where PyTorch raises an error, Keras can mix samples or move the parts."""

from __future__ import annotations

from specbuild.backends.keras.framework import call_function
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.lowered_steps import graph_reference
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr, Literal
from specbuild.expressions import symbolic_chain
from specbuild.ir.axis_sources import follows_sizes, reads_input_size
from specbuild.ir.size_trials import SizeTrial, is_always
from specbuild.ops.base import Op
from specbuild.ops.shape import Unflatten
from specbuild.ops.types import CHANNEL


def require_sizes(op: Op, x: Operand) -> Expr | None:
    """Return code that checks the size of the axis that an op splits, and gives the value `x`.

    None if no check is needed: the numbers fit at every size, or the input is checked.
    """
    block, ref = x.lowering.block, graph_reference(x.value.key)
    for _, axis, size in op.fixed_sizes(x.type):
        if axis == CHANNEL:
            continue
        if reads_input_size(block, size):
            return require_read_size(op, x, axis, size)
        if follows_sizes(block, ref, axis):
            return emit_check("require_size", x, axis, size)
    for _, axis, size in op.divisors(x.type):
        if axis != CHANNEL and (reads_input_size(block, size) or follows_sizes(block, ref, axis)):
            return (
                None if is_always_multiple(x, axis, size) else emit_check("require_multiple", x, axis, size)
            )
    return None


def require_read_size(op: Op, x: Operand, axis: str, size: int) -> Expr | None:
    """Return the check for parts of which some follow sizes of inputs: `{rows: x.H // 4, h: 4}` needs a multiple of 4."""
    block, ref = x.lowering.block, graph_reference(x.value.key)
    if is_always(block, lambda trial: trial.size_of(ref, axis) == trial.evaluate(size)):
        return None
    if isinstance(op, Unflatten):
        parts = [n for n in op.into.values() if not reads_input_size(block, n)]
        divisor = symbolic_chain("*", parts or [1])

        def fits_if_whole(trial: SizeTrial) -> bool:
            by = trial.evaluate(divisor)
            return trial.size_of(ref, axis) // by * by == trial.evaluate(size)

        if is_always(block, fits_if_whole):
            return emit_check("require_multiple", x, axis, divisor)
    return emit_check("require_size", x, axis, size)


def is_always_multiple(x: Operand, axis: str, divisor: int) -> bool:
    ref = graph_reference(x.value.key)
    return is_always(x.lowering.block, lambda trial: trial.size_of(ref, axis) % trial.evaluate(divisor) == 0)


def emit_check(function: str, x: Operand, axis: str, size: int) -> Expr:
    return call_function(function, x.expr, Literal(x.dim(axis)), literal_expression(size))
