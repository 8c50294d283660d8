"""Physical orders: where each named axis stands in a framework's tensor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """The axes of a value in physical order, after the batch.

    `folded` are axes merged into the batch dimension, in front of `order`: frames of a clip
    that a 2-d convolution sees as so many more images.
    """

    order: tuple[str, ...]
    folded: tuple[str, ...] = ()
    batched: bool = True

    def dim(self, axis: str) -> int:
        """The dimension at which an axis stands."""
        return self.order.index(axis) + (1 if self.batched else 0)

    def sorted_dims(self, axes: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(sorted(self.dim(axis) for axis in axes))

    @property
    def rank(self) -> int:
        return len(self.order) + (1 if self.batched else 0)


def layout_permutation(source: Layout, target: Layout) -> tuple[int, ...]:
    """The dimensions of `held` in the order of `wanted`; both folded alike."""
    first = (0,) if source.batched else ()
    return (*first, *(source.dim(axis) for axis in target.order))


def swapped_dims(order: tuple[int, ...]) -> tuple[int, int] | None:
    """The two dimensions that a permutation exchanges, if that is all it does."""
    moved = [i for i, d in enumerate(order) if i != d]
    return (moved[0], moved[1]) if len(moved) == 2 else None
