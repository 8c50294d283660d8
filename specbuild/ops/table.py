"""Ops without inputs: learned tensors and constant tables."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import (
    AttributeValueError,
    AxisMapping,
    Boolean,
    Choice,
    Integer,
    TableFormula,
    Text,
)
from specbuild.ops.base import Op, attribute_field, register_op
from specbuild.ops.given_tensor import (
    MAX_GIVEN,
    GivenTensor,
    RandomKind,
    RandomNumbers,
    TensorFile,
    TensorFileName,
    draw_numbers,
)
from specbuild.ops.initializers import Init, InitKind
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
from specbuild.ops.table_values import MAX_NUMBERS, TableValues, check_values
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
    init: Init = attribute_field(InitKind("value"), "initial values", Init("zeros"))
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

    Or with given numbers: `values: [[1, 2, 1], [2, 4, 2], [1, 2, 1]]`, a fixed kernel; the tensor of a safetensors
    file beside the spec: `file: taps.safetensors` and `tensor: name`; random numbers that are always the same:
    `random: normal` and `seed: 3`. Code has up to 1,024 of them as numbers; more are stored with the weights.

    In the expression, an axis stands for its index, counted from 0; parameters of the block can be used too.
    Allowed are + - * / // % **, comparisons, and or not, `a if c else b`, and the functions sin cos exp sqrt
    log abs floor sign minimum maximum where; `.inf` is infinity. Masks, relative positions and rotary angles are such tables.
    """

    input_specs = ()
    can_inline = True
    axes: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(1), can_be_empty=True), "axes with their sizes; {} for a single number"
    )
    value: TableExpression | None = attribute_field(
        TableFormula(), "the number at each position, from the indices of the axes", None, role="detail"
    )
    values: tuple[Any, ...] | None = attribute_field(
        TableValues(),
        "given numbers instead of `value`, in lists that are nested in the order of the axes",
        None,
        role="detail",
    )
    file: TensorFile | None = attribute_field(
        TensorFileName(), "a safetensors file with the numbers", None, role="detail"
    )
    tensor: str | None = attribute_field(
        Text(), "the tensor of `file`; not needed if the file has one", None, role="detail"
    )
    random: RandomNumbers | None = attribute_field(
        RandomKind(), "random numbers of this distribution, from NumPy's PCG64", None, role="detail"
    )
    seed: int = attribute_field(Integer(0, 2**31), "the seed of `random`", 0, role="detail")
    dtype: str = attribute_field(Choice(tuple(DTYPE_KINDS)), "type of the elements", "float", role="detail")

    def infer_type(self) -> TensorType:
        sources = (self.value, self.values, self.file, self.random)
        if sum(source is not None for source in sources) != 1:
            hint = "write `value: <expression>`, `values: [...]`, `file: <path>` or `random: <distribution>`"
            raise AttributeValueError(
                "a table has one of `value`, `values`, `file` and `random`", hint, code="SB103"
            )
        if self.tensor is not None and self.file is None:
            raise AttributeValueError("`tensor` is for a table with a `file`", "", ("tensor",), "SB101")
        if self.value is not None:
            self.check_names(self.value)
            self.check_dtype(self.value)
        elif self.values is not None:
            check_values(self.values, self.axes, self.dtype)
        else:
            self.check_given()
        has_formula = self.value is not None
        axes = {axis: size if has_formula else concrete(size) for axis, size in self.axes.items()}
        return TensorType(axes, self.dtype, batched=False)

    def unread_numbers(self) -> tuple[int, ...]:
        return () if self.value is not None else (*self.axes.values(), self.seed)

    def given_tensor(self) -> GivenTensor | None:
        """Return the numbers of `file` or `random`; None for any other table."""
        if self.file is not None:
            return self.file.find_tensor(self.tensor)
        if self.random is None:
            return None
        shape = tuple(concrete(n) for n in self.axes.values())
        return draw_numbers(self.random, concrete(self.seed), shape, self.dtype)

    def short_values(self) -> Any:
        """Return given numbers that code can hold, in nested tuples; None if there are none or too many."""
        if self.values is not None:
            return self.values
        given = self.given_tensor()
        return given.nested_numbers() if given is not None and given.is_short else None

    def weight_specs(self) -> dict[str, WeightSpec]:
        """Return the numbers that are too many for code: they are stored with the weights."""
        given = self.given_tensor()
        if given is None or given.is_short:
            return {}
        axes = {axis: concrete(n) for axis, n in self.axes.items()}
        return {"value": WeightSpec(axes, is_trainable=False, init=Init("zeros"), given=given)}

    @property
    def number_counts(self) -> tuple[int, int]:
        """How many numbers come from a file or are drawn, and how many numbers code holds."""
        if self.value is not None:
            return 0, 0
        count = prod(concrete(n) for n in self.axes.values())
        return 0 if self.values is not None else count, count if count <= MAX_NUMBERS else 0

    def check_given(self) -> None:
        """Raise AttributeValueError if the numbers of `file` or `random` do not fit the axes or the dtype."""
        place = "file" if self.file is not None else "random"
        if self.random is not None:
            count = prod(concrete(n) for n in self.axes.values())
            if count > MAX_GIVEN:
                message = f"the table has {count:,} random numbers; at most {MAX_GIVEN:,} are possible"
                raise AttributeValueError(message, "", (place,), "SB504")
            fitting = self.random.dtypes
        else:
            given = self.given_tensor()
            assert given is not None
            shape, expected = given.shape, tuple(concrete(n) for n in self.axes.values())
            if shape != expected:
                message = f"the tensor has the shape {list(shape)}, and the axes have {list(expected)}"
                hint = "the axes are in the order of the tensor; to change it, use `transpose` before saving"
                raise AttributeValueError(message, hint, ("axes",), "SB401")
            fitting = (given.dtype,)
        if self.dtype not in fitting:
            message = f"the table is {self.dtype}, but its numbers are {fitting[0]}"
            raise AttributeValueError(message, f"write `dtype: {fitting[0]}`", (place,))
        if self.dtype == "bool" and self.short_values() is None:
            message = "a long table of true and false is not possible"
            hint = "save it as integers, and `cast` the table to bool"
            raise AttributeValueError(message, hint, (place,), "SB501")

    def check_names(self, value: TableExpression) -> None:
        """Raise AttributeValueError if a name is both an axis and a parameter, or neither."""
        for axis in self.axes:
            if axis in value.constants:
                hint = "give the axis another name, and `rename` it afterwards"
                raise AttributeValueError(
                    f"{axis!r} is both an axis of the table and a parameter", hint, ("value",), "SB204"
                )
        for name in value.list_axes():
            if name not in self.axes:
                error = value.name_errors[name]
                is_infinity = name in ("inf", "Inf", "INF", "infinity")
                hint = "infinity is `.inf`" if is_infinity else f"its axes are {join_names(self.axes)}"
                raise AttributeValueError(
                    f"{error.message}, and the table has no such axis",
                    hint,
                    ("value",),
                    error.code,
                )

    def check_dtype(self, value: TableExpression) -> None:
        """Raise AttributeValueError if the values do not fit the dtype."""
        try:
            kind = infer_kind(value)
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
