"""Recurrent layers: a state carried from step to step."""

from __future__ import annotations

from typing import ClassVar

from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, Boolean, Choice, Init, InitKind, Integer
from specbuild.ops.base import Op, WeightSpec, attribute_field, register_op, require_floats
from specbuild.ops.types import CHANNEL, TensorType


class Recurrent(Op):
    """A layer that reads a sequence step by step. Its gates stand one after another in the rows of its weights."""

    gate_count: ClassVar[int]
    units: int
    bidirectional: bool
    returns: str
    bias: bool
    over: str

    def infer_type(self, x: TensorType) -> TensorType:
        require_floats(self.name, x)
        x[CHANNEL]
        x[self.over]
        size = symbolic_formula("2 * units", units=self.units) if self.bidirectional else self.units
        found = x.with_sizes({CHANNEL: size})
        return found if self.returns == "sequence" else found.without_axes(self.over)

    def weight_specs(self, x: TensorType) -> dict[str, WeightSpec]:
        rows = self.gate_count * concrete(self.units)
        held = {
            "kernel": WeightSpec({"O": rows, "I": x[CHANNEL]}, decays=True),
            "recurrent_kernel": WeightSpec({"O": rows, "I": self.units}, decays=True),
        }
        if self.bias:
            held |= {"bias": WeightSpec({"O": rows}), "recurrent_bias": WeightSpec({"O": rows})}
        return held | (
            {f"backward_{name}": weight for name, weight in held.items()} if self.bidirectional else {}
        )

    def count_macs(self, x: TensorType) -> int:
        step = self.gate_count * concrete(self.units) * (concrete(x[CHANNEL]) + concrete(self.units))
        return step * (2 if self.bidirectional else 1) * (x.element_count // concrete(x[CHANNEL]))


RETURNS_KIND = Choice(("sequence", "last"))
BIDIRECTIONAL_DOC = "whether a second one reads from the end; their features stand side by side"
RETURNS_DOC = "the state at every step, or only the last (of each direction)"
BIAS_DOC = "whether to add learned numbers: one set to the input's part, one to the state's"


@register_op("recurrent")
class Lstm(Recurrent):
    """Long short-term memory: c = f c' + i g, h = o tanh(c), with gates i, f, o and candidate g of input and state.

    Hochreiter and Schmidhuber 1997. Rows of the weights: i, f, g, o.
    """

    gate_count = 4
    units: int = attribute_field(Integer(1), "size of the state")
    bidirectional: bool = attribute_field(Boolean(), BIDIRECTIONAL_DOC, False)
    returns: str = attribute_field(RETURNS_KIND, RETURNS_DOC, "sequence")
    bias: bool = attribute_field(Boolean(), BIAS_DOC, True)
    over: str = attribute_field(AxisName(), "axis of the steps", "T")
    init: Init | None = attribute_field(
        InitKind(), "how the input's matrix begins; otherwise as the framework does", None
    )
    recurrent_init: Init | None = attribute_field(
        InitKind(), "how the state's matrix begins; otherwise as the framework does", None
    )


@register_op("recurrent")
class Gru(Recurrent):
    """Gated recurrent unit: h = (1 - z) n + z h', n = tanh(W x + b + r (U h' + c)), with gates r and z (arXiv 1406.1078).

    The reset gate acts after the product, as in cuDNN. Rows of the weights: r, z, n.
    """

    gate_count = 3
    units: int = attribute_field(Integer(1), "size of the state")
    bidirectional: bool = attribute_field(Boolean(), BIDIRECTIONAL_DOC, False)
    returns: str = attribute_field(RETURNS_KIND, RETURNS_DOC, "sequence")
    bias: bool = attribute_field(Boolean(), BIAS_DOC, True)
    over: str = attribute_field(AxisName(), "axis of the steps", "T")
    init: Init | None = attribute_field(
        InitKind(), "how the input's matrix begins; otherwise as the framework does", None
    )
    recurrent_init: Init | None = attribute_field(
        InitKind(), "how the state's matrix begins; otherwise as the framework does", None
    )
