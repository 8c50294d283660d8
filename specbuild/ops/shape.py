"""Ops that only rearrange: axes merged, split, renamed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from math import prod

from specbuild.expressions import formula, named, plain, words
from specbuild.expressions.python_ast import parsed
from specbuild.ops.attribute_kinds import Axes, Axis, Fixed, Integer, Renames
from specbuild.ops.base import Op, Places, attr, op
from specbuild.ops.types import CHANNEL, ShapeError, Tensor


@op("shape")
class Flatten(Op):
    """Axes merged into one, row-major in the order written."""

    light = True
    axes: tuple[str, ...] = attr(Axes(), "axes that are merged, slowest first")
    into: str = attr(Axis(), "name of the merged axis", CHANNEL)

    def infer(self, x: Tensor) -> Tensor:
        parts = {f"x{i}": x[a] for i, a in enumerate(self.axes)}
        size = lasting(self.into, list(parts.values()), formula(" * ".join(parts), **parts))
        if len(self.axes) == 2 and (whole := divided(x[self.axes[1]], x[self.axes[0]])):
            size = named(size, whole)
        return x.replaced(self.axes, {self.into: size})


def lasting(axis: str, parts: list[int], size: int) -> int:
    """A computed size with its words, unless a part of them is only the size of this input: how many places
    there are is read off at run time, while channels are the same for every input."""
    return size if axis == CHANNEL or all(words(n) is not None for n in parts) else plain(size)


def divided(part: int, by: int) -> str | None:
    """What was divided, where a size is told as `whole // by`: an axis that was split in two, and is joined again."""
    told = words(part)
    match parsed(told, mode="eval").body if told else None:
        case ast.BinOp(whole, ast.FloorDiv(), divisor) if ast.unparse(divisor) == (words(by) or str(by)):
            return ast.unparse(whole)
    return None


@op("shape")
class Unflatten(Op):
    """One axis split into several, row-major in the order written; one size may be -1, to be worked out."""

    light = True
    axis: str = attr(Axis(), "axis that is split", CHANNEL)
    into: Mapping[str, int] = attr(Fixed(Integer(-1)), "the new axes with their sizes, slowest first")

    def infer(self, x: Tensor) -> Tensor:
        whole, known = plain(x[self.axis]), prod(plain(n) for n in self.into.values() if n != -1)
        unknown = [a for a, n in self.into.items() if n == -1]
        if len(unknown) > 1 or 0 in self.into.values():
            raise ShapeError("SB403", "only one size can be -1, and none 0")
        if whole % known if unknown else whole != known:
            raise ShapeError("SB401", f"axis {self.axis} of size {whole} cannot be split into {self.told()}")
        known_sizes = {f"x{i}": n for i, n in enumerate(n for n in self.into.values() if n != -1)}
        by = " * ".join(known_sizes) or "1"
        rest = formula(f"whole // ({by})", whole=x[self.axis], **known_sizes)
        rest = lasting(self.axis, [x[self.axis]], rest)
        return x.replaced(self.axis, {a: rest if n == -1 else n for a, n in self.into.items()})

    def places(self, x: Tensor) -> dict[str, Places]:
        found: dict[str, Places] = {}
        steps, sizes = 1, self.infer(x).sizes
        for axis in reversed(list(self.into)):
            found[axis] = Places(self.axis, steps)
            steps *= plain(sizes[axis])
        return found

    def told(self) -> str:
        return " x ".join("?" if n == -1 else str(plain(n)) for n in self.into.values())


@op("shape")
class Rename(Op):
    """Axes under new names; nothing moves."""

    light = True
    axes: Mapping[str, str] = attr(Renames(), "old name to new name")

    def infer(self, x: Tensor) -> Tensor:
        for axis in self.axes:
            x[axis]
        names = [self.axes.get(a, a) for a in x.axes]
        if len(set(names)) < len(names):
            raise ShapeError("SB401", f"two axes of {x} would have the same name")
        return Tensor(dict(zip(names, x.sizes.values(), strict=True)), x.dtype, x.batched)

    def places(self, x: Tensor) -> dict[str, Places]:
        return {new: Places(old, 1) for old, new in self.axes.items()}
