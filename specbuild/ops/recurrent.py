"""Recurrent layers."""

from __future__ import annotations

from math import sqrt
from typing import ClassVar

from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, Boolean, Choice, Init, InitKind, Integer
from specbuild.ops.base import Op, attribute_field, register_op, require_floats
from specbuild.ops.types import CHANNEL, TensorType
from specbuild.ops.weight_spec import WeightSpec, kernel_spec


class Recurrent(Op):
    """A recurrent layer. The rows of its weights are those of its gates, one gate after another."""

    gate_count: ClassVar[int]
    units: int
    bidirectional: bool
    returns: str
    bias: bool
    over: str
    init: Init | None
    recurrent_init: Init | None

    def infer_type(self, x: TensorType) -> TensorType:
        require_floats(self.name, x)
        x[CHANNEL]
        x[self.over]
        size = symbolic_formula("2 * units", units=self.units) if self.bidirectional else self.units
        sequence = x.with_sizes({CHANNEL: size})
        return sequence if self.returns == "sequence" else sequence.without_axes(self.over)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        rows = self.gate_count * concrete(self.units)
        default = Init("uniform", (1 / sqrt(concrete(self.units)),))
        weights = {
            "kernel": kernel_spec({"O": rows, "I": x[CHANNEL]}, self.init or default),
            "recurrent_kernel": kernel_spec({"O": rows, "I": self.units}, self.recurrent_init or default),
        }
        if self.bias:
            bias = WeightSpec({"O": rows}, init=default)
            weights |= {"bias": bias, "recurrent_bias": bias}
        if not self.bidirectional:
            return weights
        return weights | {f"backward_{name}": weight for name, weight in weights.items()}

    def count_macs(self, x: TensorType) -> int:
        step = self.gate_count * concrete(self.units) * (concrete(x[CHANNEL]) + concrete(self.units))
        return step * (2 if self.bidirectional else 1) * (x.element_count // concrete(x[CHANNEL]))


RETURNS_KIND = Choice(("sequence", "last"))
BIDIRECTIONAL_DOC = "whether to add a layer that reads backwards; the features of both are concatenated"
RETURNS_DOC = "the state at every step, or only the last state (of each direction)"
BIAS_DOC = "whether to add learned biases, one to the product with the input and one to that with the state"


@register_op("recurrent")
class Lstm(Recurrent):
    """Long short-term memory: c = f * c' + i * g, h = o * tanh(c), with gates i, f, o and candidate g.

    Hochreiter and Schmidhuber, 1997. Gates in the rows of the weights: i, f, g, o.
    """

    gate_count = 4
    units: int = attribute_field(Integer(1), "size of the state", role="output")
    bidirectional: bool = attribute_field(Boolean(), BIDIRECTIONAL_DOC, False)
    returns: str = attribute_field(RETURNS_KIND, RETURNS_DOC, "sequence")
    bias: bool = attribute_field(Boolean(), BIAS_DOC, True, role="detail")
    over: str = attribute_field(AxisName(), "axis of the time steps", "T")
    init: Init | None = attribute_field(
        InitKind(), "initial values of the input kernel; by default those of the framework", None
    )
    recurrent_init: Init | None = attribute_field(
        InitKind(), "initial values of the recurrent kernel; by default those of the framework", None
    )


@register_op("recurrent")
class Gru(Recurrent):
    """Gated recurrent unit: h = (1 - z) * n + z * h', n = tanh(W x + b + r * (U h' + c)), with gates r and z.

    The reset gate r is applied after the product, as in cuDNN. Gates in the rows of the weights: r, z, n
    (arXiv 1406.1078).
    """

    gate_count = 3
    units: int = attribute_field(Integer(1), "size of the state", role="output")
    bidirectional: bool = attribute_field(Boolean(), BIDIRECTIONAL_DOC, False)
    returns: str = attribute_field(RETURNS_KIND, RETURNS_DOC, "sequence")
    bias: bool = attribute_field(Boolean(), BIAS_DOC, True, role="detail")
    over: str = attribute_field(AxisName(), "axis of the time steps", "T")
    init: Init | None = attribute_field(
        InitKind(), "initial values of the input kernel; by default those of the framework", None
    )
    recurrent_init: Init | None = attribute_field(
        InitKind(), "initial values of the recurrent kernel; by default those of the framework", None
    )
