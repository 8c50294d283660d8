"""Sampling: values between the positions of a map, at points given by a grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from specbuild.diagnostics.suggestions import join_names
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Boolean, Choice
from specbuild.ops.base import InputSpec, Op, attribute_field, register_op, require_floats
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, share_axes


@register_op("resize")
class GridSample(Op):
    """Sample a map at the points of a grid, as PyTorch's `grid_sample` does (arXiv 1506.02025).

    The axis `coordinates` of the grid has a number for each axis in `over`, in that order: by default first the
    position along W, then that along H. -1 and 1 are the ends of the axis: the outer edges of its first and last
    position, or with `align_corners` their centres. The axes in `over` are replaced by the other axes of the
    grid. Axes that both have, such as heads, and the batch are aligned.
    """

    input_specs = (
        InputSpec("x", "the map"),
        InputSpec("grid", "the points: coordinates, and any other axes"),
    )
    can_inline = True
    over: tuple[str, ...] = attribute_field(
        AxisNames(), "two or three axes to sample, in the order of the coordinates", ("W", "H")
    )
    coordinates: str = attribute_field(AxisName(), "axis of the grid that has the coordinates", CHANNEL)
    mode: str = attribute_field(
        Choice(("bilinear", "nearest")),
        "the weighted mean of the positions around a point, or the nearest",
        "bilinear",
    )
    padding_mode: str = attribute_field(
        Choice(("zeros", "border", "reflection")),
        "what lies outside: zeros, the nearest position of the border, or the map mirrored at its ends",
        "zeros",
    )
    align_corners: bool = attribute_field(
        Boolean(),
        "whether -1 and 1 are the centres of the first and last position, not their outer edges",
        False,
    )

    def infer_type(self, x: TensorType, grid: TensorType) -> TensorType:
        for value in (x, grid):
            require_floats(self.name, value)
        if len(self.over) not in (2, 3):
            raise ShapeError(
                "SB404",
                f"grid_sample samples two or three axes; got {join_names(self.over)}",
                "give a sequence a second axis of size 1 with `expand`",
            )
        for axis in self.over:
            x[axis]
        if grid[self.coordinates] != len(self.over):
            raise ShapeError(
                "SB401",
                f"axis {self.coordinates} of the grid {grid} needs size {len(self.over)}, "
                f"a coordinate for each of {join_names(self.over)}",
                "name the axis of the coordinates with `coordinates`",
            )
        for axis in self.shared_axes(x, grid):
            if x[axis] != grid[axis]:
                raise ShapeError("SB401", f"axis {axis} has different sizes in {x} and its grid {grid}")
        self.check_counts(x, grid)
        points = {axis: grid[axis] for axis in self.point_axes(x, grid)}
        return TensorType(x.replace_axes(self.over, points).sizes, "float", x.batched or grid.batched)

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs, {*self.over, self.coordinates})

    def check_counts(self, x: TensorType, grid: TensorType) -> None:
        """Raise ShapeError if the grid has too many axes of points, or the map too many others."""
        points, channels = self.point_axes(x, grid), self.channel_axes(x, grid)
        if len(points) > len(self.over):
            raise ShapeError(
                "SB404",
                f"the grid has {len(points)} axes of points ({join_names(points)}) for {len(self.over)} axes",
                "`flatten` some of them before, and `unflatten` the result",
            )
        if len(channels) > 1:
            raise ShapeError(
                "SB404",
                f"beside the sampled axes, the map has several that the grid lacks: {join_names(channels)}",
                "`flatten` them before, and `unflatten` the result",
            )

    def shared_axes(self, x: TensorType, grid: TensorType) -> tuple[str, ...]:
        """Return the axes that both have, which are aligned."""
        return tuple(a for a in x.axes if a in grid and a not in (*self.over, self.coordinates))

    def point_axes(self, x: TensorType, grid: TensorType) -> tuple[str, ...]:
        """Return the axes of the grid that replace the sampled ones."""
        shared = self.shared_axes(x, grid)
        return tuple(a for a in grid.axes if a != self.coordinates and a not in shared)

    def channel_axes(self, x: TensorType, grid: TensorType) -> tuple[str, ...]:
        """Return the other axes of the map, whose positions are sampled at the same points."""
        shared = self.shared_axes(x, grid)
        return tuple(a for a in x.axes if a not in (*self.over, *shared))

    def caption(self) -> str:
        return ", ".join(self.over)
