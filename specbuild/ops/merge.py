"""Ops on several values: arithmetic by axis name, joining, contraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from specbuild.expressions import formula, plain
from specbuild.ops.attribute_kinds import Axis, Flag
from specbuild.ops.base import Op, Takes, attr, op
from specbuild.ops.types import ShapeError, Tensor, listed

SEVERAL = (Takes("of", "the values", many=True),)


def met(xs: tuple[Tensor, ...]) -> Tensor:
    """The type in which values meet by axis name; a size of 1 gives way."""
    sizes: dict[str, int] = {}
    for x in sorted(xs, key=lambda x: -len(x.sizes)):
        for axis, size in x.sizes.items():
            have = sizes.get(axis, 1)
            if have != size and 1 not in (have, size):
                raise ShapeError(
                    "SB401",
                    f"axis {axis} is {plain(have)} here and {plain(size)} there: {listed(map(str, xs))}",
                )
            sizes[axis] = size if have == 1 else have
    dtype = next(d for d in ("float", "int32", "bool") if any(x.dtype == d for x in xs))
    return Tensor(sizes, dtype, any(x.batched for x in xs))


class Elementwise(Op):
    """Values that meet by axis name, number by number; integers and booleans beside floats count as such."""

    takes = SEVERAL
    light = True
    strict = False  # whether all must have the same axes, unless `broadcast` says otherwise
    pair = False  # whether there are just two
    dtypes: ClassVar[tuple[str, ...]] = ("float", "int32")  # what can come out

    def infer(self, *xs: Tensor) -> Tensor:
        if len(xs) < 2 or (len(xs) > 2 and self.pair):
            raise ShapeError("SB401", f"{self.name} needs two values{'' if self.pair else ' or more'}")
        if self.strict and not getattr(self, "broadcast", False):
            for x in xs[1:]:
                if not x.same_sizes(xs[0]):
                    raise ShapeError(
                        "SB401",
                        f"{self.name} needs equal axes, here are {xs[0]} and {x}",
                        "say `broadcast: true` if the smaller is to be repeated",
                    )
        found = met(xs)
        if found.dtype not in self.dtypes:
            raise ShapeError("SB305", f"{self.name} does not work on {found.dtype}: {listed(map(str, xs))}")
        return found


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Alike(Elementwise):
    """Values with equal axes, number by number."""

    strict = True
    broadcast: bool = attr(Flag(), "whether axes that one lacks, or has with size 1, are repeated", False)


@op("merge")
class Add(Alike):
    """The sum of values with equal axes."""


@op("merge")
class Subtract(Alike):
    """The first of two values with equal axes, less the second."""

    pair = True


@op("merge")
class Minimum(Alike):
    """The smallest of values with equal axes, at each place."""


@op("merge")
class Maximum(Alike):
    """The largest of values with equal axes, at each place (maxout, arXiv 1302.4389)."""


@op("merge")
class Average(Alike):
    """The mean of values with equal axes, at each place."""

    dtypes = ("float",)


@op("merge")
class Multiply(Elementwise):
    """The product of values that meet by axis name: a gate {C} scales a map {C, H, W}."""


@op("merge")
class Divide(Elementwise):
    """The first of two values that meet by axis name, over the second."""

    pair = True
    dtypes = ("float",)


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
                raise ShapeError(
                    "SB401", f"concat over {self.over} needs the other axes equal, here are {first} and {x}"
                )
        names = [f"x{i}" for i in range(len(xs))]
        size = formula(" + ".join(names), **{n: x[self.over] for n, x in zip(names, xs, strict=True)})
        sizes = {a: size if a == self.over else n for a, n in first.sizes.items()}
        return Tensor(sizes, first.dtype, any(x.batched for x in xs))
