"""Sizes of values at other sizes of the inputs than the declared ones, to see which numbers agree at every size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from random import Random

from specbuild.expressions import Expression, ExpressionError, concrete, evaluate_expression, expression_of
from specbuild.ir.axis_sources import AxisOfInput, KnownValues, source_of_axis
from specbuild.ops.neighbourhood import Pad
from specbuild.ops.shape import Flatten

TRIALS = 24
MAX_DEPTH = 100  # of steps that are followed


class SizeTrial:
    """Random sizes for the inputs of a block, for sizes that its steps compute, and for its parameters."""

    def __init__(self, block: KnownValues, number: int):
        self.block, self.random = block, Random(number)
        self.drawn: dict[AxisOfInput | str, int] = {}
        self.known: dict[AxisOfInput, int] = {}

    def draw(self, key: AxisOfInput | str) -> int:
        return self.drawn.setdefault(key, self.random.randint(2, 9 if isinstance(key, str) else 400))

    def evaluate(self, number: int) -> int:
        """Return the value that a number has here; raises ExpressionError."""
        expression = expression_of(number)
        if expression is None:
            return concrete(number)
        value = evaluate_expression(expression, self.name_values(expression))
        if not isinstance(value, int):
            raise ExpressionError("SB501", "not a whole number")
        return concrete(value)

    def name_values(self, expression: Expression) -> Mapping[str, int]:
        sources = self.block.size_sources
        return {
            name: self.size_of(*sources[name]) if name in sources else self.draw(name)
            for name in expression.names
        }

    def size_of(self, ref: str, axis: str, depth: int = 0) -> int:
        """Return the size of an axis of a value: what a step pads or merges follows, anything else is drawn."""
        if (ref, axis) not in self.known:
            self.known[ref, axis] = self.follow_axis(ref, axis, depth + 1)
        return self.known[ref, axis]

    def follow_axis(self, ref: str, axis: str, depth: int) -> int:
        node = None if ref in self.block.inputs or depth > MAX_DEPTH else self.block.find_node(ref)
        if node is None or not node.inputs or node.inputs[0] is None:
            return self.draw((ref, axis))
        if isinstance(node.op, Flatten) and axis == node.op.into:
            return prod(self.size_of(node.inputs[0], part, depth) for part in node.op.axes)
        if isinstance(node.op, Pad) and axis in (amounts := node.op.axis_padding(node.type)):
            return self.size_of(node.inputs[0], axis, depth) + sum(map(self.evaluate, amounts[axis]))
        source = source_of_axis(self.block, ref, axis)
        return self.draw((ref, axis)) if source is None else self.size_of(*source, depth)


def is_always(block: KnownValues, test: Callable[[SizeTrial], bool]) -> bool:
    """Return whether a test holds at all sizes that are tried; False if a number cannot be computed there."""
    try:
        return all(test(SizeTrial(block, number)) for number in range(TRIALS))
    except ExpressionError:
        return False
