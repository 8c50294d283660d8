"""Ops on integers that name places or classes: gathering, embeddings, one-hot codes."""

from __future__ import annotations

from specbuild.ops.attribute_kinds import AxisName, Init, InitKind, Integer
from specbuild.ops.base import InputSpec, Op, WeightSpec, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, join_names


def require_integers(name: str, x: TensorType) -> TensorType:
    """The same type, if it holds integers; raises ShapeError."""
    if x.dtype != "int32":
        raise ShapeError(
            "SB305",
            f"{name} takes integers, here is {x}",
            "declare the input as {axes: {T: 16}, dtype: int32}, say",
        )
    return x


@register_op("index")
class Gather(Op):
    """Places of one axis, picked by an index: the axis gives way to those of the index.

    A table {R, heads} with an index {T, S} gives {T, S, heads}. Axes that both have, and the batch, are met
    place by place; then the index has just one axis of its own.
    """

    input_specs = (InputSpec("x", "what is picked from"), InputSpec("index", "the places, counted from 0"))
    can_inline = True
    over: str = attribute_field(AxisName(), "axis whose places are picked")

    def infer_type(self, x: TensorType, index: TensorType) -> TensorType:
        require_integers(self.name, index)
        own = {a: n for a, n in index.sizes.items() if a not in self.shared_axes(x, index)}
        for axis in self.shared_axes(x, index):
            if x[axis] != index[axis]:
                raise ShapeError("SB401", f"axis {axis} differs between {x} and its index {index}")
        if self.is_aligned(x, index) and len(own) != 1:
            raise ShapeError(
                "SB404",
                f"an index that meets {x} place by place has one axis of its own, here are {join_names(own)}",
                "`flatten` the index before, `unflatten` the result",
            )
        found = x.replace_axes(self.over, own)
        return TensorType(found.sizes, x.dtype, x.batched or index.batched)

    def shared_axes(self, x: TensorType, index: TensorType) -> list[str]:
        """The axes on which the value and its index meet."""
        x[self.over]
        return [a for a in index.axes if a in x and a != self.over]

    def is_aligned(self, x: TensorType, index: TensorType) -> bool:
        """Whether they meet on any axis, the batch included."""
        return bool(self.shared_axes(x, index)) or (x.batched and index.batched)


@register_op("index")
class OneHot(Op):
    """A new axis that holds 1 at the place of each integer and 0 elsewhere."""

    can_inline = True
    count: int = attribute_field(Integer(1), "size of the new axis")
    axis: str = attribute_field(AxisName(), "the new axis", CHANNEL)

    def infer_type(self, x: TensorType) -> TensorType:
        if self.axis in require_integers(self.name, x):
            raise ShapeError("SB401", f"there is an axis {self.axis} already in {x}")
        return TensorType({**x.sizes, self.axis: self.count}, "float", x.batched)


@register_op("index")
class Embedding(Op):
    """A learned vector for each integer, as axis C (arXiv 1301.3781)."""

    count: int = attribute_field(Integer(1), "how many integers there are, counted from 0")
    features: int = attribute_field(Integer(1), "size of a vector")
    init: Init | None = attribute_field(
        InitKind(), "how the vectors begin; otherwise as the framework does", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        if CHANNEL in require_integers(self.name, x):
            raise ShapeError("SB401", f"there is an axis C already in {x}", "rename it first")
        return TensorType({**x.sizes, CHANNEL: self.features}, "float", x.batched)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return {"kernel": WeightSpec({"I": self.count, "O": self.features}, decays=True)}
