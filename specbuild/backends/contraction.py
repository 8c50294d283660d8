"""Contractions: matrix products, and the equation of an einsum."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from specbuild.codegen.layout import Layout
from specbuild.codegen.operands import Operand

BATCH_LETTER = "b"


class MatrixProduct(Struct, frozen=True):
    """A matrix product: whether to transpose each side's last two dimensions, and the result's layout."""

    transposed: tuple[bool, bool]
    layout: Layout


def match_matrix_product(xs: Sequence[Operand], over: tuple[str, ...]) -> MatrixProduct | None:
    """Return the contraction as a matrix product in the present layouts; None if it is not one.

    It is one if the leading axes are the same, one axis is summed, and each side has one axis left.
    A right side without a batch and shared axes is a weight: the left side may then have any other axes.
    """
    if len(xs) != 2 or len(over) != 1:
        return None
    (left, right), [inner] = xs, over
    shared = tuple(a for a in left.order if a in right.type and a != inner)
    rows, columns = ([a for a in x.order if a not in shared and a != inner] for x in xs)
    is_aligned = (
        all(x.order[: len(shared)] == shared for x in xs) and left.layout.batched == right.layout.batched
    )
    is_weight = not right.layout.batched and not shared and left.order[-1] == inner
    if len(columns) != 1 or not (is_weight or (is_aligned and len(rows) == 1)):
        return None
    transposed = left.order[-1] != inner, right.order[-2] != inner
    if all(transposed):
        return None
    return MatrixProduct(transposed, Layout((*shared, *rows, *columns), (), left.layout.batched))


def einsum_equation(xs: Sequence[Layout], out: Layout) -> str:
    """Return the equation of an einsum, such as `bthc,bshc->bhts`."""
    letters = axis_letters(a for x in xs for a in x.order)

    def format_operand(x: Layout) -> str:
        return BATCH_LETTER * x.batched + "".join(letters[a] for a in x.order)

    return f"{','.join(map(format_operand, xs))}->{format_operand(out)}"


def axis_letters(axes: Iterable[str]) -> dict[str, str]:
    """Return a letter for each axis: the first free one of its name, else any free one."""
    letters: dict[str, str] = {}
    for axis in axes:
        if axis not in letters:
            own = [c for c in axis.lower() if "a" <= c <= "z"]
            candidates = (*own, *"acdefghijklmnopqrstuvwxyz", *"ACDEFGHIJKLMNOPQRSTUVWXYZ")
            letters[axis] = next(c for c in candidates if c != BATCH_LETTER and c not in letters.values())
    return letters
