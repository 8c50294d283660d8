"""Products of matrices and vectors, and sums of products that letters describe, as `contract` over names of axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from specbuild.importing.axis_names import number_name
from specbuild.importing.broadcasting import align_dims, split_like_other
from specbuild.importing.layouts import rename_axes, require_axis, widen_dim
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, Dim, NamedValue, Step, Unsupported

ELLIPSIS_LETTERS = "ZYXWVUTS"  # of dimensions that an einsum does not name


def multiply_matrices(low: Lowerer, left: NamedValue, right: NamedValue) -> NamedValue:
    """Return the product of matrices, which lie in the last two dimensions."""
    if len(left.dims) == 1 or len(right.dims) == 1:
        return multiply_vector(low, left, right)
    if is_kernel(low, left, right):
        return apply_kernel(low, left, right)
    left, inner = require_axis(low, left, -1)
    right, own = require_axis(low, right, -1)
    right, other_inner = require_axis(low, right, -2)
    if inner != other_inner and not low.is_free(other_inner) and other_inner not in left.axes:
        if low.names.can_bind(inner, other_inner):
            low.names.bind(inner, other_inner)
        elif own == inner or own in left.axes:
            left = rename_axes(low, left, {inner: other_inner})
    left, right = split_outer(low, low.resolve(left), low.resolve(right))
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


def is_kernel(low: Lowerer, left: NamedValue, right: NamedValue) -> bool:
    """Return whether a matrix is a weight that nothing else has read, and is applied as in a linear layer."""
    step = right.source.step
    is_weight = isinstance(step, Step) and step.op == "weight"
    has_own_axes = all(len(dim) == 1 and low.is_free(dim[0]) for dim in right.dims)
    is_layer = len(right.dims) == 2 and BATCH in left.dims[0] and len(left.dims[-1]) == 1
    return is_weight and has_own_axes and is_layer and not low.is_free(left.dims[-1][0])


def apply_kernel(low: Lowerer, value: NamedValue, kernel: NamedValue) -> NamedValue:
    """Apply a weight of inputs and outputs, in this order, as the kernel of a linear layer."""
    [axis] = value.dims[-1]
    for (own,), name in zip(kernel.dims, ("I", "O"), strict=True):
        low.names.bind(own, name)
    kernel = low.resolve(kernel)
    options = {} if axis == "C" else {"over": axis}
    sizes = {axis: kernel.axes["O"]}
    return low.emit("kernel_linear", [value, kernel], options, sizes=sizes, roles=("x", "weight"))


def multiply_vector(low: Lowerer, left: NamedValue, right: NamedValue) -> NamedValue:
    """Return the product of a vector with a matrix, a matrix with a vector, or two vectors."""
    if len(right.dims) == 1:
        rows = ELLIPSIS_LETTERS[: len(left.dims) - 1]
        return contract_letters(low, f"{rows}i,i->{rows}", [left, right])
    lead = ELLIPSIS_LETTERS[: len(right.dims) - 2]
    return contract_letters(low, f"i,{lead}ik->{lead}k", [left, right])


def split_outer(low: Lowerer, left: NamedValue, right: NamedValue) -> tuple[NamedValue, NamedValue]:
    """Split an axis before the last two dimensions of one factor where the other has several."""
    for index in range(-max(len(left.dims), len(right.dims)), -2):
        counts = sorted(len(dims[index]) for dims in align_dims(left, right))
        if counts[0] == 1 < counts[1]:
            left, right = split_like_other(low, left, right, index)
    return left, right


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
    values = widen_summed(low, values, terms.split(","), result)
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


def widen_summed(
    low: Lowerer, values: Sequence[NamedValue], terms: Sequence[str], result: str
) -> list[NamedValue]:
    """Give a table the axes that are summed over and along which all its numbers are equal."""
    pairs = [
        (value, dim, letter)
        for value, term in zip(values, terms, strict=True)
        for dim, letter in enumerate(term)
    ]
    sizes: dict[str, int] = {}
    for value, dim, letter in pairs:
        sizes[letter] = max(sizes.get(letter, 1), value.dim_size(dim, low.batch))
    widened = []
    for value, term in zip(values, terms, strict=True):
        for dim, letter in enumerate(term):
            if letter not in result:
                value = widen_dim(low, value, dim, sizes[letter])
        widened.append(value)
    return widened


def spell_ellipses(terms: str, result: str, counts: Sequence[int]) -> tuple[str, str]:
    """Return the terms and the result of an einsum with letters in place of `...`; `counts` has the number of dimensions of each value."""
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
