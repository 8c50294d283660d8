"""Dropout ops. They change nothing outside of training."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import AxisNames, Real
from specbuild.ops.base import Op, attribute_field, register_op, require_floats
from specbuild.ops.types import BatchNeeded, ShapeError, TensorType


@register_op("dropout")
class Dropout(Op):
    """In training, set each number to 0 with probability `rate`, and scale the others by 1 / (1 - rate).

    Along axes in `over`, numbers are dropped together: [H, W] drops whole channels (arXiv 1411.4280).
    """

    can_inline = True
    rate: float = attribute_field(Real(0, 1), "probability of dropping", 0.5)
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes along which numbers are dropped together", ())

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        if self.over and set(x.axes) == set(self.over):
            raise ShapeError("SB404", "this would drop whole samples", "use `drop_path` to drop samples")
        return require_floats(self.name, x)

    def dropout_rate(self) -> float:
        return self.rate


@register_op("dropout")
class DropPath(Op):
    """In training, set whole samples to 0 with probability `rate`, and scale the others by 1 / (1 - rate).

    At the end of a residual branch, this is stochastic depth (arXiv 1603.09382).
    """

    can_inline = True
    rate: float = attribute_field(Real(0, 1), "probability of dropping")

    def infer_type(self, x: TensorType) -> TensorType:
        if self.rate == 1:
            raise ShapeError("SB304", "a rate of 1 drops every sample", "use a rate below 1")
        if not x.batched:
            raise BatchNeeded("SB401", f"drop_path needs a batch, but {x} is the same for every sample")
        return require_floats(self.name, x)

    def dropout_rate(self) -> float:
        return self.rate
