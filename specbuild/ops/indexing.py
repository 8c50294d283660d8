"""Ops on integers that name places or classes: gathering, embeddings, one-hot codes."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import Axis, Init, InitKind, Integer
from specbuild.ops.base import Op, Takes, Weight, attr, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor, listed


def integers(name: str, x: Tensor) -> Tensor:
    """The same type, if it holds integers; raises ShapeError."""
    if x.dtype != "int32":
        raise ShapeError(
            "SB305",
            f"{name} takes integers, here is {x}",
            "declare the input as {axes: {T: 16}, dtype: int32}, say",
        )
    return x


@op("index")
class Gather(Op):
    """Places of one axis, picked by an index: the axis gives way to those of the index.

    A table {R, heads} with an index {T, S} gives {T, S, heads}. Axes that both have, and the batch, are met
    place by place; then the index has just one axis of its own.
    """

    takes = (Takes("x", "what is picked from"), Takes("index", "the places, counted from 0"))
    light = True
    over: str = attr(Axis(), "axis whose places are picked")

    def infer(self, x: Tensor, index: Tensor) -> Tensor:
        integers(self.name, index)
        own = {a: n for a, n in index.sizes.items() if a not in self.shared(x, index)}
        for axis in self.shared(x, index):
            if x[axis] != index[axis]:
                raise ShapeError("SB401", f"axis {axis} differs between {x} and its index {index}")
        if self.along(x, index) and len(own) != 1:
            raise ShapeError(
                "SB404",
                f"an index that meets {x} place by place has one axis of its own, here are {listed(own)}",
                "`flatten` the index before, `unflatten` the result",
            )
        found = x.replaced(self.over, own)
        return Tensor(found.sizes, x.dtype, x.batched or index.batched)

    def shared(self, x: Tensor, index: Tensor) -> list[str]:
        """The axes on which the value and its index meet."""
        x[self.over]
        return [a for a in index.axes if a in x and a != self.over]

    def along(self, x: Tensor, index: Tensor) -> bool:
        """Whether they meet on any axis, the batch included."""
        return bool(self.shared(x, index)) or (x.batched and index.batched)


@op("index")
class OneHot(Op):
    """A new axis that holds 1 at the place of each integer and 0 elsewhere."""

    light = True
    count: int = attr(Integer(1), "size of the new axis")
    axis: str = attr(Axis(), "the new axis", CHANNEL)

    def infer(self, x: Tensor) -> Tensor:
        if self.axis in integers(self.name, x):
            raise ShapeError("SB401", f"there is an axis {self.axis} already in {x}")
        return Tensor({**x.sizes, self.axis: self.count}, "float", x.batched)


@op("index")
class Embedding(Op):
    """A learned vector for each integer, as axis C (arXiv 1301.3781)."""

    count: int = attr(Integer(1), "how many integers there are, counted from 0")
    features: int = attr(Integer(1), "size of a vector")
    init: Init | None = attr(InitKind(), "how the vectors begin; otherwise as the framework does", None)

    def infer(self, x: Tensor) -> Tensor:
        if CHANNEL in integers(self.name, x):
            raise ShapeError("SB401", f"there is an axis C already in {x}", "rename it first")
        return Tensor({**x.sizes, CHANNEL: self.features}, "float", x.batched)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        return {"kernel": Weight({"I": self.count, "O": self.features}, decays=True)}
