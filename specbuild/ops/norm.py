"""Normalization layers."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Boolean, Integer, Real
from specbuild.ops.base import Op, RunningStatistics, attribute_field, register_op, require_floats
from specbuild.ops.initializers import Init, InitKind
from specbuild.ops.types import CHANNEL, BatchNeeded, ShapeError, TensorType, spatial_axes
from specbuild.ops.weight_spec import NEAR_ONE, POSITIVE, WeightSpec


def affine_weights(
    axes: dict[str, int], scale: bool, shift: bool = True, init: Init | None = None
) -> dict[str, WeightSpec]:
    """Return the learned scale and shift of a normalization layer.

    `init` is that of the scale, by default ones.
    """
    if not scale:
        return {}
    weights = {"scale": WeightSpec(axes, init=init or Init("ones"), random=NEAR_ONE)}
    return weights | ({"shift": WeightSpec(axes, init=Init("zeros"))} if shift else {})


def position_axes(x: TensorType, over: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the axes besides C that are normalized together: `over`, or those of D, H, W, or else all.

    Raises ShapeError SB404.
    """
    x[CHANNEL]
    axes = spatial_axes(x) if over is None else over
    for axis in axes:
        x[axis]
    if CHANNEL in axes:
        raise ShapeError("SB404", "`over` must not contain C", "list only the other axes")
    return axes


@register_op("norm")
class BatchNorm(Op):
    """Normalise each channel over the batch and all positions (arXiv 1502.03167).

    Outside of training, it uses running statistics: mean and unbiased variance of the training batches.
    """

    can_inline = True
    epsilon: float = attribute_field(Real(0), "number added to the variance", 1e-5, role="detail")
    momentum: float = attribute_field(
        Real(0, 1), "weight of the new batch in the running statistics, as in PyTorch", 0.1, role="detail"
    )
    affine: bool = attribute_field(
        Boolean(), "whether to learn a scale and a shift for each channel", True, role="detail"
    )
    over: str = attribute_field(AxisName(), "axis with separate statistics for each position", CHANNEL)
    init: Init | None = attribute_field(
        InitKind("scale"), "initial values of the scale; by default ones", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        x[self.over]
        if not x.batched:
            raise BatchNeeded(
                "SB401",
                f"batch_norm needs a batch, but {x} is the same for every sample",
                "use `layer_norm`, which needs no batch",
            )
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        axes = {"O": x[self.over]}
        statistics = {
            "mean": WeightSpec(axes, is_trainable=False, init=Init("zeros")),
            "variance": WeightSpec(axes, is_trainable=False, init=Init("ones"), random=POSITIVE),
        }
        return affine_weights(axes, self.affine, init=self.init) | statistics

    def affine_values(self, find: Callable[[str], Any]) -> tuple[Any, Any]:
        """Return the factor and the summand that it is outside of training; `find` gives the array of a weight."""
        factor = 1 / (find("variance") + concrete(self.epsilon)) ** 0.5
        if not self.affine:
            return factor, -find("mean") * factor
        factor = find("scale") * factor
        return factor, find("shift") - find("mean") * factor

    def running_statistics(self) -> RunningStatistics:
        return RunningStatistics(self.momentum, self.over, means=("mean",), variances=("variance",))


@register_op("norm")
class LayerNorm(Op):
    """Normalise each sample over the axes `over`, separately at each position (arXiv 1607.06450)."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(
        AxisNames(), "axes over which mean and variance are computed", (CHANNEL,)
    )
    epsilon: float = attribute_field(Real(0), "number added to the variance", 1e-5, role="detail")
    affine: bool = attribute_field(Boolean(), "whether to learn a scale and a shift", True, role="detail")
    bias: bool = attribute_field(
        Boolean(), "whether to learn a shift, if it learns a scale", True, role="detail"
    )
    init: Init | None = attribute_field(
        InitKind("scale"), "initial values of the scale; by default ones", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({axis: x[axis] for axis in self.over}, self.affine, self.bias, self.init)


@register_op("norm")
class RmsNorm(Op):
    """Divide by the root mean square over the axes `over` (arXiv 1910.07467)."""

    can_inline = True
    over: tuple[str, ...] = attribute_field(
        AxisNames(), "axes over which the mean square is computed", (CHANNEL,)
    )
    epsilon: float = attribute_field(Real(0), "number added to the mean square", 1e-6, role="detail")
    affine: bool = attribute_field(Boolean(), "whether to learn a scale, initially ones", True, role="detail")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({axis: x[axis] for axis in self.over}, self.affine, shift=False)


@register_op("norm")
class GroupNorm(Op):
    """Normalise each sample in groups of adjacent channels, over all positions (arXiv 1803.08494)."""

    can_inline = True
    groups: int = attribute_field(Integer(1), "number of channel groups")
    epsilon: float = attribute_field(Real(0), "number added to the variance", 1e-5, role="detail")
    affine: bool = attribute_field(
        Boolean(), "whether to learn a scale and a shift for each channel", True, role="detail"
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes of the positions; by default those of D, H, W, or else all except C", None
    )
    init: Init | None = attribute_field(
        InitKind("scale"), "initial values of the scale; by default ones", None
    )

    def infer_type(self, x: TensorType) -> TensorType:
        position_axes(x, self.over)
        if x[CHANNEL] % self.groups:
            raise ShapeError(
                "SB401",
                f"{concrete(x[CHANNEL])} channels cannot be split into {concrete(self.groups)} groups",
            )
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({"O": x[CHANNEL]}, self.affine, init=self.init)


@register_op("norm")
class InstanceNorm(Op):
    """Normalise each channel of each sample over its positions (arXiv 1607.08022)."""

    can_inline = True
    epsilon: float = attribute_field(Real(0), "number added to the variance", 1e-5, role="detail")
    affine: bool = attribute_field(
        Boolean(), "whether to learn a scale and a shift for each channel", False, role="detail"
    )
    over: tuple[str, ...] | None = attribute_field(
        AxisNames(), "axes of the positions; by default those of D, H, W, or else all except C", None
    )
    init: Init | None = attribute_field(
        InitKind("scale"), "initial values of the scale; by default ones", None
    )

    @property
    def accepts_too_little(self) -> bool:
        return True

    def infer_type(self, x: TensorType) -> TensorType:
        if prod(concrete(x[a]) for a in position_axes(x, self.over)) == 1:
            raise ShapeError(
                "SB401", f"each channel of {x} has only one position, so the result would always be 0"
            )
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return affine_weights({"O": x[CHANNEL]}, self.affine, init=self.init)


@register_op("norm")
class LocalResponseNorm(Op):
    """x / (k + alpha * m) ** beta, where m is the mean square over `size` adjacent channels, as in AlexNet.

    Missing channels beyond the first and the last count as zeros in the mean.
    """

    can_inline = True
    size: int = attribute_field(Integer(1), "number of adjacent channels, with x in the middle", 5)
    alpha: float = attribute_field(Real(), "factor of the mean square, as in PyTorch and Caffe", 1e-4)
    beta: float = attribute_field(Real(), "the exponent", 0.75)
    k: float = attribute_field(Real(), "number added to the scaled mean square", 1.0)

    def infer_type(self, x: TensorType) -> TensorType:
        if not x.without_axes(CHANNEL).axes:
            raise ShapeError("SB404", f"{self.name} needs an axis besides C; got {x}")
        return require_floats(self.name, x)
