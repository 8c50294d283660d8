"""The base class of ops. One definition of an op gives its schema, types, cost, code and reference page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

from specbuild.expressions import concrete
from specbuild.ops.attribute_kinds import AttributeKind
from specbuild.ops.initializers import InitKind
from specbuild.ops.types import ShapeError, TensorType
from specbuild.ops.weight_spec import WeightSpec

# How a diagram shows an attribute: in the caption, as the size of the output or of a window, or not at all.
AttributeRole: TypeAlias = Literal["main", "output", "window", "detail"]

POSITION_KEEPING_FAMILIES = ("norm", "activation", "dropout", "math")


@dataclass(frozen=True)
class InputSpec:
    """One input of an op. The first input is the value of the previous step, unless `from` names another."""

    name: str
    doc: str = ""
    optional: bool = False
    variadic: bool = False
    gives_size: bool = False  # whether only its sizes matter


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
    `axis` is the name of the axis there, if it has another one.
    """

    input: int = 0
    offset: int = 0
    merged_axes: tuple[str, ...] = ()
    axis: str = ""


class Op:
    """A primitive operation. Its dataclass fields are its attributes in YAML, and do not change."""

    name: ClassVar[str]
    title: ClassVar[str] = ""  # its name in tables and diagrams; for an op with a `given_form`, that of both
    family: ClassVar[str]
    input_specs: ClassVar[tuple[InputSpec, ...]] = (InputSpec("x", "the input"),)
    # Whether emitted code may write it inside the expression that reads it.
    can_inline: ClassVar[bool] = False
    is_sum: ClassVar[bool] = False  # whether the output is the sum of the inputs
    # The op that is meant if `weight` is among the attributes: a kernel that is a value.
    given_form: ClassVar[str] = ""
    symbol: ClassVar[str] = ""  # a sign that stands for the op in diagrams
    summary: ClassVar[str]

    defaults: ClassVar[dict[str, Any]] = {}  # of the attributes, in their order; MISSING for a required one

    # These do what a dataclass would generate. To generate them for each op would slow down the start.

    def __init__(self, **values: Any) -> None:
        state = {**self.defaults, **values}
        if len(state) > len(self.defaults) or MISSING in state.values():
            wrong = [name for name, value in state.items() if value is MISSING or name not in self.defaults]
            raise TypeError(f"{type(self).__name__} needs or does not have {', '.join(wrong)}")
        self.__dict__.update(state)

    def __setattr__(self, name: str, value: Any) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({values})"

    def infer_type(self, *inputs: Any) -> TensorType:
        """Return the output type for these input types; raises ShapeError.

        An absent optional input is None.
        """
        first: TensorType = inputs[0]
        return first

    def part_types(self, *inputs: Any) -> dict[str, TensorType]:
        """Return the types of several outputs by name; empty for one output. `infer_type` gives the first."""
        return {}

    def axis_strides(self, *inputs: Any) -> dict[str, AxisStride]:
        """Return the strides of the output axes that do not have stride 1 on the input axis of the same name."""
        return {}

    def position_source(self, axis: str, *inputs: Any) -> PositionSource | None:
        """Return where the positions along an output axis come from.

        None if they are not those of an input.
        """
        return PositionSource() if self.family in POSITION_KEEPING_FAMILIES else None

    def size_source(self, axis: str, *inputs: Any) -> PositionSource | None:
        """Return where the size of an output axis comes from: the same place, unless positions only move."""
        return self.position_source(axis, *inputs)

    def gives_size(self, axis: str) -> bool:
        """Return whether an attribute says the size that an output axis has, for inputs of any size."""
        return False

    def fixed_sizes(self, *inputs: Any) -> Iterable[tuple[int, str, int]]:
        """Return sizes that its inputs must have: the number of the input, the axis, and its size.

        Its own numbers fix them, or an input without a batch: a table. An absent optional input is None.
        """
        return ()

    def joint_axes(self, *inputs: Any) -> Iterable[Sequence[tuple[int, str]]]:
        """Return groups of axes that need one size, each with the number of its input.

        A framework might repeat a size of 1, or read a part of the larger one. An absent optional input is None.
        """
        return ()

    def unread_numbers(self) -> tuple[int, ...]:
        """Return attributes that decide what code has as numbers: it cannot read them when it runs."""
        return ()

    @property
    def accepts_too_little(self) -> bool:
        """Whether a framework runs it where an axis is too short for it, and gives nothing or what is not a number."""
        return False

    def least_sizes(self, *inputs: Any) -> Iterable[tuple[int, str, int]]:
        """Return the least sizes of inputs where its attributes give them: the number of the input, the axis, the size."""
        return ()

    def divisors(self, *inputs: Any) -> Iterable[tuple[int, str, int]]:
        """Return sizes that must be multiples: the number of the input, the axis, and the divisor."""
        return ()

    @property
    def number_counts(self) -> tuple[int, int]:
        """How many given or drawn numbers the op holds that are not in the spec itself, and how many code holds."""
        return 0, 0

    def remainders(self, *inputs: Any) -> tuple[int, ...]:
        """Return numbers that are 0 if the op can split its axes, with their expressions.

        They are remainders, `size % parts`, or differences, `size - product`.
        """
        return ()

    def weight_specs(self, *inputs: Any) -> dict[str, WeightSpec]:
        """Return its parameters and buffers by canonical name."""
        return {}

    def count_macs(self, *inputs: Any) -> int:
        """Return multiply-adds for one sample, without elementwise operations."""
        return 0

    def caption(self) -> str | None:
        """Return what a diagram shows after its name; None for its main attributes."""
        return None

    def running_statistics(self) -> RunningStatistics | None:
        """Return the buffers that it updates in training; None if it has none."""
        return None

    def dropout_rate(self) -> float | None:
        """Return the probability of dropping a value in training; None if it never drops any."""
        return None

    def index_limits(self, *inputs: Any) -> dict[str, int]:
        """For each input of indices, by name, the number of its possible values."""
        return {}


