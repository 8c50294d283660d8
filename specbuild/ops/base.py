"""What an op is: the one definition from which schema, inference, counts, code and reference follow."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from specbuild.ops.attribute_kinds import AttributeKind
from specbuild.ops.types import ShapeError, TensorType


@dataclass(frozen=True)
class WeightSpec:
    """A tensor that an op holds: its axes in canonical (PyTorch's) order, whether it is trained, whether it decays.

    `axes` are the op's own letters for the roles of its dimensions (O and I for the channels of a
    kernel, then the window axes); a backend says in which order it stores them. Weight decay is for kernels,
    by which values are multiplied and summed: not for biases, for scales and shifts of norms, for slopes and tables.
    """

    axes: Mapping[str, int]
    trainable: bool = True
    decays: bool = False


@dataclass(frozen=True)
class InputSpec:
    """One input of an op: by default the value before, or the one that `from` names."""

    name: str
    doc: str = ""
    optional: bool = False
    variadic: bool = False


@dataclass(frozen=True)
class AxisStride:
    """How the places along an axis lie on one of the input's: one for every `steps / of` of `axis`."""

    axis: str
    numerator: int
    denominator: int = 1


class Op:
    """A primitive. Dataclass fields are its attributes; what most ops share stands here."""

    name: ClassVar[str]
    family: ClassVar[str]
    input_specs: ClassVar[tuple[InputSpec, ...]] = (InputSpec("x", "what it is applied to"),)
    can_inline: ClassVar[bool] = False  # elementwise or nearly so: folded into the line that reads it
    summary: ClassVar[str]

    # As a dataclass would write them, once for all ops: written anew for each, they would slow the start.

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"{type(self).__name__}({values})"

    def infer_type(self, *inputs: Any) -> TensorType:
        """The type that comes out of these types; raises ShapeError. Absent optional inputs are None."""
        first: TensorType = inputs[0]
        return first

    def part_types(self, *inputs: Any) -> dict[str, TensorType]:
        """The several values that come out, by name; none where it is one. `infer` then gives the first."""
        return {}

    def axis_strides(self, *inputs: Any) -> dict[str, AxisStride]:
        """Axes whose places lie otherwise than those of the same axis in the input; most ops keep all."""
        return {}

    def weight_specs(self, *inputs: Any) -> dict[str, WeightSpec]:
        """What it holds, by canonical name."""
        return {}

    def count_macs(self, *inputs: Any) -> int:
        """Multiply-adds for one sample; elementwise work is not counted."""
        return 0


def require_floats(name: str, x: TensorType) -> TensorType:
    """The same type, if it holds floats; raises ShapeError."""
    if x.dtype != "float":
        raise ShapeError("SB305", f"{name} works on floats, here is {x}")
    return x


OPS: dict[str, type[Op]] = {}

T = TypeVar("T", bound=Op)


def attribute_field(kind: AttributeKind, doc: str, default: Any = MISSING) -> Any:
    """An attribute of an op: what it may hold, what it means, and what it is when not given."""
    return field(default=default, metadata={"kind": kind, "doc": doc})


def register_op(family: str) -> Callable[[type[T]], type[T]]:
    """Class decorator: freeze the op and enter it under its snake_case name."""

    def register_class(cls: type[T]) -> type[T]:
        made = dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)
        made.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower().strip("_")
        made.family = family
        made.summary = (cls.__doc__ or "").split("\n\n")[0].strip()
        OPS[made.name] = made
        return made

    return register_class


@dataclass(frozen=True)
class OpAttribute:
    """One attribute as declared, for whoever reads the op table."""

    name: str
    kind: AttributeKind
    doc: str
    default: Any

    @property
    def is_required(self) -> bool:
        return self.default is MISSING


def list_attributes(cls: type[Op]) -> dict[str, OpAttribute]:
    declared = fields(cls)  # type: ignore[arg-type]
    return {f.name: OpAttribute(f.name, f.metadata["kind"], f.metadata["doc"], f.default) for f in declared}
