"""The result of lowering a trace: steps on named axes, in one instance for each module.

A value of a spec has named axes and no order; a traced tensor has an order and no names. A `NamedValue` ties
them: for each dimension of the tensor, the axes that it is made of, slowest first. `BATCH` is an axis that
only dimensions have.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct, field

if TYPE_CHECKING:
    from specbuild.importing.trace import ModuleCall

BATCH = "B"
Dim: TypeAlias = tuple[str, ...]


class Unsupported(Exception):
    """Raised for what no spec can express, or importing does not know. The message says what it is, `hint` what helps."""

    def __init__(self, message: str, hint: str = "", code: str = "SB963"):
        super().__init__(message)
        self.hint, self.code = hint, code


class Published(Struct, frozen=True):
    """A tensor of the original model, or one of several equal parts of it along its first dimension."""

    name: str
    part: int = 0
    parts: int = 1


class BlockInput(Struct, eq=False):
    """An input of a block or of the model."""

    name: str
    axes: dict[str, int]
    dtype: str = "float"


class Step(Struct, eq=False):
    """A step: an op, or a block if it has an `instance`. `name` is its dotted path in the block, or empty.

    `roles` are the names of its inputs, where there are several with names. `reused` is a step, or the path of a
    group of steps, whose weights it uses again. `hint` is a name for it, if it needs one.
    """

    op: str
    attributes: dict[str, Any] = field(default_factory=dict)
    sources: list[ValueSource] = field(default_factory=list)
    roles: tuple[str, ...] = ()
    name: str = ""
    weights: dict[str, Published] = field(default_factory=dict)
    axes: dict[str, int] = field(default_factory=dict)
    instance: Instance | None = None
    reused: Step | str | None = None
    hint: str = ""
    table: Any = None  # the numbers of a `const`, until an expression is found
    table_name: str = ""
    line: str = ""


class ValueSource(Struct, frozen=True):
    """What a step reads: the value of a step or input, or one part of it."""

    step: Step | BlockInput
    part: str = ""


class Instance(Struct, eq=False):
    """One call of a module as steps."""

    call: ModuleCall
    class_name: str
    inputs: list[BlockInput]
    steps: list[Step]
    outputs: list[ValueSource]

    @property
    def path(self) -> str:
        return self.call.path

    def walk_instances(self) -> Iterator[Instance]:
        """Yield the instances inside, each after those in it, and itself."""
        for step in self.steps:
            if step.instance is not None and step.reused is None:
                yield from step.instance.walk_instances()
        yield self


class NamedValue(Struct, frozen=True):
    """A traced value as a value of the spec; `sizes` does not have the batch."""

    source: ValueSource
    axes: dict[str, int]
    dims: tuple[Dim, ...]
    dtype: str = "float"

    def dim_size(self, dim: int, batch: int) -> int:
        """Return the size of a dimension of the traced tensor."""
        return math.prod(batch if a == BATCH else self.axes[a] for a in self.dims[dim])

    def with_dims(self, dims: list[Dim] | tuple[Dim, ...]) -> NamedValue:
        """Return the same value of the spec, read in another order."""
        return NamedValue(self.source, self.axes, tuple(dims), self.dtype)


class Landmark(Struct, frozen=True):
    """A traced value, by its number, and the value of the spec for it: both models compute it. `line` is that of the author's code."""

    number: int
    value: NamedValue
    line: str
