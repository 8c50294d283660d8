"""Normalisation: values scaled by the statistics of their neighbours."""

from __future__ import annotations

from specbuild.axes import CHANNEL, Tensor
from specbuild.ops.base import Op, Weight, attr, op
from specbuild.ops.kinds import Axes, Axis, Flag, Init, InitKind, Real


@op("norm")
class BatchNorm(Op):
    """Normalise each channel over the batch and all places; at inference by running statistics (arXiv 1502.03167)."""

    light = True
    epsilon: float = attr(Real(0), "added to the variance", 1e-5)
    momentum: float = attr(Real(0, 1), "share of the new batch in the running statistics (PyTorch's meaning)", 0.1)
    affine: bool = attr(Flag(), "whether to scale and shift each channel by learned numbers", True)
    over: str = attr(Axis(), "axis that keeps its own statistics", CHANNEL)
    init: Init | None = attr(InitKind(), "how the scale begins; otherwise ones", None)

    def infer(self, x: Tensor) -> Tensor:
        x[self.over]
        return x

    def weights(self, x: Tensor) -> dict[str, Weight]:
        size = {"O": x[self.over]}
        learned = {"scale": Weight(size), "shift": Weight(size)} if self.affine else {}
        return learned | {"mean": Weight(size, trained=False), "variance": Weight(size, trained=False)}


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
        return x

    def weights(self, x: Tensor) -> dict[str, Weight]:
        size = {axis: x[axis] for axis in self.over}
        if not self.affine:
            return {}
        return {"scale": Weight(size)} | ({"shift": Weight(size)} if self.bias else {})
