"""The weights of an op: their axes, their initial values, and random values that expose errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import TypeAlias

from specbuild.expressions import concrete
from specbuild.ops.given_tensor import GivenTensor
from specbuild.ops.initializers import Init


@dataclass(frozen=True)
class NormalValues:
    """Random values: mean + deviation * standard normal values.

    With `by_fan_in`, they are divided by the square root of the fan-in: a layer keeps the standard deviation.
    """

    mean: float = 0.0
    deviation: float = 1.0
    by_fan_in: bool = False


@dataclass(frozen=True)
class UniformValues:
    """Random values that are uniform between two bounds."""

    low: float
    high: float


RandomValues: TypeAlias = NormalValues | UniformValues

NEAR_ZERO = NormalValues(0.0, 0.3)
NEAR_ONE = NormalValues(1.0, 0.2)
POSITIVE = UniformValues(0.5, 1.5)
BY_FAN_IN = NormalValues(by_fan_in=True)


@dataclass(frozen=True)
class InputAxis:
    """The axis I of a kernel whose input channels can be changed. `groups` are the groups of channels.

    With `is_flattened`, the axis may be several axes merged into one, such as positions and channels.
    """

    groups: int = 1
    is_flattened: bool = False


@dataclass(frozen=True)
class WeightSpec:
    """A parameter or buffer of an op.

    `axes` are in PyTorch's order and named by their role: O and I for the output and input channels of a
    kernel, then the window axes. A backend may store them in another order. `is_trainable` is false for buffers.
    `decays` says whether weight decay applies: to kernels of linear and convolution layers and to embeddings.
    `init` gives the initial values, `random` those for parity: zeros and ones would hide errors there.
    """

    axes: Mapping[str, int]
    is_trainable: bool = True
    decays: bool = False
    init: Init = field(kw_only=True)
    random: RandomValues = field(default=NEAR_ZERO, kw_only=True)
    input_axis: InputAxis | None = field(default=None, kw_only=True)
    is_table: bool = field(default=False, kw_only=True)
    """Whether its rows can be positions of a grid, as those of position embeddings are."""
    given: GivenTensor | None = field(default=None, kw_only=True)
    """The numbers, if the spec gives them: they are neither drawn nor trained."""


def kernel_spec(
    axes: Mapping[str, int], init: Init | None = None, input_axis: InputAxis | None = None
) -> WeightSpec:
    """Return a kernel. By default, its initial values are those of PyTorch."""
    init = init or uniform_by_fan_in(axes)
    return WeightSpec(axes, decays=True, init=init, random=BY_FAN_IN, input_axis=input_axis)


def bias_spec(size: int, kernel: WeightSpec, init: Init | None = None) -> WeightSpec:
    """Return a bias.

    By default, its initial values have the bounds of PyTorch, which depend on the kernel.
    """
    return WeightSpec({"O": size}, init=init or uniform_by_fan_in(kernel.axes))


def uniform_by_fan_in(axes: Mapping[str, int]) -> Init:
    """Return uniform initial values, bounded by 1 / sqrt(fan-in) of a kernel."""
    fan_in, _ = count_fans([concrete(size) for size in axes.values()])
    return Init("uniform", (1 / sqrt(fan_in),))


def count_fans(shape: Sequence[int]) -> tuple[int, int]:
    """Return the fan-in and fan-out of a kernel: the inputs of each output, and the outputs of each input."""
    if len(shape) < 2:
        return prod(shape), prod(shape)
    return prod(shape[1:]), shape[0] * prod(shape[2:])
