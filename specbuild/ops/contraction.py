"""Contraction: products of values summed over axes that they share."""

from __future__ import annotations

from math import prod

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisNames
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.types import ShapeError, TensorType


@register_op("contraction")
class Contract(Op):
    """The product of values that meet by axis name, summed over axes: einsum by names.

    An axis that only one has stays; one that several have is met place by place; those in `over` go.
    Matrix products, attention scores, bilinear forms and outer products are contractions.
    """

    input_specs = (InputSpec("of", "the values", variadic=True),)
    over: tuple[str, ...] = attribute_field(
        AxisNames(), "axes that are summed away; none makes an outer product", ()
    )

    def infer_type(self, *xs: TensorType) -> TensorType:
        if len(xs) < 2:
            raise ShapeError("SB401", "contract needs two values or more", "`sum` is for one")
        sizes = self.joint_sizes(*xs)
        for axis in self.over:
            if sum(axis in x for x in xs) < 2:
                raise ShapeError(
                    "SB404",
                    f"axis {axis} is not shared by {' and '.join(map(str, xs))}",
                    "`sum` it away before",
                )
        return TensorType(
            {a: n for a, n in sizes.items() if a not in self.over}, "float", any(x.batched for x in xs)
        )

    def joint_sizes(self, *xs: TensorType) -> dict[str, int]:
        """Every axis of the values with its size."""
        sizes: dict[str, int] = {}
        for x in xs:
            require_floats(self.name, x)
            for axis, size in x.sizes.items():
                if sizes.setdefault(axis, size) != size:
                    raise ShapeError(
                        "SB401",
                        f"axis {axis} has size {concrete(sizes[axis])} and {concrete(size)} in {' and '.join(map(str, xs))}",
                    )
        return sizes

    def count_macs(self, *xs: TensorType) -> int:
        """Two at a time, in the order written; a product that sums nothing is elementwise work."""
        total, held = 0, dict(xs[0].sizes)
        for i, x in enumerate(xs[1:], 1):
            held |= x.sizes
            later = {axis for y in xs[i + 1 :] for axis in y.axes}
            summed = [axis for axis in self.over if axis in held and axis not in later]
            total += prod(map(concrete, held.values())) if summed else 0
            held = {axis: n for axis, n in held.items() if axis not in summed}
        return total
