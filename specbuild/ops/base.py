"""The base class of ops. One definition of an op gives its schema, types, cost, code and reference page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from specbuild.ops.attribute_kinds import AttributeKind, InitKind
from specbuild.ops.types import ShapeError, TensorType
from specbuild.ops.weight_spec import WeightSpec

# How a diagram shows an attribute: in the caption, as the size of the output or of a window, or not at all.
AttributeRole: TypeAlias = Literal["main", "output", "window", "detail"]

POSITION_KEEPING_FAMILIES = ("norm", "activation", "dropout")


@dataclass(frozen=True)
class InputSpec:
    """One input of an op. The first input is the value of the previous step, unless `from` names another."""

    name: str
    doc: str = ""
    optional: bool = False
    variadic: bool = False


@dataclass(frozen=True)
class AxisStride:
    """The stride of an output axis on the input axis `axis`, in input positions: numerator / denominator."""

    axis: str
    numerator: int
    denominator: int = 1


@dataclass(frozen=True)
class RunningStatistics:
    """How an op updates buffers in training: by the share `momentum` of the statistics of each batch.

    `means` and `variances` are the names of its weights; each position of `axis` has its own statistics.
    """

    momentum: float
    axis: str
    means: tuple[str, ...]
    variances: tuple[str, ...]


@dataclass(frozen=True)
class PositionSource:
    """The input whose positions are those of an output axis, after `offset` positions of other inputs.

    If the output axis merges several axes of the input in row-major order, these are the `merged_axes`.
    """

    input: int = 0
    offset: int = 0
    merged_axes: tuple[str, ...] = ()


class Op:
    """A primitive operation. Its dataclass fields are its attributes in YAML."""

    name: ClassVar[str]
    family: ClassVar[str]
    input_specs: ClassVar[tuple[InputSpec, ...]] = (InputSpec("x", "the input"),)
    # Whether emitted code may write it inside the expression that reads it.
    can_inline: ClassVar[bool] = False
    is_sum: ClassVar[bool] = False  # whether the output is the sum of the inputs
    symbol: ClassVar[str] = ""  # a sign that stands for the op in diagrams
    summary: ClassVar[str]

    # These three do what a dataclass would generate. To generate them for each op would slow down the start.

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({values})"

    def infer_type(self, *inputs: Any) -> TensorType:
        """The output type for these input types; raises ShapeError. An absent optional input is None."""
        first: TensorType = inputs[0]
        return first

    def part_types(self, *inputs: Any) -> dict[str, TensorType]:
        """The types of several outputs by name; empty for one output. `infer_type` gives the first."""
        return {}

    def axis_strides(self, *inputs: Any) -> dict[str, AxisStride]:
        """The strides of the output axes that do not have stride 1 on the input axis of the same name."""
        return {}

    def position_source(self, axis: str, *inputs: Any) -> PositionSource | None:
        """Where the positions along an output axis come from; None if they are not those of an input."""
        return PositionSource() if self.family in POSITION_KEEPING_FAMILIES else None

    def weight_specs(self, *inputs: Any) -> dict[str, WeightSpec]:
        """Its parameters and buffers by canonical name."""
        return {}

    def count_macs(self, *inputs: Any) -> int:
        """Multiply-adds for one sample, without elementwise operations."""
        return 0

    def caption(self) -> str | None:
        """What a diagram shows after its name; None for its main attributes."""
        return None

    def running_statistics(self) -> RunningStatistics | None:
        """The buffers that it updates in training; None if it has none."""
        return None

    def dropout_rate(self) -> float | None:
        """The probability of dropping a value in training; None if it never drops any."""
        return None

    def index_limits(self, *inputs: Any) -> dict[str, int]:
        """For each input of indices, by name, the number of its possible values."""
        return {}


def require_floats(name: str, x: TensorType) -> TensorType:
    """Return the type if its dtype is float; raises ShapeError SB305."""
    if x.dtype != "float":
        raise ShapeError("SB305", f"{name} needs floats; got {x}")
    return x


OPS: dict[str, type[Op]] = {}

T = TypeVar("T", bound=Op)


def attribute_field(
    kind: AttributeKind, doc: str, default: Any = MISSING, *, role: AttributeRole = "main"
) -> Any:
    """The dataclass field of an op's attribute; required if it has no default."""
    role = "detail" if isinstance(kind, InitKind) else role
    return field(default=default, metadata={"kind": kind, "doc": doc, "role": role})


def register_op(family: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: make the op a frozen dataclass and add it to OPS under its name in snake case."""

    def register_class(cls: type[T]) -> type[T]:
        op = dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)
        op.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower().strip("_")
        op.family = family
        op.summary = (cls.__doc__ or "").split("\n\n")[0].strip()
        OPS[op.name] = op
        return op

    return register_class


@dataclass(frozen=True)
class OpAttribute:
    """One attribute of an op, as declared with `attribute_field`."""

    name: str
    kind: AttributeKind
    doc: str
    default: Any
    role: AttributeRole = "main"

    @property
    def is_required(self) -> bool:
        return self.default is MISSING


def list_attributes(cls: type[Op]) -> dict[str, OpAttribute]:
    """The attributes of an op by name."""
    declared = fields(cls)  # type: ignore[arg-type]
    return {f.name: OpAttribute(f.name, default=f.default, **f.metadata) for f in declared}
