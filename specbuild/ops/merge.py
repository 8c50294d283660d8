"""Ops on several values: arithmetic by axis name, joining, contraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, Boolean
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op
from specbuild.ops.types import ShapeError, TensorType, join_names

VARIADIC_INPUTS = (InputSpec("of", "the values", variadic=True),)


def broadcast_types(xs: tuple[TensorType, ...]) -> TensorType:
    """The type in which values meet by axis name; a size of 1 gives way."""
    sizes: dict[str, int] = {}
    for x in sorted(xs, key=lambda x: -len(x.sizes)):
        for axis, size in x.sizes.items():
            have = sizes.get(axis, 1)
            if have != size and 1 not in (have, size):
                raise ShapeError(
                    "SB401",
                    f"axis {axis} is {concrete(have)} here and {concrete(size)} there: {join_names(map(str, xs))}",
                )
            sizes[axis] = size if have == 1 else have
    dtype = next(d for d in ("float", "int32", "bool") if any(x.dtype == d for x in xs))
    return TensorType(sizes, dtype, any(x.batched for x in xs))


class Elementwise(Op):
    """Values that meet by axis name, number by number; integers and booleans beside floats count as such."""

    input_specs = VARIADIC_INPUTS
    can_inline = True
    needs_equal_axes = False  # whether all must have the same axes, unless `broadcast` says otherwise
    is_binary = False  # whether there are just two
    output_dtypes: ClassVar[tuple[str, ...]] = ("float", "int32")  # what can come out

    def infer_type(self, *xs: TensorType) -> TensorType:
        if len(xs) < 2 or (len(xs) > 2 and self.is_binary):
            raise ShapeError("SB401", f"{self.name} needs two values{'' if self.is_binary else ' or more'}")
        if self.needs_equal_axes and not getattr(self, "broadcast", False):
            for x in xs[1:]:
                if not x.has_same_sizes(xs[0]):
                    raise ShapeError(
                        "SB401",
                        f"{self.name} needs equal axes, here are {xs[0]} and {x}",
                        "say `broadcast: true` if the smaller is to be repeated",
                    )
        found = broadcast_types(xs)
        if found.dtype not in self.output_dtypes:
            raise ShapeError(
                "SB305", f"{self.name} does not work on {found.dtype}: {join_names(map(str, xs))}"
            )
        return found


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StrictElementwise(Elementwise):
    """Values with equal axes, number by number."""

    needs_equal_axes = True
    broadcast: bool = attribute_field(
        Boolean(), "whether axes that one lacks, or has with size 1, are repeated", False
    )


@register_op("merge")
class Add(StrictElementwise):
    """The sum of values with equal axes."""


@register_op("merge")
class Subtract(StrictElementwise):
    """The first of two values with equal axes, less the second."""

    is_binary = True


@register_op("merge")
class Minimum(StrictElementwise):
    """The smallest of values with equal axes, at each place."""


@register_op("merge")
class Maximum(StrictElementwise):
    """The largest of values with equal axes, at each place (maxout, arXiv 1302.4389)."""


@register_op("merge")
class Average(StrictElementwise):
    """The mean of values with equal axes, at each place."""

    output_dtypes = ("float",)


@register_op("merge")
class Multiply(Elementwise):
    """The product of values that meet by axis name: a gate {C} scales a map {C, H, W}."""


@register_op("merge")
class Divide(Elementwise):
    """The first of two values that meet by axis name, over the second."""

    is_binary = True
    output_dtypes = ("float",)


@register_op("merge")
class Concat(Op):
    """Values joined along one axis, in the order given."""

    input_specs = VARIADIC_INPUTS
    can_inline = True
    over: str = attribute_field(AxisName(), "axis along which they are joined", "C")

    def infer_type(self, *xs: TensorType) -> TensorType:
        first, total = xs[0], 0
        for x in xs:
            x[self.over]
            total += concrete(x[self.over])
            if set(x.axes) != set(first.axes) or any(x[a] != first[a] for a in x.axes if a != self.over):
                raise ShapeError(
                    "SB401", f"concat over {self.over} needs the other axes equal, here are {first} and {x}"
                )
        names = [f"x{i}" for i in range(len(xs))]
        size = symbolic_formula(
            " + ".join(names), **{n: x[self.over] for n, x in zip(names, xs, strict=True)}
        )
        sizes = {a: size if a == self.over else n for a, n in first.sizes.items()}
        return TensorType(sizes, first.dtype, any(x.batched for x in xs))
