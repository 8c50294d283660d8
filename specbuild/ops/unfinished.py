"""A place that is still to be written."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.ops.attribute_kinds import AxisMapping, Choice, Integer, Text
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op
from specbuild.ops.table import DTYPE_KINDS
from specbuild.ops.types import TensorType


@register_op("shape")
class Unfinished(Op):
    """A place that is still to be written: it says what comes in and what it gives. No backend compiles it.

    `specbuild import --partial` leaves it for what it cannot import. All that comes after is checked as if the steps
    were there; write them in its place.
    """

    input_specs = (InputSpec("of", "the values that the missing steps read", variadic=True),)
    axes: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(1), can_be_empty=True), "axes of the result with their sizes"
    )
    reason: str = attribute_field(Text(), "what is missing", "", role="detail")
    dtype: str = attribute_field(Choice(tuple(DTYPE_KINDS)), "type of the result", "float", role="detail")

    def infer_type(self, *inputs: TensorType) -> TensorType:
        return TensorType(dict(self.axes), self.dtype, any(x.batched for x in inputs))
