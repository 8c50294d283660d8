"""Normalisation: values scaled by the statistics of their neighbours."""

from __future__ import annotations

from math import prod

from specbuild.expressions import plain
from specbuild.ops.attribute_kinds import Axes, Axis, Flag, Init, InitKind, Integer, Real
from specbuild.ops.base import Op, Weight, attr, floats, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor, spatial


def affine(size: dict[str, int], scale: bool, shift: bool = True) -> dict[str, Weight]:
    """The learned scale and shift of a norm."""
    return ({"scale": Weight(size)} if scale else {}) | ({"shift": Weight(size)} if scale and shift else {})


def places(x: Tensor, over: tuple[str, ...] | None) -> tuple[str, ...]:
    """The axes beside C whose numbers are normalised together: those named, else D, H, W, else all."""
    x[CHANNEL]
    axes = spatial(x) if over is None else over
    for axis in axes:
        x[axis]
    if CHANNEL in axes:
        raise ShapeError("SB404", "`over` names the axes beside C", "leave C out")
    return axes


@op("norm")
class BatchNorm(Op):
    """Normalise each channel over the batch and all places (arXiv 1502.03167).

    Outside of training by running statistics: means and unbiased variances of the batches seen.
    """

    light = True
    epsilon: float = attr(Real(0), "added to the variance", 1e-5)
    momentum: float = attr(
        Real(0, 1), "share of the new batch in the running statistics (PyTorch's meaning)", 0.1
    )
    affine: bool = attr(Flag(), "whether to scale and shift each channel by learned numbers", True)
    over: str = attr(Axis(), "axis that keeps its own statistics", CHANNEL)
    init: Init | None = attr(InitKind(), "how the scale begins; otherwise ones", None)

    def infer(self, x: Tensor) -> Tensor:
        x[self.over]
        if not x.batched:
            raise ShapeError(
                "SB401",
                f"batch_norm takes the statistics of a batch, but {x} is the same for every sample",
                "`layer_norm` takes those of one value",
            )
        return floats(self.name, x)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        size = {"O": x[self.over]}
        statistics = {"mean": Weight(size, trained=False), "variance": Weight(size, trained=False)}
        return affine(size, self.affine) | statistics


@op("norm")
class LayerNorm(Op):
    """Normalise each sample over the axes named, place by place for the others (arXiv 1607.06450)."""

    light = True
    over: tuple[str, ...] = attr(Axes(), "axes whose mean and variance are taken", (CHANNEL,))
    epsilon: float = attr(Real(0), "added to the variance", 1e-5)
    affine: bool = attr(Flag(), "whether to scale and shift by learned numbers", True)
    bias: bool = attr(Flag(), "whether to shift, if it scales", True)
    init: Init | None = attr(InitKind(), "how the scale begins; otherwise ones", None)

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return floats(self.name, x)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        return affine({axis: x[axis] for axis in self.over}, self.affine, self.bias)


@op("norm")
class RmsNorm(Op):
    """Divide by the root mean square over the axes named, place by place for others (arXiv 1910.07467)."""

    light = True
    over: tuple[str, ...] = attr(Axes(), "axes whose mean square is taken", (CHANNEL,))
    epsilon: float = attr(Real(0), "added to the mean square", 1e-6)
    affine: bool = attr(Flag(), "whether to scale by learned numbers, which begin as ones", True)

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return floats(self.name, x)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        return affine({axis: x[axis] for axis in self.over}, self.affine, shift=False)


@op("norm")
class GroupNorm(Op):
    """Normalise groups of neighbouring channels of each sample, over all their places (arXiv 1803.08494)."""

    light = True
    groups: int = attr(Integer(1), "groups that the channels are split into")
    epsilon: float = attr(Real(0), "added to the variance", 1e-5)
    affine: bool = attr(Flag(), "whether to scale and shift each channel by learned numbers", True)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes of the places; D, H, W that there are, else all beside C", None
    )
    init: Init | None = attr(InitKind(), "how the scale begins; otherwise ones", None)

    def infer(self, x: Tensor) -> Tensor:
        places(x, self.over)
        if x[CHANNEL] % self.groups:
            raise ShapeError(
                "SB401", f"{plain(x[CHANNEL])} channels cannot be split into {plain(self.groups)} groups"
            )
        return floats(self.name, x)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        return affine({"O": x[CHANNEL]}, self.affine)


@op("norm")
class InstanceNorm(Op):
    """Normalise each channel of each sample by itself, over its places (arXiv 1607.08022)."""

    light = True
    epsilon: float = attr(Real(0), "added to the variance", 1e-5)
    affine: bool = attr(Flag(), "whether to scale and shift each channel by learned numbers", False)
    over: tuple[str, ...] | None = attr(
        Axes(), "axes of the places; D, H, W that there are, else all beside C", None
    )
    init: Init | None = attr(InitKind(), "how the scale begins; otherwise ones", None)

    def infer(self, x: Tensor) -> Tensor:
        if prod(plain(x[a]) for a in places(x, self.over)) == 1:
            raise ShapeError(
                "SB401", f"each channel of {x} has one place only, which would always come out as 0"
            )
        return floats(self.name, x)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        return affine({"O": x[CHANNEL]}, self.affine)


@op("norm")
class LocalResponseNorm(Op):
    """x / (k + alpha m)^beta, m the mean square over `size` neighbouring channels: AlexNet's normalisation.

    Beyond the first and the last channel there are zeros, which count in the mean.
    """

    light = True
    size: int = attr(Integer(1), "neighbouring channels, of which x is in the middle", 5)
    alpha: float = attr(Real(), "factor of the mean square (PyTorch's and Caffe's meaning)", 1e-4)
    beta: float = attr(Real(), "the power", 0.75)
    k: float = attr(Real(), "what the divisor is for channels of zeros", 1.0)

    def infer(self, x: Tensor) -> Tensor:
        if not x.without(CHANNEL).axes:
            raise ShapeError("SB404", f"{self.name} needs an axis beside C, here is {x}")
        return floats(self.name, x)
