"""Ops on integer indices: gather, embedding, one-hot."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specbuild.diagnostics.suggestions import join_names
from specbuild.ops.attribute_kinds import AxisName, Choice, Integer
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.initializers import Init, InitKind
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, share_axes
from specbuild.ops.weight_spec import BY_FAN_IN, WeightSpec


def require_integers(name: str, x: TensorType) -> TensorType:
    """Return the type if its dtype is int32; raises ShapeError SB305."""
    if x.dtype != "int32":
        raise ShapeError(
            "SB305",
            f"{name} needs integers; got {x}",
            f"declare them as {{axes: {x.with_dtype('float')}, dtype: int32}}, or convert them: `cast: {{dtype: int32}}`",
        )
    return x


@register_op("index")
class Gather(Op):
    """Select positions of one axis by an index. The axis is replaced by those of the index.

    A table {R, heads} with an index {T, S} gives {T, S, heads}. Shared axes, and the batch, are aligned:
    each position has its own index. The index then has at most one axis of its own; without any, one number
    is selected and the axis is removed.
    """

    input_specs = (
        InputSpec("x", "the value to select from"),
        InputSpec("index", "the positions, counted from 0"),
    )
    can_inline = True
    over: str = attribute_field(AxisName(), "axis to select from")

    def infer_type(self, x: TensorType, index: TensorType) -> TensorType:
        require_integers(self.name, index)
        own = {a: n for a, n in index.sizes.items() if a not in self.shared_axes(x, index)}
        for axis in self.shared_axes(x, index):
            if x[axis] != index[axis]:
                raise ShapeError("SB401", f"axis {axis} has different sizes in {x} and its index {index}")
        if self.is_aligned(x, index) and len(own) > 1:
            raise ShapeError(
                "SB404",
                f"an index that shares axes with {x} has at most one axis of its own; got {join_names(own)}",
                "`flatten` the index before, and `unflatten` the result",
            )
        sizes = x.replace_axes(self.over, own).sizes
        return TensorType(sizes, x.dtype, x.batched or index.batched)

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs, {self.over})

    def index_limits(self, x: TensorType, index: TensorType) -> dict[str, int]:
        return {"index": x[self.over]}

    def shared_axes(self, x: TensorType, index: TensorType) -> list[str]:
        """Return the axes that the value and its index share."""
        x[self.over]
        return [a for a in index.axes if a in x and a != self.over]

    def is_aligned(self, x: TensorType, index: TensorType) -> bool:
        """Return whether they share any axis, including the batch."""
        return bool(self.shared_axes(x, index)) or (x.batched and index.batched)


@register_op("index")
class OneHot(Op):
    """Add an axis that has 1 at the position of each integer and 0 elsewhere."""

    can_inline = True
    count: int = attribute_field(Integer(1), "size of the new axis")
    axis: str = attribute_field(AxisName(), "the new axis", CHANNEL)

    def infer_type(self, x: TensorType) -> TensorType:
        if self.axis in require_integers(self.name, x):
            raise ShapeError("SB401", f"{x} already has an axis {self.axis}")
        return TensorType({**x.sizes, self.axis: self.count}, "float", x.batched)

    def index_limits(self, x: TensorType) -> dict[str, int]:
        return {"x": self.count}


@register_op("index")
class Embedding(Op):
    """Look up a learned vector for each integer, along axis C (arXiv 1301.3781)."""

    count: int = attribute_field(Integer(1), "number of vectors; the integers count from 0")
    features: int = attribute_field(Integer(1), "size of each vector", role="output")
    init: Init | None = attribute_field(
        InitKind(), "initial values of the vectors; by default those of the framework", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        if CHANNEL in require_integers(self.name, x):
            raise ShapeError("SB401", f"{x} already has an axis C", "rename it first")
        return TensorType({**x.sizes, CHANNEL: self.features}, "float", x.batched)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        init = self.init or Init("normal")
        axes = {"I": self.count, "O": self.features}
        return {"kernel": WeightSpec(axes, decays=True, init=init, random=BY_FAN_IN, is_table=True)}

    def index_limits(self, x: TensorType) -> dict[str, int]:
        return {"x": self.count}


@register_op("index")
class SegmentReduce(Op):
    """Reduce the positions of an axis that have the same index, as for the edges at each node of a graph.

    The axis `over` becomes the axis `axis`, whose position n is the sum, mean or maximum of those with index n,
    or 0 if there are none. Other axes of the index, and the batch, are aligned.
    """

    input_specs = (
        InputSpec("x", "the values"),
        InputSpec("index", "for each position of `over`, its position in the result, counted from 0"),
    )
    over: str = attribute_field(AxisName(), "axis to reduce")
    axis: str = attribute_field(AxisName(), "the axis of the result")
    count: int = attribute_field(Integer(1), "size of that axis", role="output")
    reduce: str = attribute_field(Choice(("sum", "mean", "max")), "how values are reduced", "sum")

    def infer_type(self, x: TensorType, index: TensorType) -> TensorType:
        require_floats(self.name, x)
        require_integers(self.name, index)
        index[self.over]
        for axis in index.axes:
            if x[axis] != index[axis]:
                raise ShapeError("SB401", f"axis {axis} has different sizes in {x} and its index {index}")
        sizes = x.replace_axes(self.over, {self.axis: self.count}).sizes
        return TensorType(sizes, "float", x.batched or index.batched)

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs)

    def index_limits(self, x: TensorType, index: TensorType) -> dict[str, int]:
        return {"index": self.count}

    def axis_order(self, x: TensorType, index: TensorType) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the axes that the value shares with its index, and the others."""
        shared = tuple(a for a in x.axes if a in index and a != self.over)
        return shared, tuple(a for a in x.axes if a not in index)

    def caption(self) -> str:
        return f"{self.reduce} of {self.over} → {self.axis}"
