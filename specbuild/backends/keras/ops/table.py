"""Learned tensors and tables in Keras."""

from __future__ import annotations

from typing import ClassVar

from specbuild.backends.base import External
from specbuild.backends.keras.initializers import initializer
from specbuild.backends.keras.layout import backend, call, emits
from specbuild.backends.tables import Tables
from specbuild.codegen.constructions import SELF
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Result, Stored
from specbuild.codegen.tree import Expr, Literal, TupleOf
from specbuild.ops import expression
from specbuild.ops.expression import Expression
from specbuild.ops.table import Const, Weight
from specbuild.ops.types import Tensor

WEIGHT = External("self.add_weight(shape=None, initializer=None, dtype=None, trainable=True)")


@emits(Weight)
def weight(op: Weight, out: Tensor) -> Result:
    order = backend.natural(out)
    make = WEIGHT.made(
        shape=tuple(out[a] for a in order), initializer=initializer(op.init, "zeros"), trainable=op.trained
    )
    held = tuple(out.axes.index(a) for a in order)
    return Result(SELF, Layout(order, (), False), make, weights={"value": Stored("", held)})


class KerasTables(Tables):
    where = "ops.where"
    functions: ClassVar[dict[str, str]] = {
        name: f"ops.{name}" for name in ("sin", "cos", "exp", "sqrt", "log", "abs", "floor", "sign")
    }

    def arange(self, size: Expr, floats: bool, filled: bool) -> Expr:
        named = {"dtype": "int32"} if filled and not floats else {}
        return call("ops.arange", *((Literal(0.0), size) if floats else (size,)), **named)

    def extreme(self, function: str, left: Expr, right: Expr, scalar: bool) -> Expr:
        return call(f"ops.{function}", left, right)

    def filled(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        named = {} if dtype == "float" else {"dtype": dtype}
        return call("ops.full", TupleOf(sizes), value, **named)

    def expanded(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        return call("ops.broadcast_to", value, TupleOf(sizes))

    def whole(self, value: Expr) -> Expr:
        return call("ops.cast", value, "int32")

    def floats(self, e: Expression, dtype: str) -> bool:
        """The runtimes do not agree on what an integer divided by another is."""
        return dtype == "float" or expression.real(e)


@emits(Const)
def const(op: Const, out: Tensor) -> Result:
    order = backend.natural(out)
    return Result(SELF, Layout(order, (), False), KerasTables().table(op, order), buffer=True)