CAST_TO_FLOAT = "convert it before: `cast: {dtype: float}`"


def require_floats(name: str, x: TensorType) -> TensorType:
    """Return the type if its dtype is float; raises ShapeError SB305."""
    if x.dtype != "float":
        raise ShapeError("SB305", f"{name} needs floats; got {x}", CAST_TO_FLOAT)
    return x


def require_numbers(name: str, x: TensorType) -> TensorType:
    """Return the type if its dtype is float or int32; raises ShapeError SB305."""
    if x.dtype == "bool":
        raise ShapeError(
            "SB305",
            f"{name} needs numbers; got {x}",
            "convert the mask to numbers before: `cast: {dtype: int32}`, or `float`",
        )
    return x


def require_whole(name: str, x: TensorType, **values: float | None) -> None:
    """Raise ShapeError SB305 if x is an integer or a mask and one of these attributes does not fit."""
    for attribute, value in values.items():
        number = concrete(value)
        if x.dtype == "float" or number is None or (number in (0, 1) and isinstance(number, int)):
            continue
        if x.dtype == "bool":
            raise ShapeError("SB305", f"{name} of {x} needs 0 or 1; got {attribute}: {number}")
        if not isinstance(number, int):
            hint = f"write {number:.0f}" if float(number).is_integer() else CAST_TO_FLOAT
            raise ShapeError("SB305", f"{name} of {x} needs whole numbers; got {attribute}: {number}", hint)


OPS: dict[str, type[Op]] = {}

T = TypeVar("T", bound=Op)


def attribute_field(
    kind: AttributeKind, doc: str, default: Any = MISSING, *, role: AttributeRole = "main"
) -> Any:
    """Return the dataclass field of an op's attribute; required if it has no default."""
    role = "detail" if isinstance(kind, InitKind) else role
    return field(default=default, metadata={"kind": kind, "doc": doc, "role": role})


def declare_attributes(cls: type[T]) -> type[T]:
    """Class decorator: collect the attributes of an op, or of a base class of ops."""
    op = dataclass(init=False, eq=False, repr=False)(cls)
    op.defaults = {f.name: f.default for f in fields(op)}  # type: ignore[arg-type]
    return op


def register_op(family: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: collect the op's attributes and add it to OPS under its name in snake case.

    Raises ValueError if another class has that name: what a name means must not depend on what is installed.
    """

    def register_class(cls: type[T]) -> type[T]:
        op = declare_attributes(cls)
        op.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower().strip("_")
        op.title = cls.__dict__.get("title") or op.name  # not that of an op that it extends
        op.family = family
        op.summary = (cls.__doc__ or "").split("\n\n")[0].strip()
        other = OPS.get(op.name, op)
        if (other.__module__, other.__qualname__) != (op.__module__, op.__qualname__):
            raise ValueError(f"{other.__module__} already defines the op {op.name!r}")
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


def list_attributes(cls: type[Op]) -> Mapping[str, OpAttribute]:
    """Return the attributes of an op by name."""
    if cls not in KNOWN_ATTRIBUTES:
        declared = fields(cls)  # type: ignore[arg-type]
        KNOWN_ATTRIBUTES[cls] = {
            f.name: OpAttribute(f.name, default=f.default, **f.metadata) for f in declared
        }
    return KNOWN_ATTRIBUTES[cls]


KNOWN_ATTRIBUTES: dict[type[Op], Mapping[str, OpAttribute]] = {}  # those that were asked for
