"""Activation functions: elementwise, or over all numbers along some axes."""

from __future__ import annotations

from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, AxisNames, Choice, Real
from specbuild.ops.base import Op, PositionSource, attribute_field, register_op, require_floats
from specbuild.ops.initializers import Init, InitKind
from specbuild.ops.types import CHANNEL, ShapeError, TensorType
from specbuild.ops.weight_spec import WeightSpec


class Activation(Op):
    """An elementwise function of floats."""

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
    """x where x is positive, else slope * x."""

    slope: float = attribute_field(Real(), "factor of negative numbers", 0.01)


@register_op("activation")
class Elu(Activation):
    """x where x is positive, else alpha * (exp(x) - 1) (arXiv 1511.07289)."""

    alpha: float = attribute_field(Real(), "the output tends to -alpha for very negative x", 1.0)


@register_op("activation")
class Selu(Activation):
    """1.0507 times ELU with alpha 1.6733: layers keep mean 0 and variance 1 (arXiv 1706.02515)."""


@register_op("activation")
class Celu(Activation):
    """max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0): smooth for every alpha (arXiv 1704.07483)."""

    alpha: float = attribute_field(Real(), "the output tends to -alpha for very negative x", 1.0)


@register_op("activation")
class Gelu(Activation):
    """x times the cumulative distribution function of the normal distribution at x (arXiv 1606.08415)."""

    approximate: str = attribute_field(
        Choice(("none", "tanh")), "none for the exact form, tanh for an approximation", "none"
    )


@register_op("activation")
class Silu(Activation):
    """x * sigmoid(x), also called swish (arXiv 1702.03118)."""


@register_op("activation")
class Mish(Activation):
    """x * tanh(softplus(x)) (arXiv 1908.08681)."""


@register_op("activation")
class Softplus(Activation):
    """log(1 + exp(beta * x)) / beta: a smooth ReLU."""

    beta: float = attribute_field(Real(), "sharpness: a large beta is close to ReLU", 1.0)


@register_op("activation")
class Softsign(Activation):
    """x / (1 + |x|)."""


@register_op("activation")
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    symbol = "σ"


@register_op("activation")
class HardSigmoid(Activation):
    """relu6(x + 3) / 6: a piecewise linear sigmoid (arXiv 1905.02244)."""


@register_op("activation")
class HardSilu(Activation):
    """x * relu6(x + 3) / 6, also called hard swish (arXiv 1905.02244)."""


@register_op("activation")
class LogSigmoid(Activation):
    """log(sigmoid(x)), computed without loss of precision."""


@register_op("activation")
class Tanh(Activation):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""


@register_op("activation")
class HardTanh(Activation):
    """x limited to the range from -1 to 1."""


@register_op("activation")
class TanhShrink(Activation):
    """x - tanh(x)."""


@register_op("activation")
class SoftShrink(Activation):
    """x moved towards 0 by a threshold; 0 where |x| is at most the threshold."""

    threshold: float = attribute_field(Real(0), "the distance by which x moves", 0.5)


@register_op("activation")
class HardShrink(Activation):
    """x where |x| is greater than a threshold, else 0."""

    threshold: float = attribute_field(Real(0), "the largest |x| that gives 0", 0.5)


@register_op("activation")
class Threshold(Activation):
    """x where x is greater than a threshold, else a fixed value."""

    threshold: float = attribute_field(Real(), "the threshold")
    value: float = attribute_field(Real(), "the result elsewhere", 0.0, role="detail")


@register_op("activation")
class Prelu(Activation):
    """x where x is positive, else x times a learned slope (arXiv 1502.01852)."""

    can_inline = False
    over: str | None = attribute_field(
        AxisName(), "axis with one slope for each position; by default one slope for all numbers", None
    )
    init: Init = attribute_field(InitKind("slope"), "initial values of the slopes", Init("constant", (0.25,)))

    def infer_type(self, x: TensorType) -> TensorType:
        if self.over is not None:
            x[self.over]
        return require_floats(self.name, x)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        return {"slope": WeightSpec({"O": 1 if self.over is None else x[self.over]}, init=self.init)}


class AxisActivation(Op):
    """A function of floats over all numbers along some axes."""

    can_inline = True
    over: tuple[str, ...]

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.over:
            x[axis]
        return require_floats(self.name, x)


@register_op("activation")
class Softmax(AxisActivation):
    """exp(x) divided by its sum over axes."""

    over: tuple[str, ...] = attribute_field(AxisNames(), "axes over which the result sums to one", (CHANNEL,))


@register_op("activation")
class LogSoftmax(AxisActivation):
    """log(softmax(x)), computed without loss of precision."""

    over: tuple[str, ...] = attribute_field(
        AxisNames(), "axes over which the exponentials of the result sum to one", (CHANNEL,)
    )


@register_op("activation")
class Glu(Op):
    """The first half of an axis times the sigmoid of the second (arXiv 1612.08083)."""

    can_inline = True
    over: str = attribute_field(AxisName(), "axis that is split in half", CHANNEL)

    def infer_type(self, x: TensorType) -> TensorType:
        if concrete(x[self.over]) % 2:
            raise ShapeError(
                "SB401",
                f"axis {self.over} of size {concrete(x[self.over])} cannot be split in half",
                "glu needs an even size",
            )
        return require_floats(self.name, x).with_sizes(
            {self.over: symbolic_formula("n // 2", n=x[self.over])}
        )

    def position_source(self, axis: str, x: TensorType) -> PositionSource | None:
        return None if axis == self.over else PositionSource()
