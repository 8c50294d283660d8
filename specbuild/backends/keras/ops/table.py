"""Learned tensors and tables in Keras."""

from __future__ import annotations

from typing import ClassVar

from specbuild.backends.keras.initializers import emit_initializer
from specbuild.backends.keras.layout import backend, call_function, emits
from specbuild.backends.signatures import Signature
from specbuild.backends.tables import TableStyle
from specbuild.codegen.constructions import SELF
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import LoweringResult, Storage
from specbuild.codegen.tree import Expr, TupleOf
from specbuild.ops.table import Const, Weight
from specbuild.ops.table_expression import TableExpression, has_floats
from specbuild.ops.types import TensorType

WEIGHT = Signature("self.add_weight(shape=None, initializer=None, dtype=None, trainable=True)")


@emits(Weight)
def emit_weight(op: Weight, out: TensorType) -> LoweringResult:
    order = backend.natural_order(out)
    layer = WEIGHT.construct(
        shape=tuple(out[a] for a in order),
        initializer=emit_initializer(op.init, "zeros"),
        trainable=op.trained,
    )
    weights = {"value": Storage("", tuple(out.axes.index(a) for a in order))}
    return LoweringResult(SELF, Layout(order, (), False), layer, weights=weights)


class KerasTableStyle(TableStyle):
    where_function = "ops.where"
    functions: ClassVar[dict[str, str]] = {
        name: f"ops.{name}" for name in ("sin", "cos", "exp", "sqrt", "log", "abs", "floor", "sign")
    }

    def emit_arange(self, size: Expr, floats: bool, is_mixed: bool) -> Expr:
        if floats:
            return call_function("ops.arange", 0.0, size)
        return call_function("ops.arange", size, **({"dtype": "int32"} if is_mixed else {}))

    def emit_extreme(self, function: str, left: Expr, right: Expr, is_scalar: bool) -> Expr:
        return call_function(f"ops.{function}", left, right)

    def emit_full(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        keywords = {} if dtype == "float" else {"dtype": dtype}
        return call_function("ops.full", TupleOf(sizes), value, **keywords)

    def emit_expand(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        return call_function("ops.broadcast_to", value, TupleOf(sizes))

    def emit_integer_cast(self, value: Expr) -> Expr:
        return call_function("ops.cast", value, "int32")

    def has_float_indices(self, e: TableExpression, dtype: str) -> bool:
        """Whether the expression computes with floats anywhere: the runtimes divide integers differently."""
        return dtype == "float" or has_floats(e)


@emits(Const)
def emit_const(op: Const, out: TensorType) -> LoweringResult:
    order = backend.natural_order(out)
    table = KerasTableStyle().build_table(op, order)
    return LoweringResult(SELF, Layout(order, (), False), table, buffer=True)
