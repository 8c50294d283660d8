"""Ops on several values: elementwise arithmetic, aligned by axis name, and concatenation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, Boolean
from specbuild.ops.base import InputSpec, Op, PositionSource, attribute_field, register_op
from specbuild.ops.types import ShapeError, TensorType

VARIADIC_INPUTS = (InputSpec("of", "the values", variadic=True),)


def broadcast_types(xs: tuple[TensorType, ...]) -> TensorType:
    """The type of values aligned by axis name. Axes of size 1, or missing ones, are broadcast.

    Raises ShapeError SB401 if an axis has different sizes.
    """
    sizes: dict[str, int] = {}
    for x in sorted(xs, key=lambda x: -len(x.sizes)):
        for axis, size in x.sizes.items():
            known = sizes.get(axis, 1)
            if known != size and 1 not in (known, size):
                both = f"{concrete(known)} and {concrete(size)}"
                raise ShapeError("SB401", f"axis {axis} has size {both} in {join_names(map(str, xs))}")
            sizes[axis] = size if known == 1 else known
    dtype = next(d for d in ("float", "int32", "bool") if any(x.dtype == d for x in xs))
    return TensorType(sizes, dtype, any(x.batched for x in xs))


class Elementwise(Op):
    """Elementwise arithmetic on values aligned by axis name. Mixed dtypes become the widest of them."""

    input_specs = VARIADIC_INPUTS
    can_inline = True
    # Whether all inputs need the same axes, unless the attribute `broadcast` is true.
    needs_equal_axes = False
    is_binary = False  # whether it takes exactly two inputs
    output_dtypes: ClassVar[tuple[str, ...]] = ("float", "int32")  # dtypes that the result can have

    def infer_type(self, *xs: TensorType) -> TensorType:
        if len(xs) < 2 or (len(xs) > 2 and self.is_binary):
            raise ShapeError(
                "SB401", f"{self.name} needs two {'values' if self.is_binary else 'or more values'}"
            )
        if self.needs_equal_axes and not getattr(self, "broadcast", False):
            for x in xs[1:]:
                if not x.has_same_sizes(xs[0]):
                    raise ShapeError(
                        "SB401",
                        f"{self.name} needs equal axes; got {xs[0]} and {x}",
                        "add `broadcast: true` to repeat the smaller one",
                    )
        result = broadcast_types(xs)
        if result.dtype not in self.output_dtypes:
            raise ShapeError(
                "SB305", f"{self.name} does not support {result.dtype}: {join_names(map(str, xs))}"
            )
        return result


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StrictElementwise(Elementwise):
    """Elementwise arithmetic on values with equal axes."""

    needs_equal_axes = True
    broadcast: bool = attribute_field(
        Boolean(),
        "whether to repeat a value along axes that it lacks or has with size 1",
        False,
        role="detail",
    )


@register_op("merge")
class Add(StrictElementwise):
    """The sum of values with equal axes."""

    is_sum = True
    symbol = "+"


@register_op("merge")
class Subtract(StrictElementwise):
    """The first of two values with equal axes minus the second."""

    is_binary = True
    symbol = "−"


@register_op("merge")
class Minimum(StrictElementwise):
    """The elementwise minimum of values with equal axes."""


@register_op("merge")
class Maximum(StrictElementwise):
    """The elementwise maximum of values with equal axes (maxout, arXiv 1302.4389)."""


@register_op("merge")
class Average(StrictElementwise):
    """The elementwise mean of values with equal axes."""

    output_dtypes = ("float",)


@register_op("merge")
class Multiply(Elementwise):
    """The product of values, aligned by axis name: a gate {C} scales a map {C, H, W}."""

    symbol = "×"


@register_op("merge")
class Divide(Elementwise):
    """The first of two values divided by the second, aligned by axis name."""

    is_binary = True
    symbol = "÷"
    output_dtypes = ("float",)


@register_op("merge")
class Concat(Op):
    """Concatenate values along one axis, in the given order."""

    input_specs = VARIADIC_INPUTS
    can_inline = True
    over: str = attribute_field(AxisName(), "axis along which values are joined", "C")

    def infer_type(self, *xs: TensorType) -> TensorType:
        first, total = xs[0], 0
        for x in xs:
            x[self.over]
            total += concrete(x[self.over])
            if set(x.axes) != set(first.axes) or any(x[a] != first[a] for a in x.axes if a != self.over):
                raise ShapeError(
                    "SB401", f"concat over {self.over} needs all other axes equal; got {first} and {x}"
                )
        names = [f"x{i}" for i in range(len(xs))]
        size = symbolic_formula(
            " + ".join(names), **{n: x[self.over] for n, x in zip(names, xs, strict=True)}
        )
        sizes = {a: size if a == self.over else n for a, n in first.sizes.items()}
        return TensorType(sizes, first.dtype, any(x.batched for x in xs))

    def position_source(self, axis: str, *xs: TensorType) -> PositionSource | None:
        if axis != self.over:
            return None
        return PositionSource(len(xs) - 1, offset=sum(concrete(x[axis]) for x in xs[:-1]))
