"""Ops on several values: arithmetic by axis name, joining, contraction."""

from __future__ import annotations

from specbuild.axes import ShapeError, Tensor
from specbuild.ops.base import Op, Takes, attr, op
from specbuild.ops.kinds import Axis, Flag
from specbuild.words import formula, plain

SEVERAL = (Takes("of", "the values", many=True),)


def met(xs: tuple[Tensor, ...]) -> Tensor:
    """The type in which values meet by axis name; a size of 1 gives way."""
    sizes: dict[str, int] = {}
    for x in sorted(xs, key=lambda x: -len(x.sizes)):
        for axis, size in x.sizes.items():
            have = sizes.get(axis, 1)
            if have != size and 1 not in (have, size):
                raise ShapeError("SB401", f"axis {axis} is {plain(xs[0].sizes.get(axis, have))} here and {plain(size)} there: {' and '.join(map(str, xs))}")
            sizes[axis] = size if have == 1 else have
    return Tensor(sizes, xs[0].dtype, any(x.batched for x in xs))


class Elementwise(Op):
    """Values that meet by axis name, number by number."""

    takes = SEVERAL
    light = True
    strict = False  # whether all must have the same axes, unless `broadcast` says otherwise

    def infer(self, *xs: Tensor) -> Tensor:
        if len(xs) < 2:
            raise ShapeError("SB401", f"{self.name} needs two values or more")
        if self.strict and not getattr(self, "broadcast", False):
            for x in xs[1:]:
                if not x.same_sizes(xs[0]):
                    raise ShapeError(
                        "SB401", f"{self.name} needs equal axes, here are {xs[0]} and {x}", "say `broadcast: true` if the smaller is to be repeated"
                    )
        return met(xs)


@op("merge")
class Add(Elementwise):
    """The sum of values with equal axes."""

    strict = True
    broadcast: bool = attr(Flag(), "whether axes that one lacks, or has with size 1, are repeated", False)


@op("merge")
class Multiply(Elementwise):
    """The product of values that meet by axis name: a gate {C} scales a map {C, H, W}."""


@op("merge")
class Concat(Op):
    """Values joined along one axis, in the order given."""

    takes = SEVERAL
    light = True
    over: str = attr(Axis(), "axis along which they are joined", "C")

    def infer(self, *xs: Tensor) -> Tensor:
        first, total = xs[0], 0
        for x in xs:
            x[self.over]
            total += plain(x[self.over])
            if set(x.axes) != set(first.axes) or any(x[a] != first[a] for a in x.axes if a != self.over):
                raise ShapeError("SB401", f"concat over {self.over} needs the other axes equal, here are {first} and {x}")
        names = [f"x{i}" for i in range(len(xs))]
        size = formula(" + ".join(names), **{n: x[self.over] for n, x in zip(names, xs, strict=True)})
        sizes = {a: size if a == self.over else n for a, n in first.sizes.items()}
        return Tensor(sizes, first.dtype, any(x.batched for x in xs))
