"""Ops that only rearrange: axes merged, split, renamed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from math import prod

from specbuild.expressions import concrete, expression_of, symbolic, symbolic_formula
from specbuild.expressions.python_ast import parse_python
from specbuild.ops.attribute_kinds import AxisMapping, AxisName, AxisNames, AxisRenames, Integer
from specbuild.ops.base import AxisStride, Op, attribute_field, register_op
from specbuild.ops.types import CHANNEL, ShapeError, TensorType


@register_op("shape")
class Flatten(Op):
    """Axes merged into one, row-major in the order written."""

    can_inline = True
    axes: tuple[str, ...] = attribute_field(AxisNames(), "axes that are merged, slowest first")
    into: str = attribute_field(AxisName(), "name of the merged axis", CHANNEL)

    def infer_type(self, x: TensorType) -> TensorType:
        parts = {f"x{i}": x[a] for i, a in enumerate(self.axes)}
        size = stable_size(self.into, list(parts.values()), symbolic_formula(" * ".join(parts), **parts))
        if len(self.axes) == 2 and (whole := find_dividend(x[self.axes[1]], x[self.axes[0]])):
            size = symbolic(size, whole)
        return x.replace_axes(self.axes, {self.into: size})


def stable_size(axis: str, parts: list[int], size: int) -> int:
    """A computed size with its words, unless a part of them is only the size of this input: how many places
    there are is read off at run time, while channels are the same for every input."""
    return size if axis == CHANNEL or all(expression_of(n) is not None for n in parts) else concrete(size)


def find_dividend(part: int, by: int) -> str | None:
    """What was divided, where a size is told as `whole // by`: an axis that was split in two, and is joined again."""
    told = expression_of(part)
    match parse_python(told, mode="eval").body if told else None:
        case ast.BinOp(whole, ast.FloorDiv(), divisor) if ast.unparse(divisor) == (
            expression_of(by) or str(by)
        ):
            return ast.unparse(whole)
    return None


@register_op("shape")
class Unflatten(Op):
    """One axis split into several, row-major in the order written; one size may be -1, to be worked out."""

    can_inline = True
    axis: str = attribute_field(AxisName(), "axis that is split", CHANNEL)
    into: Mapping[str, int] = attribute_field(
        AxisMapping(Integer(-1)), "the new axes with their sizes, slowest first"
    )

    def infer_type(self, x: TensorType) -> TensorType:
        whole, known = concrete(x[self.axis]), prod(concrete(n) for n in self.into.values() if n != -1)
        unknown = [a for a, n in self.into.items() if n == -1]
        if len(unknown) > 1 or 0 in self.into.values():
            raise ShapeError("SB403", "only one size can be -1, and none 0")
        if whole % known if unknown else whole != known:
            raise ShapeError(
                "SB401", f"axis {self.axis} of size {whole} cannot be split into {self.describe_sizes()}"
            )
        known_sizes = {f"x{i}": n for i, n in enumerate(n for n in self.into.values() if n != -1)}
        by = " * ".join(known_sizes) or "1"
        rest = symbolic_formula(f"whole // ({by})", whole=x[self.axis], **known_sizes)
        rest = stable_size(self.axis, [x[self.axis]], rest)
        return x.replace_axes(self.axis, {a: rest if n == -1 else n for a, n in self.into.items()})

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        found: dict[str, AxisStride] = {}
        steps, sizes = 1, self.infer_type(x).sizes
        for axis in reversed(list(self.into)):
            found[axis] = AxisStride(self.axis, steps)
            steps *= concrete(sizes[axis])
        return found

    def describe_sizes(self) -> str:
        return " x ".join("?" if n == -1 else str(concrete(n)) for n in self.into.values())


@register_op("shape")
class Rename(Op):
    """Axes under new names; nothing moves."""

    can_inline = True
    axes: Mapping[str, str] = attribute_field(AxisRenames(), "old name to new name")

    def infer_type(self, x: TensorType) -> TensorType:
        for axis in self.axes:
            x[axis]
        names = [self.axes.get(a, a) for a in x.axes]
        if len(set(names)) < len(names):
            raise ShapeError("SB401", f"two axes of {x} would have the same name")
        return TensorType(dict(zip(names, x.sizes.values(), strict=True)), x.dtype, x.batched)

    def axis_strides(self, x: TensorType) -> dict[str, AxisStride]:
        return {new: AxisStride(old, 1) for old, new in self.axes.items()}
