"""Values that meet: elementwise by position, joined, and multiplied. Afterwards they meet by the names of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from specbuild.importing.axis_names import number_name
from specbuild.importing.layouts import drop_axes, rename_axes, require_axis, split_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, Dim, NamedValue, Step, Unsupported
from specbuild.importing.trace import ValueRef

ELLIPSIS_LETTERS = "ZYXWVUTS"  # of dimensions that an einsum does not name
Pair = tuple[NamedValue, NamedValue]


def align_dims(first: NamedValue, second: NamedValue) -> tuple[list[Dim], list[Dim]]:
    """Return the dimensions of both, with empty ones before those of the shorter."""
    count = max(len(first.dims), len(second.dims))
    before: list[Dim] = [()] * count
    return [*before, *first.dims][-count:] if count else [], [*before, *second.dims][-count:] if count else []


def meet_values(
    low: Lowerer, first: NamedValue, second: NamedValue, skipped: int | None = None
) -> tuple[NamedValue, NamedValue, list[Dim]]:
    """Give two values the same names of axes at the same positions; returns the dimensions of their sum too.

    `skipped` is a dimension, counted from the end, that need not agree.
    """
    first, second = low.resolve(first), low.resolve(second)
    for index in range(-max(len(first.dims), len(second.dims)), 0):
        if index != skipped:
            first, second = meet_dims(low, first, second, index)
    dims = []
    for one, other in zip(*align_dims(first, second), strict=True):
        sizes = [math.prod(low.axis_size(v, a) for a in dim) for v, dim in ((first, one), (second, other))]
        dims.append(one if one and sizes[0] >= sizes[1] else other)
    return first, second, dims


def meet_dims(low: Lowerer, first: NamedValue, second: NamedValue, index: int) -> Pair:
    """Give two values the same names at one dimension, counted from the end."""
    one, other = (d[index] for d in align_dims(first, second))
    if one == other or not one or not other:
        return first, second
    sizes = [math.prod(low.axis_size(v, a) for a in dim) for v, dim in ((first, one), (second, other))]
    if 1 in sizes:
        return meet_single(low, first, second, index, sizes)
    if len(one) != len(other):
        return meet_split(low, first, second, index)
    for mine, yours in zip(one, other, strict=True):
        first, second = meet_axes(low, first, second, low.names.resolve(mine), low.names.resolve(yours))
    return first, second


def meet_axes(low: Lowerer, first: NamedValue, second: NamedValue, mine: str, yours: str) -> Pair:
    """Give two axes of the same size one name."""
    if mine == yours:
        return first, second
    if BATCH in (mine, yours):
        raise Unsupported("the batch meets another axis", code="SB964")
    if mine not in second.axes and low.names.can_bind(yours, mine):
        low.names.bind(yours, mine)
    elif yours not in first.axes and low.names.can_bind(mine, yours):
        low.names.bind(mine, yours)
    else:
        names = {yours: mine}
        if mine in second.axes:
            names[mine] = yours if yours not in first.axes else low.unused_axis(f"{mine}2", first, second)
        second = rename_axes(low, second, names)
    return low.resolve(first), low.resolve(second)


def meet_single(low: Lowerer, first: NamedValue, second: NamedValue, index: int, sizes: list[int]) -> Pair:
    """Let a dimension of size 1 take the name of the other, or vanish if it has none."""
    values = [first, second]
    for i in (0, 1):
        axes = align_dims(first, second)[i][index]
        if sizes[i] == 1 and all(a != BATCH and low.is_free(a) for a in axes):
            values[i] = drop_axes(low, values[i], axes)
            return values[0], values[1]
    mine, yours = (d[index] for d in align_dims(first, second))
    if len(mine) == len(yours) == 1:
        if sizes[1] == 1 and mine[0] != BATCH:
            second = rename_axes(low, second, {yours[0]: mine[0]})
        elif sizes[0] == 1 and yours[0] != BATCH:
            first = rename_axes(low, first, {mine[0]: yours[0]})
    return first, second


def meet_split(low: Lowerer, first: NamedValue, second: NamedValue, index: int) -> Pair:
    """Split the axis of one value where the other has several."""
    values = [first, second]
    dims = [d[index] for d in align_dims(first, second)]
    short = 0 if len(dims[0]) < len(dims[1]) else 1
    long_axes = dims[1 - short]
    if len(dims[short]) != 1 or BATCH in long_axes:
        raise Unsupported("values meet whose dimensions are made of different axes", code="SB964")
    sizes = [low.axis_size(values[1 - short], a) for a in long_axes]
    values[short], _ = split_axis(low, values[short], dims[short][0], sizes)
    first, second = map(low.resolve, values)
    return meet_dims(low, first, second, index)


# ------------------------------------------------------------------------------------------------ elementwise


def combine_values(low: Lowerer, op: str, first: Any, second: Any, alpha: float = 1) -> NamedValue:
    """Return the result of an elementwise op on two values, or on a value and a number."""
    for number, other, is_swapped in ((first, second, True), (second, first, False)):
        if isinstance(number, int | float):
            return combine_number(
                low, op, low.value(other), number * (1 if is_swapped else alpha), is_swapped
            )
    first, second = low.value(first), low.value(second)
    for table, other, is_swapped in ((first, second, True), (second, first, False)):
        step = table.source.step
        if isinstance(step, Step) and step.op == "const" and step.table.size == 1 and table.dtype == "float":
            low.steps.remove(step)
            for key in [k for k, v in low.values.items() if v.source.step is step]:
                del low.values[key]
            return combine_number(low, op, other, float(step.table), is_swapped)
    if alpha != 1:
        second = low.emit("scale", [second], {"by": alpha})
    first, second, dims = meet_values(low, first, second)
    axes = dict(first.axes)
    for axis, size in second.axes.items():
        axes[axis] = max(size, axes.get(axis, 1))
    strict = op in ("add", "subtract", "maximum", "minimum")
    attributes = {"broadcast": True} if strict and first.axes.items() ^ second.axes.items() else {}
    return low.emit(op, [first, second], attributes, sizes=axes, dims=dims)


def combine_number(low: Lowerer, op: str, value: NamedValue, number: float, is_swapped: bool) -> NamedValue:
    """Return the result of an elementwise op on a value and a number, which is the first if `is_swapped`."""
    if op in ("maximum", "minimum"):
        return low.emit("clip", [value], {"min" if op == "maximum" else "max": number})
    if op == "divide" and is_swapped:
        value = low.emit("reciprocal", [value])
        return value if number == 1 else low.emit("scale", [value], {"by": number})
    attributes: dict[str, float] = {
        "add": {"plus": number},
        "multiply": {"by": number},
        "divide": {"by": 1 / number if number else math.inf},
        "subtract": {"by": -1, "plus": number} if is_swapped else {"plus": -number},
    }[op]
    if attributes in ({"plus": 0}, {"by": 1}):
        return value
    return low.emit("scale", [value], attributes)


# ---------------------------------------------------------------------------------------------------- joining


def concat_values(low: Lowerer, arguments: Sequence[Any], dim: int) -> NamedValue:
    """Join values along a dimension; those without a position are left out."""
    values = [low.value(x) for x in arguments]
    dim %= len(values[0].dims)
    arguments = [x for x, value in zip(arguments, values, strict=True) if value.dim_size(dim, low.batch)]
    if len(arguments) == 1:
        return low.value(arguments[0])
    values = [low.value(x) for x in arguments]
    leader = next(
        (i for i, x in enumerate(values) if x.dims[dim] and not any(map(low.is_free, x.dims[dim]))), 0
    )
    values[leader], axis = require_axis(low, values[leader], dim)
    if low.is_free(axis):
        values[leader], axis = require_axis(low, values[leader], dim, low.unused_axis("C", values[leader]))
    for i in range(len(values)):
        if i == leader:
            continue
        values[i] = fill_dim(low, values[i], arguments[i], dim, axis)
        values[i], _ = require_axis(low, values[i], dim, axis)
        values[leader], values[i], _ = meet_values(
            low, values[leader], values[i], skipped=dim - len(values[i].dims)
        )
    first = values[leader]
    for i, value in enumerate(values):
        missing = {a: n for a, n in first.axes.items() if a not in value.axes}
        if missing:
            values[i] = low.emit(
                "expand", [value], {"axes": missing}, sizes={**missing, **value.axes}, dims=first.dims
            )
    values = [low.resolve(x) for x in values]
    sizes = {**first.axes, axis: sum(x.axes[axis] for x in values)}
    dims = [(axis,) if i == dim else d for i, d in enumerate(low.resolve(first).dims)]
    return low.emit("concat", values, {} if axis == "C" else {"over": axis}, sizes=sizes, dims=dims)


def fill_dim(low: Lowerer, value: NamedValue, argument: Any, dim: int, axis: str) -> NamedValue:
    """Give a table the axis that was left out of it since all its numbers along it are equal."""
    if value.dims[dim] or not isinstance(argument, ValueRef) or axis in value.axes:
        return value
    size = low.trace.values[argument.number].shape[dim]
    if size == 1:
        return value
    dims = [(axis,) if i == dim else d for i, d in enumerate(value.dims)]
    sizes = {axis: size, **value.axes}
    return low.emit("expand", [value], {"axes": {axis: size}}, sizes=sizes, dims=dims)


def stack_values(low: Lowerer, arguments: Sequence[Any], dim: int) -> NamedValue:
    """Join values along a new dimension."""
    values = [low.value(x) for x in arguments]
    for i in range(1, len(values)):
        values[0], values[i], _ = meet_values(low, values[0], values[i])
    first = values[0]
    dim %= len(first.dims) + 1
    axis = low.unused_axis("part", first)
    dims = [*first.dims[:dim], (axis,), *first.dims[dim:]]
    sizes = {axis: len(values), **first.axes}
    return low.emit("stack", values, {"axis": axis}, sizes=sizes, dims=dims)


# --------------------------------------------------------------------------------------------------- products


def multiply_matrices(low: Lowerer, left: NamedValue, right: NamedValue) -> NamedValue:
    """Return the product of matrices, which lie in the last two dimensions."""
    if len(left.dims) == 1 or len(right.dims) == 1:
        return multiply_vector(low, left, right)
    left, inner = require_axis(low, left, -1)
    right, own = require_axis(low, right, -1)
    right, other_inner = require_axis(low, right, -2)
    if inner != other_inner and not low.is_free(other_inner) and other_inner not in left.axes:
        if low.names.can_bind(inner, other_inner):
            low.names.bind(inner, other_inner)
        elif own == inner or own in left.axes:
            left = rename_axes(low, left, {inner: other_inner})
    left, right = low.resolve(left), low.resolve(right)
    names = match_matrices(low, left, right)
    left, right = low.resolve(left), low.resolve(right)
    if names:
        right = rename_axes(low, right, names)
    [inner] = left.dims[-1]
    lead = [one or other for one, other in zip(*align_dims(left, right), strict=True)][:-2]
    axes = {a: n for a, n in {**left.axes, **right.axes}.items() if a != inner}
    return low.emit(
        "contract", [left, right], {"over": inner}, sizes=axes, dims=[*lead, left.dims[-2], right.dims[-1]]
    )


def multiply_vector(low: Lowerer, left: NamedValue, right: NamedValue) -> NamedValue:
    """Return the product of a vector with a matrix, a matrix with a vector, or two vectors."""
    if len(right.dims) == 1:
        rows = ELLIPSIS_LETTERS[: len(left.dims) - 1]
        return contract_letters(low, f"{rows}i,i->{rows}", [left, right])
    lead = ELLIPSIS_LETTERS[: len(right.dims) - 2]
    return contract_letters(low, f"i,{lead}ik->{lead}k", [left, right])


def match_matrices(low: Lowerer, left: NamedValue, right: NamedValue) -> dict[str, str]:
    """Return new names for the axes of the right factor: the inner axis as on the left, its own apart."""
    names: dict[str, str] = {}
    [inner], [other_inner], [own] = left.dims[-1], right.dims[-2], right.dims[-1]
    if other_inner != inner and inner not in right.axes and low.names.can_bind(other_inner, inner):
        low.names.bind(other_inner, inner)
    elif other_inner != inner:
        names[other_inner] = inner
    for index in range(-max(len(left.dims), len(right.dims)), -2):
        one, other = (d[index] for d in align_dims(left, right))
        if one == other or not one or not other:
            continue
        names |= match_outer(low, left, right, one, other)
    taken = {*left.axes, *right.axes, *names.values()}
    if own == inner or own in left.axes:
        is_sequence = own == "T" and "S" not in taken
        names[own] = "S" if is_sequence else number_name("K" if low.is_free(own) else f"{own}2", taken)
    for old, new in list(names.items()):
        if new in right.axes and new not in names:
            names[new] = number_name(f"{new}2", taken)
        if old == new:
            del names[old]
    return names


def match_outer(low: Lowerer, left: NamedValue, right: NamedValue, mine: Dim, yours: Dim) -> dict[str, str]:
    """Return new names for the axes of the right factor in a dimension before the last two."""
    if len(mine) != len(yours):
        raise Unsupported("a product whose batch dimensions are made of different axes", code="SB964")
    names = {}
    for one, other in zip(mine, yours, strict=True):
        if low.axis_size(left, one) != low.axis_size(right, other):
            raise Unsupported("a product that repeats its batch dimensions", code="SB964")
        if one != other and low.names.can_bind(other, one):
            low.names.bind(other, one)
        elif one != other:
            names[other] = one
    return names


def contract_letters(low: Lowerer, equation: str, arguments: Sequence[Any]) -> NamedValue:
    """Return the result of `torch.einsum` on two values."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    if len(arguments) != 2 or not arrow:
        raise Unsupported("einsum of other than two values")
    values = [low.value(x) for x in arguments]
    terms, result = spell_ellipses(terms, result, [len(value.dims) for value in values])
    names: dict[str, str] = {}
    for k, letters in enumerate(terms.split(",")):
        for dim, letter in enumerate(letters):
            values[k] = name_letter(low, values[k], dim, letter, names)
    values = [low.resolve(v) for v in values]
    names = {letter: low.names.resolve(axis) for letter, axis in names.items()}
    over = [axis for letter, axis in names.items() if letter not in result]
    if BATCH in over:
        raise Unsupported("a product over the batch", code="SB964")
    axes = {a: n for v in values for a, n in v.axes.items() if a not in over}
    dims = [(names[letter],) for letter in result]
    return low.emit("contract", values, {"over": over if len(over) > 1 else over[0]}, sizes=axes, dims=dims)


