"""Learned tensors and tables in PyTorch."""

from __future__ import annotations

from typing import ClassVar

from specbuild.backends.tables import TableStyle, constant_function
from specbuild.backends.torch.framework import backend, call_method, emits
from specbuild.backends.torch.lone_numbers import NUMBER
from specbuild.codegen.constructions import OWN_MEMBER, Construction, ConstructorArgument, literal_expression
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweringResult, Storage
from specbuild.codegen.tree import Attribute, Call, Expr, Literal, Name, TupleOf
from specbuild.expressions import concrete
from specbuild.ops.table import Const, Weight
from specbuild.ops.table_expression import INT, INTEGRAL, TableExpression, has_mixed_branches, infer_kind
from specbuild.ops.types import TensorType


@emits(Weight)
def emit_weight(op: Weight, out: TensorType) -> LoweringResult:
    order = out.axes  # as written
    is_number = not order
    sizes = (Literal(1),) if is_number else tuple(literal_expression(out[a]) for a in order)
    empty = Call(Name("torch.empty"), sizes)
    return LoweringResult(
        NUMBER if is_number else OWN_MEMBER,
        Layout(order, (), False),
        Construction("nn.Parameter", (ConstructorArgument("size", empty),)) if op.trained else empty,
        inits=(("", op.init),),
        buffer=not op.trained,
        weights={"value": Storage("", shape=(1,) if is_number else None)},
    )


class TorchTableStyle(TableStyle):
    where_function = "torch.where"
    functions: ClassVar[dict[str, str]] = {
        name: f"torch.{name}" for name in ("sin", "cos", "exp", "sqrt", "log", "abs", "floor", "sign")
    }

    def emit_arange(self, size: Expr, floats: bool, is_mixed: bool) -> Expr:
        return Call(Name("torch.arange"), (Literal(0.0), size) if floats else (size,))

    def emit_extreme(self, function: str, left: Expr, right: Expr, is_scalar: bool) -> Expr:
        if is_scalar:
            return call_method(left, "clamp", **{"max" if function == "minimum" else "min": right})
        return Call(Name(f"torch.{function}"), (left, right))

    def emit_full(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        if not sizes:
            return Call(Name("torch.tensor"), (value,))
        if (constant := constant_function(value)) is not None:
            return Call(Name(f"torch.{constant}"), sizes)
        return Call(Name("torch.full"), (TupleOf(sizes), value))

    def emit_expand(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        return call_method(value, "expand", *sizes)

    def emit_values(self, values: Expr, dtype: str, shape: tuple[Expr, ...] | None) -> Expr:
        if shape is None:
            return Call(Name("torch.tensor"), (values,))
        kinds: dict[str, Expr] = {"float": Call(Name("torch.get_default_dtype")), "bool": Name("torch.bool")}
        table = Call(Name("torch.tensor"), (values,), (("dtype", kinds.get(dtype, Name("torch.int64"))),))
        return Call(Attribute(table, "reshape"), shape)

    def emit_integer_cast(self, value: Expr) -> Expr:
        return call_method(value, "long")

    def has_float_indices(self, e: TableExpression, dtype: str) -> bool:
        """Return whether the result would be integers otherwise: PyTorch promotes them, but `floor` keeps them."""
        is_integral = infer_kind(e) in (INT, INTEGRAL)
        return dtype == "float" and (is_integral or has_mixed_branches(e))


@emits(Const)
def emit_const(op: Const, out: TensorType) -> LoweringResult:
    if op.weight_specs():  # numbers that come with the weights
        sizes = tuple(Literal(concrete(n)) for n in op.axes.values())
        dtype = () if op.dtype == "float" else (("dtype", Name("torch.long")),)
        table = Call(Name("unfilled_table"), sizes, dtype)
        weights = {"value": Storage("")}
        return LoweringResult(OWN_MEMBER, Layout(out.axes, (), False), table, buffer=True, weights=weights)
    order = backend.natural_order(out)
    computed = TorchTableStyle().build_table(op, order)
    return LoweringResult(OWN_MEMBER, Layout(order, (), False), computed, buffer=True)
