"""Checks of sizes that code takes for granted: where PyTorch raises an error, Keras can mix samples or move the parts."""

from __future__ import annotations

from specbuild.backends.keras.framework import call_function
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.operands import Operand
from specbuild.codegen.tree import Expr, Literal
from specbuild.expressions import concrete
from specbuild.ir.axis_sources import follows_sizes, is_padded_to_multiple, reads_input_size
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL


def require_sizes(op: Op, x: Operand) -> Expr | None:
    """Return code that checks the size of the axis that an op splits, and gives the value `x`.

    None if no check is needed: the spec gives the size, code reads it from an input, or the input is checked.
    """
    block = x.lowering.block
    for function, sizes in (
        ("require_size", op.fixed_sizes(x.type)),
        ("require_multiple", op.divisors(x.type)),
    ):
        for _, axis, size in sizes:
            is_free = axis != CHANNEL and follows_sizes(block, x.value.key, axis)
            if function == "require_multiple" and is_padded_to_multiple(
                block, x.value.key, axis, concrete(size)
            ):
                continue
            if is_free and not reads_input_size(block, size):
                return call_function(function, x.expr, Literal(x.dim(axis)), literal_expression(size))
    return None
