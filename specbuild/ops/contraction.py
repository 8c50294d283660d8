"""Contraction: products of values, summed over shared axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisNames
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.merge import table_sizes
from specbuild.ops.types import ShapeError, TensorType, UnequalSizes

MAX_AXES = 50  # an einsum has a letter for each


@register_op("contraction")
class Contract(Op):
    """The product of values, aligned by axis name and summed over axes: einsum with named axes.

    Axes in `over` are summed over; all other axes stay. Matrix products, attention scores, bilinear forms and
    outer products are contractions.
    """

    input_specs = (InputSpec("of", "the values", variadic=True),)
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes to sum over; none for an outer product", ())

    def infer_type(self, *xs: TensorType) -> TensorType:
        if len(xs) < 2:
            raise ShapeError("SB401", "contract needs two or more values", "use `sum` for one value")
        sizes = self.joint_sizes(*xs)
        if len(sizes) > MAX_AXES:
            raise ShapeError("SB504", f"contract takes at most {MAX_AXES} axes; its values have {len(sizes)}")
        for axis in self.over:
            if sum(axis in x for x in xs) < 2:
                raise ShapeError(
                    "SB404",
                    f"axis {axis} is not shared by {' and '.join(map(str, xs))}",
                    "use `sum` before",
                )
        return TensorType(
            {a: n for a, n in sizes.items() if a not in self.over}, "float", any(x.batched for x in xs)
        )

    def joint_sizes(self, *xs: TensorType) -> dict[str, int]:
        """Return the size of every axis; raises ShapeError if an axis has several sizes."""
        sizes: dict[str, int] = {}
        for x in xs:
            require_floats(self.name, x)
            for axis, size in x.sizes.items():
                if sizes.setdefault(axis, size) != size:
                    first = next(i for i, y in enumerate(xs) if axis in y.sizes)
                    rule = f"{self.name} needs equal sizes where values share an axis"
                    raise UnequalSizes(rule, xs, first, xs.index(x), [axis])
        return sizes

    def fixed_sizes(self, *xs: TensorType) -> Iterable[tuple[int, str, int]]:
        return table_sizes(*xs)

    def joint_axes(self, *xs: TensorType) -> Iterable[Sequence[tuple[int, str]]]:
        return [
            group
            for axis in self.joint_sizes(*xs)
            if len(group := [(index, axis) for index, x in enumerate(xs) if axis in x]) > 1
        ]

    def count_macs(self, *xs: TensorType) -> int:
        """Return the multiply-adds of contracting from left to right.

        A product without a sum is elementwise.
        """
        total, sizes = 0, dict(xs[0].sizes)
        for i, x in enumerate(xs[1:], 1):
            sizes |= x.sizes
            later = {axis for y in xs[i + 1 :] for axis in y.axes}
            summed = [axis for axis in self.over if axis in sizes and axis not in later]
            total += prod(map(concrete, sizes.values())) if summed else 0
            sizes = {axis: n for axis, n in sizes.items() if axis not in summed}
        return total

    def caption(self) -> str:
        return f"over {', '.join(self.over)}" if self.over else ""
