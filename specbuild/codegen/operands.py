"""The values that a backend writes code for, and what it can ask of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec.structs import replace

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweredStep, LoweredValue, LoweringResult
from specbuild.codegen.tree import Expr, ValuePlaceholder
from specbuild.ir.graph import Block
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType


class ValueLowering(Protocol):
    """What an operand needs from the lowering of its block."""

    block: Block
    steps: list[LoweredStep]

    def value_number(self, key: str) -> int: ...
    def convert_value(self, value: LoweredValue, layout: Layout) -> LoweredValue: ...


class Operand:
    """An input of an op as a backend sees it: type and layout, and methods to convert the layout."""

    def __init__(self, lowering: ValueLowering, value: LoweredValue):
        self.lowering, self.value = lowering, value

    @property
    def type(self) -> TensorType:
        return self.value.type

    @property
    def layout(self) -> Layout:
        return self.value.layout

    @property
    def order(self) -> tuple[str, ...]:
        return self.value.layout.order

    @property
    def expr(self) -> Expr:
        return ValuePlaceholder(self.lowering.value_number(self.value.key))

    @property
    def inlinable_code(self) -> Expr | None:
        """The code that computes the value, if it may be written where the value is read."""
        step = next((s for s in reversed(self.lowering.steps) if s.key == self.value.key), None)
        if step is None or not step.can_inline or step.member is not None:
            return None
        return None if step.layer_name or step.when or step.is_skipped or step.doc else step.call

    def __getitem__(self, axis: str) -> int:
        return self.value.type[axis]

    def dim(self, axis: str) -> int:
        return self.value.layout.dim(axis)

    def sorted_dims(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return self.value.layout.sorted_dims(axes)

    def to_order(self, *order: str, batch_axes: tuple[str, ...] = ()) -> Operand:
        """Return the value with its axes in this order. Each conversion is emitted once and shared."""
        return Operand(
            self.lowering,
            self.lowering.convert_value(self.value, Layout(order, batch_axes, self.layout.batched)),
        )

    def unfold_axes(self) -> Operand:
        """Return the value with no axes folded into the batch dimension."""
        return self.to_order(*self.layout.batch_axes, *self.order) if self.layout.batch_axes else self

    def rename_axis(self, old: str, new: str) -> Operand:
        """Return the value as if an axis of it had another name; this needs no code."""
        here = self.unfold_axes()
        order = tuple(new if axis == old else axis for axis in here.order)
        type_ = here.type.replace_axes(old, {new: here[old]})
        layout = replace(here.layout, order=order)
        return Operand(self.lowering, replace(here.value, type=type_, layout=layout))

    def move_last(self, *axes: str) -> Operand:
        """Return the value with these axes last, in this order; the others keep their order."""
        here = self.unfold_axes()
        return here.to_order(*(a for a in here.order if a not in axes), *axes)


class LoweringBackend(Protocol):
    """What code generation needs from a framework's backend."""

    name: str
    calls_need_input: bool
    has_rows: bool
    rows_need_batch: bool
    identity_layer: str | None
    models_read_sizes: bool  # whether the code of a model, not only that of blocks, reads sizes when it runs
    scans_free_sizes: bool  # whether the axis of a scan can have any size

    @property
    def size_readers(self) -> frozenset[str]: ...  # helpers that read sizes of their arguments

    scan_function: str  # the helper that applies a block to one position after another; "" if there is none

    def natural_order(self, x: TensorType) -> tuple[str, ...]: ...
    def fixed_attributes(self, op: Op) -> tuple[str, ...]: ...
    def lower(self, op: Op, inputs: list[Operand | None], type_: TensorType) -> LoweringResult: ...
    def convert_layout(
        self, value: Expr, type_: TensorType, source: Layout, target: Layout, known_sizes: Mapping[str, Expr]
    ) -> Expr: ...
    def add_batch(self, value: Expr, layout: Layout, like: Expr | None) -> Expr: ...
