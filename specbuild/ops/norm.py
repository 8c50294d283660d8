"""Normalisation: values scaled by the statistics of their neighbours."""

from __future__ import annotations

from math import prod

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Boolean, Init, InitKind, Integer, Real
from specbuild.ops.base import Op, WeightSpec, attribute_field, register_op, require_floats
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, spatial_axes


def affine_weights(size: dict[str, int], scale: bool, shift: bool = True) -> dict[str, WeightSpec]:
    """The learned scale and shift of a norm."""
    return ({"scale": WeightSpec(size)} if scale else {}) | (
        {"shift": WeightSpec(size)} if scale and shift else {}
    )


def position_axes(x: TensorType, over: tuple[str, ...] | None) -> tuple[str, ...]:
    """The axes beside C whose numbers are normalised together: those named, else D, H, W, else all."""
    x[CHANNEL]
    axes = spatial_axes(x) if over is None else over
    for axis in axes:
        x[axis]
    if CHANNEL in axes:
        raise ShapeError("SB404", "`over` names the axes beside C", "leave C out")
    return axes


@register_op("norm")
class BatchNorm(Op):
    """Normalise each channel over the batch and all places (arXiv 1502.03167).

    Outside of training by running statistics: means and unbiased variances of the batches seen.
    """

    can_inline = True
    epsilon: float = attribute_field(Real(0), "added to the variance", 1e-5)
    momentum: float = attribute_field(
        Real(0, 1), "share of the new batch in the running statistics (PyTorch's meaning)", 0.1
    )
    affine: bool = attribute_field(
        Boolean(), "whether to scale and shift each channel by learned numbers", True
    )
    over: str = attribute_field(AxisName(), "axis that keeps its own statistics", CHANNEL)
    init: Init | None = attribute_field(InitKind(), "how the scale begins; otherwise ones", None)

    def infer_type(self, x: TensorType) -> TensorType:
        x[self.over]
        if not x.batched:
            raise ShapeError(
                "SB401",
                f"batch_norm takes the statistics of a batch, but {x} is the same for every sample",
                "`layer_norm` takes those of one value",
            )
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        size = {"O": x[self.over]}
        statistics = {
            "mean": WeightSpec(size, trainable=False),
            "variance": WeightSpec(size, trainable=False),
        }
        return affine_weights(size, self.affine) | statistics


@register_op("norm")
class LayerNorm(Op):
    """Normalise each sample over the axes named, place by place for the others (arXiv 1607.06450)."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes whose mean and variance are taken", (CHANNEL,))
    epsilon: float = attribute_field(Real(0), "added to the variance", 1e-5)
    affine: bool = attribute_field(Boolean(), "whether to scale and shift by learned numbers", True)
    bias: bool = attribute_field(Boolean(), "whether to shift, if it scales", True)
    init: Init | None = attribute_field(InitKind(), "how the scale begins; otherwise ones", None)

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({axis: x[axis] for axis in self.over}, self.affine, self.bias)


@register_op("norm")
class RmsNorm(Op):
    """Divide by the root mean square over the axes named, place by place for others (arXiv 1910.07467)."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(AxisNames(), "axes whose mean square is taken", (CHANNEL,))
    epsilon: float = attribute_field(Real(0), "added to the mean square", 1e-6)
    affine: bool = attribute_field(
        Boolean(), "whether to scale by learned numbers, which begin as ones", True
    )

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({axis: x[axis] for axis in self.over}, self.affine, shift=False)


@register_op("norm")
class GroupNorm(Op):
    """Normalise groups of neighbouring channels of each sample, over all their places (arXiv 1803.08494)."""

    can_inline = True
    groups: int = attribute_field(Integer(1), "groups that the channels are split into")
    epsilon: float = attribute_field(Real(0), "added to the variance", 1e-5)
    affine: bool = attribute_field(
        Boolean(), "whether to scale and shift each channel by learned numbers", True
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes of the places; D, H, W that there are, else all beside C", None
    )
    init: Init | None = attribute_field(InitKind(), "how the scale begins; otherwise ones", None)

    def infer_type(self, x: TensorType) -> TensorType:
        position_axes(x, self.over)
        if x[CHANNEL] % self.groups:
            raise ShapeError(
                "SB401",
                f"{concrete(x[CHANNEL])} channels cannot be split into {concrete(self.groups)} groups",
            )
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({"O": x[CHANNEL]}, self.affine)


@register_op("norm")
class InstanceNorm(Op):
    """Normalise each channel of each sample by itself, over its places (arXiv 1607.08022)."""

    can_inline = True
    epsilon: float = attribute_field(Real(0), "added to the variance", 1e-5)
    affine: bool = attribute_field(
        Boolean(), "whether to scale and shift each channel by learned numbers", False
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes of the places; D, H, W that there are, else all beside C", None
    )
    init: Init | None = attribute_field(InitKind(), "how the scale begins; otherwise ones", None)

    def infer_type(self, x: TensorType) -> TensorType:
        if prod(concrete(x[a]) for a in position_axes(x, self.over)) == 1:
            raise ShapeError(
                "SB401", f"each channel of {x} has one place only, which would always come out as 0"
            )
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({"O": x[CHANNEL]}, self.affine)


@register_op("norm")
class LocalResponseNorm(Op):
    """x / (k + alpha m)^beta, m the mean square over `size` neighbouring channels: AlexNet's normalisation.

    Beyond the first and the last channel there are zeros, which count in the mean.
    """

    can_inline = True
    size: int = attribute_field(Integer(1), "neighbouring channels, of which x is in the middle", 5)
    alpha: float = attribute_field(Real(), "factor of the mean square (PyTorch's and Caffe's meaning)", 1e-4)
    beta: float = attribute_field(Real(), "the power", 0.75)
    k: float = attribute_field(Real(), "what the divisor is for channels of zeros", 1.0)

    def infer_type(self, x: TensorType) -> TensorType:
        if not x.without_axes(CHANNEL).axes:
            raise ShapeError("SB404", f"{self.name} needs an axis beside C, here is {x}")
        return require_floats(self.name, x)
