"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import ClassVar

from specbuild.diagnostics.suggestions import join_names
from specbuild.expressions import concrete, symbolic_formula
from specbuild.ops.attribute_kinds import AxisName, Boolean, Choice, Integer
from specbuild.ops.base import InputSpec, Op, attribute_field, declare_attributes, register_op, require_floats
from specbuild.ops.indexing import require_integers
from specbuild.ops.initializers import Init, InitKind
from specbuild.ops.logic import require_mask
from specbuild.ops.types import CHANNEL, BatchNeeded, ShapeError, TensorType, share_axes
from specbuild.ops.weight_spec import WeightSpec, kernel_spec

SEQUENCE_INPUTS: tuple[InputSpec, ...] = (
    InputSpec("x", "the sequence"),
    InputSpec(
        "lengths", "the number of steps of each sample, as integers; what comes after is padding", True
    ),
    InputSpec("mask", "true at the steps of each sample; what is false is padding", True),
    InputSpec("initial_h", "the state before the first step; by default 0", True),
)

RETURNS_KIND = Choice(("sequence", "last", "all"))
BIDIRECTIONAL_DOC = "whether to add a layer that reads backwards; the features of both are concatenated"
RETURNS_DOC = (
    "the state at every step, or only the last state (of each direction), or both: the parts `sequence` and `h`, "
    "and `c` of an LSTM"
)
BIAS_DOC = "whether to add learned biases, one to the product with the input and one to that with the state"


