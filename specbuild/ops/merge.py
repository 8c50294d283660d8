"""Ops on several values: elementwise arithmetic, aligned by axis name, and concatenation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete, expression_of, symbolic_chain
from specbuild.ops.attribute_kinds import AxisName, Boolean
from specbuild.ops.base import InputSpec, Op, PositionSource, attribute_field, declare_attributes, register_op
from specbuild.ops.types import ShapeError, TensorType, UnequalSizes, share_axes, stable_size

VARIADIC_INPUTS = (InputSpec("of", "the values", variadic=True),)


def broadcast_types(xs: tuple[TensorType, ...]) -> TensorType:
    """Return the type of values aligned by axis name. Axes of size 1, or missing ones, are broadcast.

    Raises ShapeError SB401 if an axis has different sizes.
    """
    sizes: dict[str, int] = {}
    for x in sorted(xs, key=lambda x: -len(x.sizes)):
        for axis, size in x.sizes.items():
            known = sizes.get(axis, 1)
            if known != size and 1 not in (known, size):
                other = next(y for y in xs if y.sizes.get(axis) == known)
                first, second = sorted([xs.index(other), xs.index(x)])
                unequal = [
                    a for a in find_unequal(other, x) if 1 not in (other.sizes.get(a, 1), x.sizes.get(a, 1))
                ]
                rule = "values that share an axis need the same size there, or 1"
                raise UnequalSizes(rule, xs, first, second, unequal)
            if known == 1 and (size != 1 or expression_of(known) is None):
                sizes[axis] = size  # of two sizes of 1, the one that depends on a parameter counts
    dtype = next(d for d in ("float", "int32", "bool") if any(x.dtype == d for x in xs))
    return TensorType(sizes, dtype, any(x.batched for x in xs))


def find_unequal(x: TensorType, y: TensorType) -> list[str]:
    """Return the axes that have another size in the other value, or are missing there."""
    return [axis for axis in {**x.sizes, **y.sizes} if x.sizes.get(axis) != y.sizes.get(axis)]


def table_sizes(*xs: TensorType) -> Iterator[tuple[int, str, int]]:
    """Yield the sizes that tables fix where sizes must be equal: frameworks would repeat a value of size 1."""
    for table in xs:
        for index, x in enumerate(xs):
            if x.batched and not table.batched:
                yield from ((index, axis, n) for axis, n in table.sizes.items() if x.sizes.get(axis) == n > 1)


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
        if self.is_strict:
            for i, x in enumerate(xs):
                if not x.has_same_sizes(xs[0]):
                    raise UnequalSizes(f"{self.name} needs equal axes", xs, 0, i, find_unequal(xs[0], x))
        result = broadcast_types(xs)
        if result.dtype not in self.output_dtypes:
            raise ShapeError(
                "SB305", f"{self.name} does not support {result.dtype}: {join_names(map(str, xs))}"
            )
        return result

    def fixed_sizes(self, *xs: TensorType) -> Iterable[tuple[int, str, int]]:
        return table_sizes(*xs) if self.is_strict else ()

    def joint_axes(self, *xs: TensorType) -> Iterable[Sequence[tuple[int, str]]]:
        if not self.is_strict:
            return share_axes(xs)
        return [[(index, axis) for index in range(len(xs))] for axis in xs[0].axes]

    @property
    def is_strict(self) -> bool:
        """Whether its values need equal axes."""
        return self.needs_equal_axes and not getattr(self, "broadcast", False)

    def position_source(self, axis: str, *xs: TensorType) -> PositionSource | None:
        size = self.infer_type(*xs)[axis]
        sources = [index for index, x in enumerate(xs) if x.batched and x.sizes.get(axis) == size]
        return PositionSource(sources[0]) if sources else None


@declare_attributes
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
class Atan2(StrictElementwise):
    """The angle from -pi to pi of the point whose height is the first value, and whose width the second."""

    is_binary = True
    output_dtypes = ("float",)


@register_op("merge")
class Concat(Op):
    """Concatenate values along one axis, in the given order."""

    input_specs = VARIADIC_INPUTS
    can_inline = True
    over: str = attribute_field(AxisName(), "axis along which values are joined", "C")

    def infer_type(self, *xs: TensorType) -> TensorType:
        first, total = xs[0], 0
        for i, x in enumerate(xs):
            x[self.over]
            total += concrete(x[self.over])
            if unequal := [axis for axis in find_unequal(first, x) if axis != self.over]:
                rule = f"concat over {self.over} needs all other axes equal"
                raise UnequalSizes(rule, xs, 0, i, unequal)
        parts = [x[self.over] for x in xs]
        size = stable_size(self.over, parts, symbolic_chain("+", parts))
        sizes = {a: size if a == self.over else n for a, n in first.sizes.items()}
        return TensorType(sizes, first.dtype, any(x.batched for x in xs))

    def position_source(self, axis: str, *xs: TensorType) -> PositionSource | None:
        if axis != self.over:
            return None
        return PositionSource(len(xs) - 1, offset=sum(concrete(x[axis]) for x in xs[:-1]))
