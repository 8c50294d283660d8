"""Values that need no input: learned tensors and computed tables."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.ops import table_expression as expression
from specbuild.ops.attribute_kinds import (
    AttributeValueError,
    AxisMapping,
    Boolean,
    Choice,
    Init,
    InitKind,
    Integer,
    TableFormula,
)
from specbuild.ops.base import Op, attribute_field, register_op
from specbuild.ops.base import WeightSpec as Held
from specbuild.ops.table_expression import TableExpression
from specbuild.ops.types import TensorType, join_names


@register_op("weight")
class Weight(Op):
    """A tensor by itself, learned unless said otherwise: a class token, a position table, a layer scale."""

    input_specs = ()
    can_inline = True
    axes: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(1), can_be_empty=True), "its axes and sizes; {} for a single number"
    )
    init: Init = attribute_field(InitKind(), "how it begins", Init("zeros"))
    trained: bool = attribute_field(Boolean(), "whether it is learned", True)

    def infer_type(self) -> TensorType:
        return TensorType(self.axes, batched=False)

    def weight_specs(self) -> dict[str, Held]:
        return {"value": Held(self.axes, self.trained)}


@register_op("table")
class Const(Op):
    """A table computed once from the indices of its axes: `T - S`, `T >= S`, `sin(T / 10000 ** (C / 64))`.

    An axis in the expression is its index, counted from 0; parameters of the block can be read too. There are
    + - * / // % **, comparisons, and or not, `a if c else b`, and sin cos exp sqrt log abs floor sign minimum
    maximum where. Masks, relative positions, rotary angles and fixed kernels are such tables.
    """

    input_specs = ()
    can_inline = True
    axes: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(1), can_be_empty=True), "its axes and sizes; {} for a single number"
    )
    value: TableExpression = attribute_field(
        TableFormula(), "the number at each place, from the indices of the axes"
    )
    dtype: str = attribute_field(Choice(("float", "int32", "bool")), "what it holds", "float")

    def infer_type(self) -> TensorType:
        for axis in self.axes:
            if axis in self.value.constants:
                hint = "give the axis another name, and `rename` it after"
                raise AttributeValueError(
                    f"{axis!r} is an axis of the table and a parameter", hint, ("value",), "SB204"
                )
        for name in self.value.list_axes():
            if name not in self.axes:
                fault = self.value.name_errors[name]
                raise AttributeValueError(
                    f"{fault.message}, nor is it an axis of the table",
                    f"its axes are {join_names(self.axes)}",
                    ("value",),
                    fault.code,
                )
        try:
            found = expression.infer_kind(self.value)
        except expression.TableTypeError as e:
            raise AttributeValueError(e.message, e.hint, ("value",)) from None
        fits = {
            "float": expression.NUMBER_KINDS,
            "int32": (expression.INT, expression.INTEGRAL),
            "bool": (expression.BOOL,),
        }
        if found not in fits[self.dtype]:
            told = {expression.BOOL: "true or false", expression.REAL: "numbers with fractions"}.get(
                found, "numbers"
            )
            hint = {
                expression.BOOL: "say `dtype: bool`",
                expression.REAL: "say `dtype: float`, or round it by floor",
            }.get(found, "say `dtype: float`")
            raise AttributeValueError(f"the table is {self.dtype}, but its value is {told}", hint, ("value",))
        return TensorType(self.axes, self.dtype, batched=False)
