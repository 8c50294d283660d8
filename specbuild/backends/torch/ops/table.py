"""Learned tensors and tables in PyTorch."""

from __future__ import annotations

from typing import ClassVar

from specbuild.backends.tables import Tables
from specbuild.backends.torch.layout import backend, emits, method
from specbuild.codegen.constructions import SELF, Argument, Construct, literal
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Result, Stored
from specbuild.codegen.tree import Call, Expr, Literal, Name, TupleOf
from specbuild.ops import expression
from specbuild.ops.expression import Expression
from specbuild.ops.table import Const, Weight
from specbuild.ops.types import Tensor


@emits(Weight)
def weight(op: Weight, out: Tensor) -> Result:
    order = backend.natural(out)
    sizes = tuple(literal(out[a]) for a in order) or (literal(()),)
    held = tuple(out.axes.index(a) for a in order)
    empty = Call(Name("torch.empty"), sizes)
    make = Construct("nn.Parameter", (Argument("data", empty),)) if op.trained else empty
    layout, inits = Layout(order, (), False), (("", op.init),)
    return Result(SELF, layout, make, inits=inits, buffer=not op.trained, weights={"value": Stored("", held)})


class TorchTables(Tables):
    where = "torch.where"
    functions: ClassVar[dict[str, str]] = {
        name: f"torch.{name}" for name in ("sin", "cos", "exp", "sqrt", "log", "abs", "floor", "sign")
    }

    def arange(self, size: Expr, floats: bool, filled: bool) -> Expr:
        return Call(Name("torch.arange"), (Literal(0.0), size) if floats else (size,))

    def extreme(self, function: str, left: Expr, right: Expr, scalar: bool) -> Expr:
        if scalar:
            return method(left, "clamp", **{"max" if function == "minimum" else "min": right})
        return Call(Name(f"torch.{function}"), (left, right))

    def filled(self, sizes: tuple[Expr, ...], value: Expr, dtype: str) -> Expr:
        return (
            Call(Name("torch.full"), (TupleOf(sizes), value))
            if sizes
            else Call(Name("torch.tensor"), (value,))
        )

    def expanded(self, value: Expr, sizes: tuple[Expr, ...]) -> Expr:
        return method(value, "expand", *sizes)

    def whole(self, value: Expr) -> Expr:
        return method(value, "long")

    def floats(self, e: Expression, dtype: str) -> bool:
        """PyTorch makes floats of integers where a function gives some; `floor` gives what it is given."""
        whole = expression.kind(e) in (expression.INT, expression.WHOLE)
        return dtype == "float" and (whole or expression.uneven(e))


@emits(Const)
def const(op: Const, out: Tensor) -> Result:
    order = backend.natural(out)
    return Result(SELF, Layout(order, (), False), TorchTables().table(op, order), buffer=True)
