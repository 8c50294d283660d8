"""Physical layouts: which dimension of a framework's tensor holds each named axis."""

from __future__ import annotations

from msgspec import Struct


class Layout(Struct, frozen=True):
    """The axes of a tensor in physical order, after the batch dimension.

    `batch_axes` are folded into the batch dimension. For example, if the frames of a video are folded, a 2-d
    convolution sees each frame as one more image.
    """

    order: tuple[str, ...]
    batch_axes: tuple[str, ...] = ()
    batched: bool = True

    def dim(self, axis: str) -> int:
        """Return the index of the dimension that holds an axis."""
        return self.order.index(axis) + (1 if self.batched else 0)

    def sorted_dims(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(sorted(self.dim(axis) for axis in axes))

    @property
    def rank(self) -> int:
        return len(self.order) + (1 if self.batched else 0)


def layout_permutation(source: Layout, target: Layout) -> tuple[int, ...]:
    """Return the dimensions of `source` in the order of `target`; both must have the same batch axes."""
    first = (0,) if source.batched else ()
    return (*first, *(source.dim(axis) for axis in target.order))


def swapped_dims(order: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the two dimensions that a permutation swaps; None if it moves more or fewer."""
    moved = [i for i, d in enumerate(order) if i != d]
    return (moved[0], moved[1]) if len(moved) == 2 else None
