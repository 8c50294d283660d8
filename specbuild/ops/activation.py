"""Activations: each number by itself, or against others on an axis."""

from __future__ import annotations

from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Choice, Init, InitKind, Real
from specbuild.ops.base import Op, WeightSpec, attribute_field, register_op, require_floats
from specbuild.ops.types import CHANNEL, ShapeError, TensorType


class Activation(Op):
    """A function of each number by itself."""

    can_inline = True

    def infer_type(self, x: TensorType) -> TensorType:
        return require_floats(self.name, x)


@register_op("activation")
class Relu(Activation):
    """max(x, 0)."""


@register_op("activation")
class Relu6(Activation):
    """min(max(x, 0), 6), as in MobileNetV2 (arXiv 1801.04381)."""


@register_op("activation")
class LeakyRelu(Activation):
    """x where it is positive, else slope x."""

    slope: float = attribute_field(Real(), "what negative numbers are multiplied by", 0.01)


@register_op("activation")
class Elu(Activation):
    """x where it is positive, else alpha (exp(x) - 1) (arXiv 1511.07289)."""

    alpha: float = attribute_field(Real(), "what it tends to for small x, with its sign turned", 1.0)


@register_op("activation")
class Selu(Activation):
    """1.0507 times ELU with alpha 1.6733: keeps mean 0 and variance 1 through layers (arXiv 1706.02515)."""


@register_op("activation")
class Celu(Activation):
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0): smooth for every alpha (arXiv 1704.07483)."""

    alpha: float = attribute_field(Real(), "what it tends to for small x, with its sign turned", 1.0)


@register_op("activation")
class Gelu(Activation):
    """x times the normal distribution's share below x (arXiv 1606.08415)."""

    approximate: str = attribute_field(Choice(("none", "tanh")), "the exact form, or the one by tanh", "none")


@register_op("activation")
class Silu(Activation):
    """x sigmoid(x), also called swish (arXiv 1702.03118)."""


@register_op("activation")
class Mish(Activation):
    """x tanh(softplus(x)) (arXiv 1908.08681)."""


@register_op("activation")
class Softplus(Activation):
    """log(1 + exp(beta x)) / beta: a smooth ReLU."""

    beta: float = attribute_field(Real(), "how sharp its bend is", 1.0)


@register_op("activation")
class Softsign(Activation):
    """x / (1 + |x|)."""


@register_op("activation")
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""


@register_op("activation")
class HardSigmoid(Activation):
    """relu6(x + 3) / 6: a sigmoid of straight lines (arXiv 1905.02244)."""


@register_op("activation")
class HardSilu(Activation):
    """x relu6(x + 3) / 6, also called hard swish (arXiv 1905.02244)."""


@register_op("activation")
class LogSigmoid(Activation):
    """log(sigmoid(x)), without the loss of digits."""


@register_op("activation")
class Tanh(Activation):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""


@register_op("activation")
class HardTanh(Activation):
    """x between -1 and 1, and these outside."""


@register_op("activation")
class TanhShrink(Activation):
    """x - tanh(x)."""


@register_op("activation")
class SoftShrink(Activation):
    """x nearer to 0 by a threshold; 0 where it does not reach so far."""

    threshold: float = attribute_field(Real(0), "how much nearer", 0.5)


@register_op("activation")
class HardShrink(Activation):
    """x where |x| is over a threshold, else 0."""

    threshold: float = attribute_field(Real(0), "up to which |x| gives 0", 0.5)


@register_op("activation")
class Threshold(Activation):
    """x where it is over a threshold, else a fixed value."""

    threshold: float = attribute_field(Real(), "what x must exceed")
    value: float = attribute_field(Real(), "what stands where it does not", 0.0)


@register_op("activation")
class Prelu(Activation):
    """x where it is positive, else a learned slope times x (arXiv 1502.01852)."""

    can_inline = False
    over: str | None = attribute_field(
        AxisName(), "axis along which each place has a slope of its own; one slope for all if not given", None
    )
    init: Init = attribute_field(InitKind(), "how the slopes begin", Init("constant", (0.25,)))

    def infer_type(self, x: TensorType) -> TensorType:
        if self.over is not None:
            x[self.over]
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return {"slope": WeightSpec({"O": 1 if self.over is None else x[self.over]})}


class AxisActivation(Op):
    """A function of all numbers along some axes."""

    can_inline = True
    over: tuple[str, ...]

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)


@register_op("activation")
class Softmax(AxisActivation):
    """exp(x), divided by its sum over the axes named."""

    over: tuple[str, ...] = attribute_field(AxisNames(), "axes that sum to one, jointly", (CHANNEL,))


@register_op("activation")
class LogSoftmax(AxisActivation):
    """log(softmax(x)), without the loss of digits."""

    over: tuple[str, ...] = attribute_field(
        AxisNames(), "axes whose exponentials sum to one, jointly", (CHANNEL,)
    )


@register_op("activation")
class Glu(Op):
    """The first half of an axis times the sigmoid of the second (arXiv 1612.08083)."""

    can_inline = True
    over: str = attribute_field(AxisName(), "axis that is halved", CHANNEL)

    def infer_type(self, x: TensorType) -> TensorType:
        if concrete(x[self.over]) % 2:
            raise ShapeError(
                "SB401",
                f"axis {self.over} of size {concrete(x[self.over])} has no two halves",
                "a gated linear unit needs an even size",
            )
        return require_floats(self.name, x).with_sizes(
            {self.over: symbolic_formula("n // 2", n=x[self.over])}
        )
