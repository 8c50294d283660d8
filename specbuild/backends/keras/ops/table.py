"""Learned tensors and tables in Keras."""

from __future__ import annotations

from typing import ClassVar

from specbuild.backends.base import Signature
from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import backend, call_function, emits
from specbuild.backends.tables import TableStyle
from specbuild.codegen.constructions import SELF
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Storage
from specbuild.codegen.tree import Expr, Literal, TupleOf
from specbuild.ops import table_expression as expression
from specbuild.ops.table import Const, Weight
from specbuild.ops.table_expression import TableExpression
from specbuild.ops.types import TensorType

WEIGHT = Signature("self.add_weight(shape=None, initializer=None, dtype=None, trainable=True)")


@emits(Weight)
def emit_weight(op: Weight, out: TensorType) -> LoweringResult:
    order = backend.natural_order(out)
    make = WEIGHT.construct(
        shape=tuple(out[a] for a in order),
        initializer=emit_initializer(op.init, "zeros"),
        trainable=op.trained,
    )
    held = tuple(out.axes.index(a) for a in order)
    return LoweringResult(SELF, Layout(order, (), False), make, weights={"value": Storage("", held)})


class KerasTableStyle(TableStyle):
    where_function = "ops.where"
    functions: ClassVar[dict[str, str]] = {
        name: f"ops.{name}" for name in ("sin", "cos", "exp", "sqrt", "log", "abs", "floor", "sign")
    }

    def emit_arange(self, size: Expr, floats: bool, filled: bool) -> Expr:
        named = {"dtype": "int32"} if filled and not floats else {}
        return call_function("ops.arange", *((Literal(0.0), size) if floats else (size,)), **named)

    def emit_extreme(self, function: str, left: Expr, right: Expr, scalar: bool) -> Expr:
        return call_function(f"ops.{function}", left, right)

    def emit_full(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        named = {} if dtype == "float" else {"dtype": dtype}
        return call_function("ops.full", TupleOf(sizes), value, **named)

    def emit_expand(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        return call_function("ops.broadcast_to", value, TupleOf(sizes))

    def emit_integer_cast(self, value: Expr) -> Expr:
        return call_function("ops.cast", value, "int32")

    def has_float_indices(self, e: TableExpression, dtype: str) -> bool:
        """The runtimes do not agree on what an integer divided by another is."""
        return dtype == "float" or expression.has_floats(e)


@emits(Const)
def emit_const(op: Const, out: TensorType) -> LoweringResult:
    order = backend.natural_order(out)
    return LoweringResult(
        SELF, Layout(order, (), False), KerasTableStyle().build_table(op, order), buffer=True
    )
