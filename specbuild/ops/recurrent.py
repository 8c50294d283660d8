"""Recurrent layers: a state carried from step to step."""

from __future__ import annotations

from typing import ClassVar

from specbuild.expressions import formula, plain
from specbuild.ops.attribute_kinds import Axis, Choice, Flag, Init, InitKind, Integer
from specbuild.ops.base import Op, Weight, attr, floats, op
from specbuild.ops.types import CHANNEL, Tensor


class Recurrent(Op):
    """A layer that reads a sequence step by step. Its gates stand one after another in the rows of its weights."""

    gates: ClassVar[int]
    units: int
    bidirectional: bool
    returns: str
    bias: bool
    over: str

    def infer(self, x: Tensor) -> Tensor:
        floats(self.name, x)
        x[CHANNEL]
        x[self.over]
        size = formula("2 * units", units=self.units) if self.bidirectional else self.units
        found = x.resized({CHANNEL: size})
        return found if self.returns == "sequence" else found.without(self.over)

    def weights(self, x: Tensor) -> dict[str, Weight]:
        rows = self.gates * plain(self.units)
        held = {
            "kernel": Weight({"O": rows, "I": x[CHANNEL]}, decays=True),
            "recurrent_kernel": Weight({"O": rows, "I": self.units}, decays=True),
        }
        if self.bias:
            held |= {"bias": Weight({"O": rows}), "recurrent_bias": Weight({"O": rows})}
        return held | (
            {f"backward_{name}": weight for name, weight in held.items()} if self.bidirectional else {}
        )

    def macs(self, x: Tensor) -> int:
        step = self.gates * plain(self.units) * (plain(x[CHANNEL]) + plain(self.units))
        return step * (2 if self.bidirectional else 1) * (x.elements // plain(x[CHANNEL]))


RETURNS = Choice(("sequence", "last"))
DIRECTIONS = "whether a second one reads from the end; their features stand side by side"
RETURNED = "the state at every step, or only the last (of each direction)"
BIASES = "whether to add learned numbers: one set to the input's part, one to the state's"


@op("recurrent")
class Lstm(Recurrent):
    """Long short-term memory: c = f c' + i g, h = o tanh(c), with gates i, f, o and candidate g of input and state.

    Hochreiter and Schmidhuber 1997. Rows of the weights: i, f, g, o.
    """

    gates = 4
    units: int = attr(Integer(1), "size of the state")
    bidirectional: bool = attr(Flag(), DIRECTIONS, False)
    returns: str = attr(RETURNS, RETURNED, "sequence")
    bias: bool = attr(Flag(), BIASES, True)
    over: str = attr(Axis(), "axis of the steps", "T")
    init: Init | None = attr(
        InitKind(), "how the input's matrix begins; otherwise as the framework does", None
    )
    recurrent_init: Init | None = attr(
        InitKind(), "how the state's matrix begins; otherwise as the framework does", None
    )


@op("recurrent")
class Gru(Recurrent):
    """Gated recurrent unit: h = (1 - z) n + z h', n = tanh(W x + b + r (U h' + c)), with gates r and z (arXiv 1406.1078).

    The reset gate acts after the product, as in cuDNN. Rows of the weights: r, z, n.
    """

    gates = 3
    units: int = attr(Integer(1), "size of the state")
    bidirectional: bool = attr(Flag(), DIRECTIONS, False)
    returns: str = attr(RETURNS, RETURNED, "sequence")
    bias: bool = attr(Flag(), BIASES, True)
    over: str = attr(Axis(), "axis of the steps", "T")
    init: Init | None = attr(
        InitKind(), "how the input's matrix begins; otherwise as the framework does", None
    )
    recurrent_init: Init | None = attr(
        InitKind(), "how the state's matrix begins; otherwise as the framework does", None
    )