def spell_ellipses(terms: str, result: str, counts: Sequence[int]) -> tuple[str, str]:
    """Return the terms and the result of an einsum with letters in place of `...`; `counts` are the numbers of dimensions."""
    spelled, longest = [], ""
    for term, count in zip(terms.split(","), counts, strict=True):
        letters = ELLIPSIS_LETTERS[len(ELLIPSIS_LETTERS) - count + len(term.replace("...", "")) :]
        spelled.append(term.replace("...", letters))
        longest = max(longest, letters if "..." in term else "", key=len)
    return ",".join(spelled), result.replace("...", longest)


def name_letter(low: Lowerer, value: NamedValue, dim: int, letter: str, names: dict[str, str]) -> NamedValue:
    """Give the axis at a dimension the name that its letter has in the other value, or one of its own."""
    if value.dims[dim] == (BATCH,):
        names.setdefault(letter, BATCH)
        return value
    value, axis = require_axis(low, value, dim)
    if letter not in names:
        if axis in names.values():
            wanted = number_name("S" if axis == "T" else f"{axis}2", {*value.axes, *names.values()})
            value, axis = rename_axes(low, value, {axis: wanted}), wanted
        names[letter] = axis
    elif names[letter] != axis and low.names.can_bind(axis, names[letter]):
        low.names.bind(axis, names[letter])
    elif names[letter] != axis and low.names.can_bind(names[letter], axis):
        low.names.bind(names[letter], axis)
    elif names[letter] != axis:
        renames = {axis: names[letter]}
        if names[letter] in value.axes:
            renames[names[letter]] = low.unused_axis(f"{names[letter]}2", value)
        value = rename_axes(low, value, renames)
    return low.resolve(value)
