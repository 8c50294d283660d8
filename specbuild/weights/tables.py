"""Tables whose rows are the places of a grid, such as positions, for a grid of another size.

Which grid: what was told, else what the model says of the values that the table is added to, else squares.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from specbuild.ops.indexing import Embedding
from specbuild.ops.table import Weight
from specbuild.ops.types import CHANNEL, SPATIAL, listed
from specbuild.weights import table_grids as grids
from specbuild.weights.adapt_options import Adaptation, Sides
from specbuild.weights.mismatch import Weighed
from specbuild.weights.resample import resampled

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

MODE = "resample"
TABLES = (Weight, Embedding)
MOST_PREFIX = 2  # rows before a grid, where nothing tells how many: tokens of a class and of distillation


class Change(NamedTuple):
    """An axis that is resampled: the sides of its grid in the file and in the model, and the rows before it."""

    axis: int
    old: Sides
    new: Sides
    prefix: int = 0


def adapted(weighed: Weighed, way: Adaptation) -> tuple[Array, str]:
    """The table on the grid of the model, and how it was made."""
    value, changes = weighed.value, plan(weighed, way)
    for axis, old, new, prefix in changes:
        value = resampled(value, axis, (old, new), prefix, (way.align_corners, way.antialias))
    before = "x".join(str(n) for change in changes for n in change.old)
    after = "x".join(str(n) for change in changes for n in change.new)
    rows = sum(change.prefix for change in changes)
    kept = f" after {rows} {'row' if rows == 1 else 'rows'}" if rows else ""
    return value, f"{MODE} {before} to {after}{kept}"


def plan(weighed: Weighed, way: Adaptation) -> list[Change]:
    """What is resampled; SB807 where it is not known."""
    if not isinstance(weighed.node.op, TABLES):
        weighed.refuse(MODE, "is for tables, which are steps `weight` and `embedding`")
    if weighed.value.ndim != len(weighed.held.shape):
        weighed.refuse(MODE, "needs as many axes in the file")
    differing, names = weighed.differing, weighed.axes
    if differing and not (way.old or way.new) and all(names[i] in SPATIAL for i in differing):
        sizes = zip(weighed.value.shape, weighed.held.shape, strict=True)
        return [Change(i, (old,), (new,)) for i, (old, new) in enumerate(sizes) if i in differing]
    if not differing:  # as many places, and yet another grid
        differing = [
            i for i, n in enumerate(weighed.held.shape) if n == prod(way.new or ()) + (way.prefix or 0)
        ]
    if len(differing) != 1:
        told = listed([names[i] for i in differing])
        weighed.refuse(
            MODE, f"is along one axis, and {told} differ" if told else "finds no axis of that size"
        )
    return [grid(weighed, way, differing[0])]


def grid(weighed: Weighed, way: Adaptation, axis: int) -> Change:
    """The grid along one axis."""
    few, many = weighed.value.shape[axis], weighed.held.shape[axis]
    name = weighed.axes[axis]
    known = grids.told(weighed.block, weighed.node, name) if isinstance(weighed.node.op, Weight) else None
    old, new, prefix = way.old, way.new, way.prefix
    if name == CHANNEL and not (old and new):
        weighed.refuse(MODE, "takes channels for no grid", "say from=... and to=... if they are one")
    if new is None and known is not None and (old is None or len(old) == len(known.sides)):
        new = known.sides
    if prefix is None:
        prefix = known.prefix if known else before(old, new, few, many)
    dimensions = len(old or new or (0, 0))
    old = old or even(few - prefix, dimensions)
    new = new or even(many - prefix, dimensions)
    hint = f"tell the rows before the grid, and its sides: '{way.pattern}={MODE}(prefix=1, from=14x14, to=16x16)'"
    if old is None or new is None:
        count, where = (few, "in the file") if old is None else (many, "in the model")
        what = f" after {prefix}" if prefix else ""
        weighed.refuse(MODE, f"knows no grid of the {count:,} rows {where}{what}", hint)
    for sides, count, where in ((old, few, "the file"), (new, many, "the model")):
        if prefix + prod(sides) != count:
            shown = "x".join(map(str, sides))
            weighed.refuse(MODE, f"finds {count:,} rows in {where}, which are not {prefix} and {shown}", hint)
    return Change(axis, old, new, prefix)


def before(old: Sides | None, new: Sides | None, few: int, many: int) -> int:
    """How many rows come before the grid: what sides that are told leave, else so few that squares are left."""
    if new is not None:
        return max(many - prod(new), 0)
    if old is not None:
        return max(few - prod(old), 0)
    found = (p for p in range(MOST_PREFIX + 1) if even(few - p, 2) and even(many - p, 2))
    return next(found, 0)


def even(places: int, dimensions: int) -> Sides | None:
    """A grid of equal sides, if so many places are one."""
    if dimensions == 1:
        return (places,)
    side = isqrt(max(places, 0))
    return (side, side) if dimensions == 2 and side and side * side == places else None
