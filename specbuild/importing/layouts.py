"""Dimensions of traced tensors as named axes: one axis where an op needs it, and reshapes.

Reordering, and merging with the batch, cost no step. A dimension that becomes several is split (`unflatten`),
several that become one are merged (`flatten`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from specbuild.importing.axis_names import number_name
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, Dim, NamedValue, Step, Unsupported

PLACES = ("D", "H", "W", "h", "w", "rows", "columns")
# Axes that stay side by side in one dimension, as the batch does: positions of windows.
OUTER = re.compile(r"rows|columns")
INSIDE = {"rows": "h", "columns": "w"}


def require_axis(
    low: Lowerer, value: NamedValue, dim: int, wanted: str | None = None
) -> tuple[NamedValue, str]:
    """Return the value with a single axis at this dimension, called `wanted` if given, and the axis."""
    value = low.resolve(value)
    dim %= len(value.dims)
    axes = value.dims[dim]
    if BATCH in axes:
        raise Unsupported("an op works along the batch", code="SB964")
    if len(axes) > 1:
        value = merge_dim(low, value, dim)
        axes = value.dims[dim]
    if not axes:
        axis = low.unused_axis(wanted or "C", value)
        dims = [(axis,) if i == dim else d for i, d in enumerate(value.dims)]
        value = low.emit("expand", [value], {"axes": {axis: 1}}, sizes={axis: 1, **value.axes}, dims=dims)
        axes = (axis,)
    [axis] = axes
    if wanted is None or axis == wanted:
        return value, axis
    if wanted not in value.axes and low.names.can_bind(axis, wanted):
        low.names.bind(axis, wanted)
        return low.resolve(value), wanted
    renames = {axis: wanted}
    if wanted in value.axes:
        renames[wanted] = low.unused_axis("K" if low.is_free(axis) else axis, value)
    return rename_axes(low, value, renames), wanted


def require_features(low: Lowerer, value: NamedValue, dim: int) -> tuple[NamedValue, str]:
    """Return the value with a single axis at this dimension, and the axis: C, if it has no name yet."""
    value, axis = require_axis(low, value, dim)
    if low.is_free(axis) and low.names.can_bind(axis, "C"):
        low.names.bind(axis, "C")
    value = low.resolve(value)
    return value, value.dims[dim][0]


def widen_dim(low: Lowerer, value: NamedValue, dim: int, size: int) -> NamedValue:
    """Give a value the axis of a dimension along which it is constant."""
    if value.dims[dim] or size == 1:
        return value
    axis = low.unused_axis("C", value)
    dims = [(axis,) if i == dim % len(value.dims) else d for i, d in enumerate(value.dims)]
    return low.emit("expand", [value], {"axes": {axis: size}}, sizes={axis: size, **value.axes}, dims=dims)


def rename_axes(low: Lowerer, value: NamedValue, names: dict[str, str]) -> NamedValue:
    axes = {names.get(a, a): n for a, n in value.axes.items()}
    dims = [tuple(names.get(a, a) for a in dim) for dim in value.dims]
    return low.emit("rename", [value], {"axes": dict(names)}, sizes=axes, dims=dims)


def drop_axes(low: Lowerer, value: NamedValue, axes: Dim) -> NamedValue:
    """Take away axes of size 1 that have no name: from a weight itself, too."""
    step = value.source.step
    if isinstance(step, Step) and step.op == "weight":
        gone = {low.names.resolve(a) for a in axes}
        kept = {a: n for a, n in step.attributes["axes"].items() if low.names.resolve(a) not in gone}
        step.attributes["axes"], step.axes = kept, dict(kept)
    sizes = {a: n for a, n in value.axes.items() if a not in axes}
    dims = tuple(tuple(a for a in dim if a not in axes) for dim in value.dims)
    return NamedValue(value.source, sizes, dims, value.dtype)


# -------------------------------------------------------------------------------------------------- merging


def merge_dim(low: Lowerer, value: NamedValue, dim: int) -> NamedValue:
    """Merge the axes of a dimension into one. Axes of size 1 are removed instead."""
    axes = value.dims[dim]
    large = [a for a in axes if value.axes[a] != 1]
    if len(large) <= 1 and INSIDE.get(axes[0]) != axes[-1] and not low.is_read_again(value):
        kept = large or ["C" if "C" in axes else axes[0]]
        gone = [a for a in axes if a not in kept]
        if all(map(low.is_free, gone)):
            return drop_axes(low, value, tuple(gone))
        sizes = {a: n for a, n in value.axes.items() if a not in gone}
        dims = [tuple(kept) if i == dim else d for i, d in enumerate(value.dims)]
        return low.emit("squeeze", [value], {"over": gone}, sizes=sizes, dims=dims)
    name = merged_name(low, value, axes)
    size = math.prod(value.axes[a] for a in axes)
    low.merged_axes[name, size] = [(a, value.axes[a]) for a in axes]
    sizes = {}
    for axis, n in value.axes.items():
        if axis == axes[0]:
            sizes[name] = size
        elif axis not in axes:
            sizes[axis] = n
    attributes = {"axes": list(axes)} | ({} if name == "C" else {"into": name})
    dims = [(name,) if i == dim else d for i, d in enumerate(value.dims)]
    hint = "tokens" if name == "T" else ""
    merged = low.emit("flatten", [value], attributes, sizes=sizes, dims=dims, hint=hint)
    return restore_map_axes(low, merged, axes) if name == "C" else merged


def restore_map_axes(low: Lowerer, value: NamedValue, merged: Dim) -> NamedValue:
    """Give the rest of H and W their names again, after neighbours have become channels."""
    whole = {low.origins[a][0] for a in merged if a in low.origins}
    names = {}
    for axis in value.axes:
        origin = low.origins.get(axis, ("", 0))[0]
        if origin in ("H", "W") and origin in whole and origin not in value.axes:
            names[axis] = origin
    return rename_axes(low, value, names) if len(set(names.values())) == len(names) > 0 else value


def merged_name(low: Lowerer, value: NamedValue, axes: Dim) -> str:
    """Return the name of the axis that these become: that of the axis they are parts of, C, or T for positions."""
    others = [a for a in value.axes if a not in axes]
    wholes = {low.origins.get(a, ("", 0)) for a in axes}
    if len(wholes) == 1:
        [(whole, _)] = wholes
        parts = {a for a, origin in low.origins.items() if origin in wholes}
        if whole and whole not in others and parts == set(axes):
            return whole
    if "C" in axes and "C" not in others:
        return "C"
    if set(axes) == {"rows", "h"}:
        name = "H"
    elif set(axes) == {"columns", "w"}:
        name = "W"
    elif "T" in axes or all(a in PLACES for a in axes):
        name = "T"
    elif "heads" in axes and low.is_free(axes[-1]):  # those of keys, repeated for the queries that share them
        name = "heads"
    else:
        name = axes[-1] if not low.is_free(axes[-1]) else "T" if "C" in others else "C"
    return number_name(name, others)


# ------------------------------------------------------------------------------------------------- splitting


def split_axis(low: Lowerer, value: NamedValue, axis: str, sizes: Sequence[int]) -> tuple[NamedValue, Dim]:
    """Split an axis; returns the names of its parts, slowest first."""
    if low.is_free(axis):
        low.names.split_placeholder(axis, sizes)
        parts = tuple(name for name, _ in low.names.parts[low.names.resolve(axis)])
        return low.resolve(value), parts
    names = part_names(low, value, axis, sizes)
    for name in names:
        if name != axis and name not in ("C", "H", "W", "T"):
            low.origins[name] = (axis, len(low.steps))
    into = dict(zip(names, sizes, strict=True))
    axes: dict[str, int] = {}
    for a, n in value.axes.items():
        axes |= into if a == axis else {a: n}
    dims = [tuple(part for a in dim for part in (names if a == axis else (a,))) for dim in value.dims]
    attributes = {"into": into} if axis == "C" else {"axis": axis, "into": into}
    hint = "map" if set(names) == {"H", "W"} else ""
    return low.emit("unflatten", [value], attributes, sizes=axes, dims=dims, hint=hint), names


def part_names(low: Lowerer, value: NamedValue, axis: str, sizes: Sequence[int]) -> Dim:
    """Return names for the parts of an axis: those of the axes that it was merged from, or the usual names of such parts."""
    others = [a for a in value.axes if a != axis]
    known = low.merged_axes.get((axis, value.axes[axis]), [])
    if [n for _, n in known] == list(sizes) and not any(a in others for a, _ in known):
        return tuple(a for a, _ in known)
    is_sequence = "T" in value.axes
    usual: dict[tuple[str, int], Sequence[str]] = {
        ("C", 2): ("heads" if is_sequence else "g", "C"),
        ("H", 2): ("rows", "h"),
        ("W", 2): ("columns", "w"),
        ("T", 2): ("H", "W"),
    }
    if axis == "C" and len(sizes) == 3:
        usual["C", 3] = ("heads", "C", "qkv") if sizes[-1] in (2, 3) else ("qkv", "heads", "C")
    wanted = usual.get((axis, len(sizes)), [f"{axis}{i + 1}" for i in range(len(sizes))])
    names: list[str] = []
    for name in wanted:
        names.append(number_name(name, [*others, *names]))
    return tuple(names)


# ------------------------------------------------------------------------------------------------- reshaping


def reshape_value(low: Lowerer, value: NamedValue, target: Sequence[int]) -> NamedValue:
    """Return the value in another shape; -1 stands for what is left."""
    value, shape = low.resolve(value), list(map(int, target))
    sizes = [value.dim_size(i, low.batch) for i in range(len(value.dims))]
    total = math.prod(sizes)
    if -1 in shape:
        shape[shape.index(-1)] = total // -math.prod(shape)
    if math.prod(shape) != total:
        raise Unsupported(f"a reshape to {shape} of a value that was expanded", code="SB964")
    if shape == sizes and all(len(dim) <= 1 for dim in value.dims):
        return value
    pieces = cut_windows(value, shape) or cut_axes(low, value, shape)
    if pieces is None:  # across axes: merge neighbours first, then cut
        for dim, axes in enumerate(value.dims):
            if len(axes) > 1 and BATCH not in axes:
                value = merge_dim(low, value, dim)
        pieces = cut_axes(low, value, shape)
    if pieces is None:
        raise Unsupported(f"a reshape to {shape} that cuts across axes {value.axes}", code="SB964")
    return arrange_pieces(low, value, pieces)


def cut_windows(value: NamedValue, shape: Sequence[int]) -> list[list[tuple[str, int]]] | None:
    """Return the pieces if a map is cut into windows, with only one window in a row or column.

    Without it, the rows of windows would have no axis where they have the size 1.
    """
    if len(value.dims) != 4 or len(shape) != 6 or any(len(dim) != 1 for dim in value.dims):
        return None
    batch, *axes = (dim[0] for dim in value.dims)
    for channels, first, second in ((2, 0, 1), (0, 1, 2)):
        if batch != BATCH or {axes[first], axes[second]} != {"H", "W"}:
            continue
        cut = [[axes[first]] * 2, [axes[second]] * 2]
        names = [[], *cut, []] if channels == 2 else [[], [], *cut]
        flat = [name for group in names for name in (group or [""])]
        flat[0], flat[flat.index("", 1)] = BATCH, axes[channels]
        products: dict[str, int] = {}
        for name, size in zip(flat, shape, strict=True):
            products[name] = products.get(name, 1) * size
        if 1 in shape[1:] and all(products[a] == value.axes[a] for a in axes):
            return [[(name, size)] for name, size in zip(flat, shape, strict=True)]
    return None


def cut_axes(low: Lowerer, value: NamedValue, shape: Sequence[int]) -> list[list[tuple[str, int]]] | None:
    """Return for each dimension of the new shape the axes, or pieces of axes, that it is made of.

    None if a dimension would begin inside the rest of an axis.
    """
    waiting = [(axis, low.axis_size(value, axis)) for dim in value.dims for axis in dim]
    pieces: list[list[tuple[str, int]]] = []
    for size in shape:
        piece: list[tuple[str, int]] = []
        while size > 1 and pieces and is_single_window(waiting):
            pieces[-1].append(waiting.pop(0))
        if size == 1 and (is_single_window(waiting) or is_single_output(low, waiting)):
            piece.append(waiting.pop(0))
        while size > 1:
            axis, room = waiting.pop(0)
            taken = math.gcd(size, room)
            if room > 1 and taken == 1:
                return None
            piece.append((axis, taken))
            size //= taken
            if taken < room:
                waiting.insert(0, (axis, room // taken))
        pieces.append(piece)
    for axis, size in waiting:  # all of size 1
        place = next((i for i, n in enumerate(shape) if n == 1 and not pieces[i]), len(pieces) - 1)
        if pieces:
            pieces[place].append((axis, size))
    return pieces


def is_single_window(waiting: Sequence[tuple[str, int]]) -> bool:
    """Return whether the next axis counts windows, has size 1, and is not followed by the positions in a window."""
    if not waiting or waiting[0][1] != 1 or waiting[0][0] not in INSIDE:
        return False
    # the positions are called H and W again where a window was pooled
    return len(waiting) < 2 or waiting[1][0].lower() != INSIDE[waiting[0][0]]


def is_single_output(low: Lowerer, waiting: Sequence[tuple[str, int]]) -> bool:
    """Return whether the next axis is one of a weight, which stays by itself: the only output of its kernel."""
    return bool(waiting) and waiting[0][1] == 1 and low.is_free(waiting[0][0])


def arrange_pieces(low: Lowerer, value: NamedValue, pieces: list[list[tuple[str, int]]]) -> NamedValue:
    """Split the axes that have several pieces, and merge the pieces that are in one dimension."""
    sizes: dict[str, list[int]] = {}
    for axis, size in (piece for dim in pieces for piece in dim):
        sizes.setdefault(axis, []).append(size)
    parts: dict[str, list[str]] = {}
    for axis, axis_sizes in sizes.items():
        if len(axis_sizes) == 1:
            continue
        if axis == BATCH:
            raise Unsupported("a reshape splits the batch", code="SB964")
        value, names = split_axis(low, value, axis, axis_sizes)
        parts[axis] = list(names)
    dims = [tuple(parts[axis].pop(0) if parts.get(axis) else axis for axis, _ in dim) for dim in pieces]
    value = low.resolve(value.with_dims(dims))
    for dim, axes in enumerate(value.dims):
        is_outer = all(low.is_free(a) or OUTER.match(a) for a in axes)
        if len(axes) > 1 and BATCH not in axes and not is_outer:
            value = merge_dim(low, value, dim)
    return value


def flatten_dims(low: Lowerer, value: NamedValue, start: int, end: int) -> NamedValue:
    """Return the value with the dimensions from `start` to `end` as one."""
    axes = tuple(axis for dim in value.dims[start : end + 1] for axis in dim)
    value = value.with_dims([*value.dims[:start], axes, *value.dims[end + 1 :]])
    while len(value.dims[start]) > 1 and BATCH not in value.dims[start]:
        value = merge_dim(low, value, start)
    return value


def is_step(value: NamedValue, op: str) -> bool:
    return isinstance(value.source.step, Step) and value.source.step.op == op
