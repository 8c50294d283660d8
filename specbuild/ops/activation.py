"""Activations: each number by itself, or against others on an axis."""

from __future__ import annotations

from specbuild.expressions import formula, plain
from specbuild.ops.attribute_kinds import Axes, Axis, Choice, Init, InitKind, Real
from specbuild.ops.base import Op, Weight, attr, floats, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor


class Activation(Op):
    """A function of each number by itself."""

    light = True

    def infer(self, x: Tensor) -> Tensor:
        return floats(self.name, x)


@op("activation")
class Relu(Activation):
    """max(x, 0)."""


@op("activation")
class Relu6(Activation):
    """min(max(x, 0), 6), as in MobileNetV2 (arXiv 1801.04381)."""


@op("activation")
class LeakyRelu(Activation):
    """x where it is positive, else slope x."""

    slope: float = attr(Real(), "what negative numbers are multiplied by", 0.01)


@op("activation")
class Elu(Activation):
    """x where it is positive, else alpha (exp(x) - 1) (arXiv 1511.07289)."""

    alpha: float = attr(Real(), "what it tends to for small x, with its sign turned", 1.0)


@op("activation")
class Selu(Activation):
    """1.0507 times ELU with alpha 1.6733: keeps mean 0 and variance 1 through layers (arXiv 1706.02515)."""


@op("activation")
class Celu(Activation):
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0): smooth for every alpha (arXiv 1704.07483)."""

    alpha: float = attr(Real(), "what it tends to for small x, with its sign turned", 1.0)


@op("activation")
class Gelu(Activation):
    """x times the normal distribution's share below x (arXiv 1606.08415)."""

    approximate: str = attr(Choice(("none", "tanh")), "the exact form, or the one by tanh", "none")


@op("activation")
class Silu(Activation):
    """x sigmoid(x), also called swish (arXiv 1702.03118)."""


@op("activation")
class Mish(Activation):
    """x tanh(softplus(x)) (arXiv 1908.08681)."""


@op("activation")
class Softplus(Activation):
    """log(1 + exp(beta x)) / beta: a smooth ReLU."""

    beta: float = attr(Real(), "how sharp its bend is", 1.0)


@op("activation")
class Softsign(Activation):
    """x / (1 + |x|)."""


@op("activation")
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""


@op("activation")
class HardSigmoid(Activation):
    """relu6(x + 3) / 6: a sigmoid of straight lines (arXiv 1905.02244)."""


@op("activation")
class HardSilu(Activation):
    """x relu6(x + 3) / 6, also called hard swish (arXiv 1905.02244)."""


@op("activation")
class LogSigmoid(Activation):
    """log(sigmoid(x)), without the loss of digits."""


@op("activation")
class Tanh(Activation):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""


@op("activation")
class HardTanh(Activation):
    """x between -1 and 1, and these outside."""


@op("activation")
class TanhShrink(Activation):
    """x - tanh(x)."""


@op("activation")
class SoftShrink(Activation):
    """x nearer to 0 by a threshold; 0 where it does not reach so far."""

    threshold: float = attr(Real(0), "how much nearer", 0.5)


@op("activation")
class HardShrink(Activation):
    """x where |x| is over a threshold, else 0."""

    threshold: float = attr(Real(0), "up to which |x| gives 0", 0.5)


@op("activation")
class Threshold(Activation):
    """x where it is over a threshold, else a fixed value."""

    threshold: float = attr(Real(), "what x must exceed")
    value: float = attr(Real(), "what stands where it does not", 0.0)


@op("activation")
class Prelu(Activation):
    """x where it is positive, else a learned slope times x (arXiv 1502.01852)."""

    light = False
    over: str | None = attr(
        Axis(), "axis along which each place has a slope of its own; one slope for all if not given", None
    )
    init: Init = attr(InitKind(), "how the slopes begin", Init("constant", (0.25,)))

    def infer(self, x: Tensor) -> Tensor:
        if self.over is not None:
            x[self.over]
        return floats(self.name, x)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        return {"slope": Weight({"O": 1 if self.over is None else x[self.over]})}


class AlongAxes(Op):
    """A function of all numbers along some axes."""

    light = True
    over: tuple[str, ...]

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.over:
            x[axis]
        return floats(self.name, x)


@op("activation")
class Softmax(AlongAxes):
    """exp(x), divided by its sum over the axes named."""

    over: tuple[str, ...] = attr(Axes(), "axes that sum to one, jointly", (CHANNEL,))


@op("activation")
class LogSoftmax(AlongAxes):
    """log(softmax(x)), without the loss of digits."""

    over: tuple[str, ...] = attr(Axes(), "axes whose exponentials sum to one, jointly", (CHANNEL,))


@op("activation")
class Glu(Op):
    """The first half of an axis times the sigmoid of the second (arXiv 1612.08083)."""

    light = True
    over: str = attr(Axis(), "axis that is halved", CHANNEL)

    def infer(self, x: Tensor) -> Tensor:
        if plain(x[self.over]) % 2:
            raise ShapeError(
                "SB401",
                f"axis {self.over} of size {plain(x[self.over])} has no two halves",
                "a gated linear unit needs an even size",
            )
        return floats(self.name, x).resized({self.over: formula("n // 2", n=x[self.over])})
