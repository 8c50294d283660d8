"""Ops that order the values along an axis: sort, top_k."""

from __future__ import annotations

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisName, Boolean, Integer
from specbuild.ops.base import Op, attribute_field, register_op, require_numbers
from specbuild.ops.types import ShapeError, TensorType


class SortingOp(Op):
    """An op with the parts `values` and `indices`."""

    over: str

    def infer_type(self, x: TensorType) -> TensorType:
        return self.part_types(x)["values"]

    def part_types(self, x: TensorType) -> dict[str, TensorType]:
        result = require_numbers(self.name, x).with_sizes({self.over: self.output_size(x[self.over])})
        return {"values": result, "indices": result.with_dtype("int32")}

    def output_size(self, size: int) -> int:
        """Return the size of the axis in the result."""
        return size


@register_op("index")
class Sort(SortingOp):
    """The values along an axis in ascending order, and their indices: `ranked.values`, `ranked.indices`.

    Equal values keep their order. No gradient flows through the indices.
    """

    over: str = attribute_field(AxisName(), "axis to sort along")
    descending: bool = attribute_field(Boolean(), "whether the largest value comes first", False)


@register_op("index")
class TopK(SortingOp):
    """The k largest values along an axis, the largest first, and their indices: `best.values`, `best.indices`.

    Of equal values, the one with the lower index comes first. No gradient flows through the indices.
    """

    over: str = attribute_field(AxisName(), "axis to search")
    k: int = attribute_field(Integer(1), "number of values", role="output")
    largest: bool = attribute_field(
        Boolean(), "whether to take the largest values; else the smallest, the smallest first", True
    )

    def output_size(self, size: int) -> int:
        if self.k > size:
            raise ShapeError(
                "SB403",
                f"axis {self.over} of size {concrete(size)} has no {concrete(self.k)} values",
                f"`k` is at most {concrete(size)}",
            )
        return self.k
