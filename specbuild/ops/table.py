"""Values that need no input: learned tensors and computed tables."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.ops import expression
from specbuild.ops.attribute_kinds import Choice, Fixed, Flag, Init, InitKind, Integer, KindError, Table
from specbuild.ops.base import Op, attr, op
from specbuild.ops.base import Weight as Held
from specbuild.ops.expression import Expression
from specbuild.ops.types import Tensor, listed


@op("weight")
class Weight(Op):
    """A tensor by itself, learned unless said otherwise: a class token, a position table, a layer scale."""

    takes = ()
    light = True
    axes: Mapping[str, int] = attr(
        Fixed(Integer(1), empty=True), "its axes and sizes; {} for a single number"
    )
    init: Init = attr(InitKind(), "how it begins", Init("zeros"))
    trained: bool = attr(Flag(), "whether it is learned", True)

    def infer(self) -> Tensor:
        return Tensor(self.axes, batched=False)

    def weights(self) -> dict[str, Held]:
        return {"value": Held(self.axes, self.trained)}


@op("table")
class Const(Op):
    """A table computed once from the indices of its axes: `T - S`, `T >= S`, `sin(T / 10000 ** (C / 64))`.

    An axis in the expression is its index, counted from 0; parameters of the block can be read too. There are
    + - * / // % **, comparisons, and or not, `a if c else b`, and sin cos exp sqrt log abs floor sign minimum
    maximum where. Masks, relative positions, rotary angles and fixed kernels are such tables.
    """

    takes = ()
    light = True
    axes: Mapping[str, int] = attr(
        Fixed(Integer(1), empty=True), "its axes and sizes; {} for a single number"
    )
    value: Expression = attr(Table(), "the number at each place, from the indices of the axes")
    dtype: str = attr(Choice(("float", "int32", "bool")), "what it holds", "float")

    def infer(self) -> Tensor:
        for axis in self.axes:
            if axis in self.value.values:
                hint = "give the axis another name, and `rename` it after"
                raise KindError(
                    f"{axis!r} is an axis of the table and a parameter", hint, ("value",), "SB204"
                )
        for name in self.value.axes():
            if name not in self.axes:
                fault = self.value.faults[name]
                raise KindError(
                    f"{fault.message}, nor is it an axis of the table",
                    f"its axes are {listed(self.axes)}",
                    ("value",),
                    fault.code,
                )
        try:
            found = expression.kind(self.value)
        except expression.Mistyped as e:
            raise KindError(e.message, e.hint, ("value",)) from None
        fits = {
            "float": expression.NUMBERS,
            "int32": (expression.INT, expression.WHOLE),
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
            raise KindError(f"the table is {self.dtype}, but its value is {told}", hint, ("value",))
        return Tensor(self.axes, self.dtype, batched=False)
