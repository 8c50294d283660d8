"""Noise against overfitting; nothing happens outside of training."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import AxisNames, Real
from specbuild.ops.base import Op, attribute_field, register_op, require_floats
from specbuild.ops.types import ShapeError, TensorType


@register_op("dropout")
class Dropout(Op):
    """In training, each number becomes 0 with a fixed probability; the others grow by 1 / (1 - rate).

    Along axes that are named, numbers fall together: `over: [H, W]` drops whole channels (arXiv 1411.4280).
    """

    can_inline = True
    rate: float = attribute_field(Real(0, 1), "probability to be dropped", 0.5)
    over: tuple[str, ...] = attribute_field(
        AxisNames(), "axes along which all numbers are dropped together", ()
    )

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        if self.over and set(x.axes) == set(self.over):
            raise ShapeError("SB404", "this would drop whole samples", "that is what `drop_path` does")
        return require_floats(self.name, x)


@register_op("dropout")
class DropPath(Op):
    """In training, whole samples become 0 with a fixed probability; the others grow by 1 / (1 - rate).

    At the end of a residual branch: stochastic depth (arXiv 1603.09382).
    """

    can_inline = True
    rate: float = attribute_field(Real(0, 1), "probability to be dropped")

    def infer_type(self, x: TensorType) -> TensorType:
        if self.rate == 1:
            raise ShapeError("SB304", "a rate of 1 drops every sample", "use a rate below 1")
        if not x.batched:
            raise ShapeError("SB401", f"drop_path drops samples, but {x} is the same for all")
        return require_floats(self.name, x)
