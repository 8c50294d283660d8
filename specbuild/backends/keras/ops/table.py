"""Learned tensors and tables in Keras."""

from __future__ import annotations

from typing import ClassVar

from specbuild.backends.keras.framework import backend, call_function, emits
from specbuild.backends.keras.initializers import emit_wrapped_initializer
from specbuild.backends.signatures import Signature
from specbuild.backends.tables import TableStyle, constant_function
from specbuild.codegen.constructions import OWN_MEMBER
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, Storage
from specbuild.codegen.tree import Call, Expr, Name, TupleOf
from specbuild.expressions import concrete
from specbuild.ops.table import Const, Weight
from specbuild.ops.table_expression import INT, TableExpression, has_float_arrays, infer_kind
from specbuild.ops.types import TensorType

WEIGHT = Signature("self.add_weight(shape=None, initializer=None, dtype=None, trainable=True)")


@emits(Weight)
def emit_weight(op: Weight, out: TensorType) -> LoweringResult:
    order = out.axes  # as written
    layer = WEIGHT.construct(
        shape=tuple(out[a] for a in order),
        initializer=emit_wrapped_initializer("OutputsFirst", op.init, "zeros"),
        trainable=op.trained,
    )
    return LoweringResult(OWN_MEMBER, Layout(order, (), False), layer, weights={"value": Storage("")})


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
        if (constant := constant_function(value)) is not None:
            return call_function(f"ops.{constant}", TupleOf(sizes), **keywords)
        return call_function("ops.full", TupleOf(sizes), value, **keywords)

    def emit_expand(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        return call_function("ops.broadcast_to", value, TupleOf(sizes))

    def emit_values(self, values: Expr, dtype: str, shape: tuple[Expr, ...] | None) -> Expr:
        # Keras' arrays have the float type of NumPy or TensorFlow by default, not its own.
        floats = Call(Name("keras.config.floatx"), ())
        array = call_function("ops.convert_to_tensor", values, dtype=floats if dtype == "float" else dtype)
        return array if shape is None else Call(Name("ops.reshape"), (array, TupleOf(shape)))

    def emit_integer_cast(self, value: Expr) -> Expr:
        return call_function("ops.cast", value, "int32")

    def has_float_indices(self, e: TableExpression, dtype: str) -> bool:
        """Return whether the expression computes with floats anywhere: the runtimes divide integers differently."""
        return has_float_arrays(e) or (dtype == "float" and infer_kind(e) == INT)


@emits(Const)
def emit_const(op: Const, out: TensorType) -> LoweringResult:
    if op.weight_specs():  # numbers that come with the weights
        keywords = {} if op.dtype == "float" else {"dtype": op.dtype}
        layer = WEIGHT.construct(
            shape=tuple(concrete(n) for n in op.axes.values()),
            initializer=Call(Name("Unfilled"), ()),
            trainable=False,
            **keywords,
        )
        return LoweringResult(OWN_MEMBER, Layout(out.axes, (), False), layer, weights={"value": Storage("")})
    order = backend.natural_order(out)
    table = KerasTableStyle().build_table(op, order)
    return LoweringResult(OWN_MEMBER, Layout(order, (), False), table, buffer=True)
