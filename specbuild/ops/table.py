"""Ops without inputs: learned tensors and constant tables."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.diagnostics.suggestions import join_names
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
from specbuild.ops.table_expression import (
    BOOL,
    INT,
    INTEGRAL,
    NUMBER_KINDS,
    REAL,
    TableExpression,
    TableTypeError,
    infer_kind,
)
from specbuild.ops.types import TensorType
from specbuild.ops.weight_spec import BY_FAN_IN, NEAR_ZERO, WeightSpec

DTYPE_KINDS = {"float": NUMBER_KINDS, "int32": (INT, INTEGRAL), "bool": (BOOL,)}


@register_op("weight")
class Weight(Op):
    """A learned or fixed tensor: a class token, a position table, a layer scale."""

    input_specs = ()
    can_inline = True
    axes: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(1), can_be_empty=True), "axes with their sizes; {} for a single number"
    )
    init: Init = attribute_field(InitKind(), "initial values", Init("zeros"))
    trained: bool = attribute_field(Boolean(), "whether it is learned", True)

    def infer_type(self) -> TensorType:
        return TensorType(self.axes, batched=False)

    def weight_specs(self) -> dict[str, WeightSpec]:
        random = BY_FAN_IN if len(self.axes) > 1 else NEAR_ZERO
        return {"value": WeightSpec(self.axes, self.trained, init=self.init, random=random, is_table=True)}

    def caption(self) -> str:
        return ""


@register_op("table")
class Const(Op):
    """A constant table, computed from the indices of its axes: `T - S`, `sin(T / 10000 ** (C / 64))`.

    In the expression, an axis stands for its index, counted from 0; parameters of the block can be used too.
    Allowed are + - * / // % **, comparisons, and or not, `a if c else b`, and the functions sin cos exp sqrt
    log abs floor sign minimum maximum where. Masks, relative positions and rotary angles are such tables.
    """

    input_specs = ()
    can_inline = True
    axes: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(1), can_be_empty=True), "axes with their sizes; {} for a single number"
    )
    value: TableExpression = attribute_field(
        TableFormula(), "the number at each position, from the indices of the axes", role="detail"
    )
    dtype: str = attribute_field(Choice(tuple(DTYPE_KINDS)), "type of the elements", "float", role="detail")

    def infer_type(self) -> TensorType:
        self.check_names()
        self.check_dtype()
        return TensorType(self.axes, self.dtype, batched=False)

    def check_names(self) -> None:
        """Raise AttributeValueError if a name is both an axis and a parameter, or neither."""
        for axis in self.axes:
            if axis in self.value.constants:
                hint = "give the axis another name, and `rename` it afterwards"
                raise AttributeValueError(
                    f"{axis!r} is both an axis of the table and a parameter", hint, ("value",), "SB204"
                )
        for name in self.value.list_axes():
            if name not in self.axes:
                error = self.value.name_errors[name]
                raise AttributeValueError(
                    f"{error.message}, and the table has no such axis",
                    f"its axes are {join_names(self.axes)}",
                    ("value",),
                    error.code,
                )

    def check_dtype(self) -> None:
        """Raise AttributeValueError if the values do not fit the dtype."""
        try:
            kind = infer_kind(self.value)
        except TableTypeError as error:
            raise AttributeValueError(error.message, error.hint, ("value",)) from None
        if kind not in DTYPE_KINDS[self.dtype]:
            description, hint = {
                BOOL: ("true or false", "write `dtype: bool`"),
                REAL: ("a number with a fraction", "write `dtype: float`, or round it with floor"),
            }.get(kind, ("a number", "write `dtype: float`"))
            raise AttributeValueError(
                f"the table is {self.dtype}, but its value is {description}", hint, ("value",)
            )

    def caption(self) -> str:
        return ""
