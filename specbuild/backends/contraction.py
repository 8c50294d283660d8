"""What contractions have in common: when one is a matrix product, and its equation when it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from specbuild.codegen.layout import Layout
from specbuild.codegen.lowering import Operand

BATCH_LETTER = "b"


@dataclass(frozen=True)
class MatrixProduct:
    """A matrix product: whether the last two dimensions of each side change places, and how the result lies."""

    transposed: tuple[bool, bool]
    layout: Layout


def match_matrix_product(xs: Sequence[Operand], over: tuple[str, ...]) -> MatrixProduct | None:
    """Two values as they lie, if they multiply as matrices: leading axes alike, one axis summed, one left on each side."""
    if len(xs) != 2 or len(over) != 1:
        return None
    (left, right), [inner] = xs, over
    shared = tuple(a for a in left.order if a in right.type and a != inner)
    rows, columns = ([a for a in x.order if a not in shared and a != inner] for x in xs)
    alike = all(x.order[: len(shared)] == shared for x in xs) and left.layout.batched == right.layout.batched
    matrix = (
        not right.layout.batched and not shared and left.order[-1] == inner
    )  # a weight, whatever is on the left
    if len(columns) != 1 or not (matrix or (alike and len(rows) == 1)):
        return None
    turned = left.order[-1] != inner, right.order[-2] != inner
    if all(turned):
        return None
    return MatrixProduct(turned, Layout((*shared, *rows, *columns), (), left.layout.batched))


def einsum_equation(xs: Sequence[Layout], out: Layout) -> str:
    """The letters of an einsum: `bthc,bshc->bhts`."""
    letters = axis_letters(a for x in xs for a in x.order)

    def format_operand(x: Layout) -> str:
        return BATCH_LETTER * x.batched + "".join(letters[a] for a in x.order)

    return f"{','.join(map(format_operand, xs))}->{format_operand(out)}"


def axis_letters(axes: Iterable[str]) -> dict[str, str]:
    """A letter for each axis: its first, else another of its own, else any."""
    found: dict[str, str] = {}
    for axis in axes:
        if axis not in found:
            own = [c for c in axis.lower() if "a" <= c <= "z"]
            free = (c for c in (*own, *"acdefghijklmnopqrstuvwxyz", *"ACDEFGHIJKLMNOPQRSTUVWXYZ"))
            found[axis] = next(c for c in free if c != BATCH_LETTER and c not in found.values())
    return found
