"""Ops that merge, split and rename axes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from math import prod

from specbuild.expressions import (
    Expression,
    concrete,
    expression_of,
    expression_text,
    from_tree,
    symbolic,
    symbolic_chain,
    symbolic_formula,
)
from specbuild.ops.attribute_kinds import AxisMapping, AxisName, AxisNames, AxisRenames, Integer
from specbuild.ops.base import AxisStride, Op, PositionSource, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType, stable_size


@register_op("shape")
class Flatten(Op):
    """Merge axes into one, in row-major order of the given axes."""

    can_inline = True
    axes: tuple[str, ...] = attribute_field(AxisNames(), "axes to merge, slowest first")
    into: str = attribute_field(AxisName(), "name of the merged axis", CHANNEL)

    def infer_type(self, x: TensorType) -> TensorType:
        parts = [x[a] for a in self.axes]
        size = stable_size(self.into, parts, symbolic_chain("*", parts))
        if len(self.axes) == 2 and (dividend := find_dividend(x[self.axes[1]], x[self.axes[0]])):
            size = symbolic(size, dividend)
        return x.replace_axes(self.axes, {self.into: size})

    def position_source(self, axis: str, x: TensorType) -> PositionSource | None:
        return PositionSource(merged_axes=self.axes if axis == self.into else ())

    def caption(self) -> str:
        return f"{', '.join(self.axes)} → {self.into}"


def find_dividend(part: int, by: int) -> Expression | None:
    """Return the expression `whole` if the expression of `part` is `whole // by`, as after a split.

    Else None.
    """
    expression = expression_of(part)
    match expression.tree if expression else None:
        case ast.BinOp(whole, ast.FloorDiv(), divisor) if ast.unparse(divisor) == (
            expression_text(by) or str(by)
        ):
            return from_tree(whole)
    return None


@register_op("shape")
class Unflatten(Op):
    """Split one axis into several, in row-major order. One size may be -1: it is computed from the others."""

    can_inline = True
    axis: str = attribute_field(AxisName(), "axis to split", CHANNEL)
    into: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(-1)), "the new axes with their sizes, slowest first"
    )

    def infer_type(self, x: TensorType) -> TensorType:
        whole, known = concrete(x[self.axis]), prod(concrete(n) for n in self.into.values() if n != -1)
        unknown = [a for a, n in self.into.items() if n == -1]
        if len(unknown) > 1 or 0 in self.into.values():
            raise ShapeError("SB403", "only one size can be -1, and none can be 0")
        if whole % known if unknown else whole != known:
            raise ShapeError(
                "SB401", f"axis {self.axis} of size {whole} cannot be split into {self.describe_sizes()}"
            )
        by = symbolic_chain("*", [n for n in self.into.values() if n != -1] or [1])
        rest = symbolic_formula("whole // by", whole=x[self.axis], by=by)
        rest = stable_size(self.axis, [x[self.axis]], rest)
        return x.replace_axes(self.axis, {a: rest if n == -1 else n for a, n in self.into.items()})

    def gives_size(self, axis: str) -> bool:
        return self.into.get(axis, -1) != -1

    def position_source(self, axis: str, x: TensorType) -> PositionSource | None:
        return None if axis in self.into else PositionSource()

    def fixed_sizes(self, x: TensorType) -> Iterable[tuple[int, str, int]]:
        parts = list(self.into.values())
        return [] if -1 in parts else [(0, self.axis, symbolic_chain("*", parts))]

    def divisors(self, x: TensorType) -> Iterable[tuple[int, str, int]]:
        known = [n for n in self.into.values() if n != -1]
        return [(0, self.axis, symbolic_chain("*", known))] if known and -1 in self.into.values() else []

    def remainders(self, x: TensorType) -> tuple[int, ...]:
        whole, parts = x[self.axis], [n for n in self.into.values() if n != -1]
        if not parts or (self.axis != CHANNEL and expression_of(whole) is None):
            return ()  # the size of such an axis is that of an input, which can have another one
        if len(parts) < len(self.into):
            return (symbolic_formula("whole % by", whole=whole, by=symbolic_chain("*", parts)),)
        for n, part in enumerate(parts):  # one of them can be computed from the others
            by = symbolic_chain("*", [*parts[:n], *parts[n + 1 :]] or [1])
            if expression_of(part) and expression_of(part) == expression_of(
                symbolic_formula("whole // by", whole=whole, by=by)
            ):
                return (symbolic_formula("whole % by", whole=whole, by=by),)
        return (symbolic_formula("whole - by", whole=whole, by=symbolic_chain("*", parts)),)

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        strides: dict[str, AxisStride] = {}
        step, sizes = 1, self.infer_type(x).sizes
        for axis in reversed(list(self.into)):
            strides[axis] = AxisStride(self.axis, step)
            step *= concrete(sizes[axis])
        return strides

    def describe_sizes(self) -> str:
        return " x ".join("?" if n == -1 else str(concrete(n)) for n in self.into.values())

    def caption(self) -> str:
        return f"{self.axis} → {', '.join(self.into)}"


@register_op("shape")
class Rename(Op):
    """Rename axes; the values do not change."""

    can_inline = True
    axes: Mapping[str, str] = attribute_field(AxisRenames(), "mapping from old to new names")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.axes:
            x[axis]
        names = [self.axes.get(a, a) for a in x.axes]
        if len(set(names)) < len(names):
            raise ShapeError("SB401", f"two axes of {x} would have the same name")
        return TensorType(dict(zip(names, x.sizes.values(), strict=True)), x.dtype, x.batched)

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {new: AxisStride(old, 1) for old, new in self.axes.items()}

    def position_source(self, axis: str, x: TensorType) -> PositionSource | None:
        return PositionSource(axis=next((old for old, new in self.axes.items() if new == axis), axis))

    def caption(self) -> str:
        return ", ".join(f"{old} → {new}" for old, new in self.axes.items())
