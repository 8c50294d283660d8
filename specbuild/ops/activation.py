"""Activations: each number by itself, or against others on an axis."""

from __future__ import annotations

from specbuild.axes import CHANNEL, Tensor
from specbuild.ops.base import Op, attr, op
from specbuild.ops.kinds import Axes, Choice


class Activation(Op):
    """A function of each number by itself."""

    light = True


@op("activation")
class Relu(Activation):
    """max(x, 0)."""


@op("activation")
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""


@op("activation")
class Gelu(Activation):
    """x times the normal distribution's share below x (arXiv 1606.08415)."""

    approximate: str = attr(Choice(("none", "tanh")), "the exact form, or the one by tanh", "none")


@op("activation")
class Softmax(Op):
    """exp(x), divided by its sum over the axes named."""

    light = True
    over: tuple[str, ...] = attr(Axes(), "axes that sum to one, jointly", (CHANNEL,))

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return x