@declare_attributes
class Recurrent(Op):
    """A recurrent layer. The rows of its weights are those of its gates, one gate after another.

    Padding, which `lengths` or `mask` exclude, keeps the state, and its outputs are 0. The states of both
    directions, in the initial state and in the parts, lie side by side on axis C, the forward one first.
    """

    input_specs = SEQUENCE_INPUTS
    gate_count: ClassVar[int]
    states: ClassVar[tuple[str, ...]] = ("h",)  # what it carries from step to step
    units: int = attribute_field(Integer(1), "size of the state", role="output")
    bidirectional: bool = attribute_field(Boolean(), BIDIRECTIONAL_DOC, False)
    returns: str = attribute_field(RETURNS_KIND, RETURNS_DOC, "sequence")
    bias: bool = attribute_field(Boolean(), BIAS_DOC, True, role="detail")
    over: str = attribute_field(AxisName(), "axis of the time steps", "T")
    init: Init | None = attribute_field(
        InitKind(), "initial values of the input kernel; by default those of the framework", None
    )
    recurrent_init: Init | None = attribute_field(
        InitKind("recurrent_kernel"),
        "initial values of the recurrent kernel; by default those of the framework",
        None,
    )

    def infer_type(
        self,
        x: TensorType,
        lengths: TensorType | None = None,
        mask: TensorType | None = None,
        *initial: TensorType | None,
    ) -> TensorType:
        require_floats(self.name, x)
        x[CHANNEL]
        self.check_padding(x, lengths, mask)
        self.check_initial(x, initial)
        needs_batch = self.returns == "all" or any(part is not None for part in (lengths, mask, *initial))
        if needs_batch and not x.batched:
            raise BatchNeeded("SB401", f"{self.name} with states or padding needs a sequence for each sample")
        return self.state_type(x) if self.returns == "last" else self.sequence_type(x)

    def sequence_type(self, x: TensorType) -> TensorType:
        size = symbolic_formula("2 * units", units=self.units) if self.bidirectional else self.units
        return x.with_sizes({CHANNEL: size})

    def state_type(self, x: TensorType) -> TensorType:
        return self.sequence_type(x).without_axes(self.over)

    def part_types(self, x: TensorType, *_: TensorType | None) -> dict[str, TensorType]:
        if self.returns != "all":
            return {}
        return {"sequence": self.sequence_type(x), **dict.fromkeys(self.states, self.state_type(x))}

    def check_padding(self, x: TensorType, lengths: TensorType | None, mask: TensorType | None) -> None:
        """Raise ShapeError if the lengths or the mask do not fit the sequence."""
        if lengths is not None and mask is not None:
            raise ShapeError(
                "SB102", f"{self.name} takes `lengths` or `mask`, not both", "leave one of them out"
            )
        others = x.without_axes(self.over, CHANNEL).axes
        if lengths is not None:
            require_integers(self.name, lengths)
            check_sizes("lengths", lengths, x, others)
        if mask is not None:
            require_mask(self.name, mask)
            check_sizes("mask", mask, x, (*others, self.over))

    def check_initial(self, x: TensorType, initial: tuple[TensorType | None, ...]) -> None:
        """Raise ShapeError if the initial states do not fit, or if one of them is missing."""
        state = self.state_type(x)
        given = dict(zip(self.states, initial, strict=False))
        missing = [f"`initial_{name}`" for name in self.states if given.get(name) is None]
        if missing and len(missing) < len(self.states):
            raise ShapeError(
                "SB103", f"{self.name} also needs {join_names(missing)}", "its state has both parts"
            )
        for name, value in given.items():
            if value is not None and not require_floats(self.name, value).has_same_sizes(state):
                raise ShapeError("SB401", f"initial_{name} needs the axes of the state, {state}; got {value}")

    def joint_axes(self, *xs: TensorType | None) -> Iterable[Sequence[tuple[int, str]]]:
        return share_axes(xs)

    def weight_specs(self, x: TensorType, *_: TensorType | None) -> dict[str, WeightSpec]:
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

    def count_macs(self, x: TensorType, *_: TensorType | None) -> int:
        step = self.gate_count * concrete(self.units) * (concrete(x[CHANNEL]) + concrete(self.units))
        return step * (2 if self.bidirectional else 1) * (x.element_count // concrete(x[CHANNEL]))

    def index_limits(
        self, x: TensorType, lengths: TensorType | None = None, *_: TensorType | None
    ) -> dict[str, int]:
        return {} if lengths is None else {"lengths": concrete(x[self.over]) + 1}


def check_sizes(name: str, value: TensorType, x: TensorType, axes: tuple[str, ...]) -> None:
    """Raise ShapeError SB401 if a value does not have exactly these axes, in the sizes of `x`."""
    expected = {axis: x[axis] for axis in axes}
    if dict(value.sizes) != expected:
        needed = TensorType(expected)
        raise ShapeError(
            "SB401",
            f"{name} needs the axes {needed}; got {value}"
            if axes
            else f"{name} has one number for each sample; got {value}",
        )


@register_op("recurrent")
class Lstm(Recurrent):
    """Long short-term memory: c = f * c' + i * g, h = o * tanh(c), with gates i, f, o and candidate g.

    Hochreiter and Schmidhuber, 1997. Gates in the rows of the weights: i, f, g, o. Padding, which `lengths` or
    `mask` exclude, keeps the state, and its outputs are 0.
    """

    gate_count = 4
    states = ("h", "c")
    input_specs = (
        *SEQUENCE_INPUTS,
        InputSpec("initial_c", "the cell before the first step; by default 0", True),
    )


@register_op("recurrent")
class Gru(Recurrent):
    """Gated recurrent unit: h = (1 - z) * n + z * h', n = tanh(W x + b + r * (U h' + c)), with gates r and z.

    The reset gate r is applied after the product, as in cuDNN. Gates in the rows of the weights: r, z, n
    (arXiv 1406.1078). Padding, which `lengths` or `mask` exclude, keeps the state, and its outputs are 0.
    """

    gate_count = 3


@register_op("recurrent")
class Rnn(Recurrent):
    """A simple recurrent layer: h = tanh(W x + b + U h' + c) (Elman, 1990).

    Padding, which `lengths` or `mask` exclude, keeps the state, and its outputs are 0.
    """

    gate_count = 1
    activation: str = attribute_field(Choice(("tanh", "relu")), "the function of the sum", "tanh")
