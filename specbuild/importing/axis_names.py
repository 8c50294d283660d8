"""Names of axes that are found during lowering: those of weights and tables are unknown until an op combines them with a named axis."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


class PlaceholderNames:
    """Placeholders such as `?3`, and what they stand for: another axis, or several that it consists of."""

    def __init__(self) -> None:
        self.count = 0
        self.known: dict[str, str] = {}
        self.parts: dict[str, list[tuple[str, int]]] = {}
        self.values: list[list[str]] = []  # the axes of each value that had a placeholder

    def new_axes(self, count: int) -> list[str]:
        """Return placeholders for the axes of one value, which get different names."""
        axes = [self.new_placeholder() for _ in range(count)]
        self.note_value(axes)
        return axes

    def note_value(self, axes: Iterable[str]) -> None:
        """Record that a value has these axes, if one of them has no name yet."""
        if any(map(self.is_free, noted := list(axes))):
            self.values.append(noted)

    def new_placeholder(self) -> str:
        self.count += 1
        return f"?{self.count}"

    def resolve(self, axis: str) -> str:
        while axis in self.known:
            axis = self.known[axis]
        return axis

    def is_free(self, axis: str) -> bool:
        return self.resolve(axis).startswith("?")

    def can_bind(self, axis: str, other: str) -> bool:
        """Return whether `axis` is still unnamed, and no value has both it and `other`."""
        axis, other = self.resolve(axis), self.resolve(other)
        if not axis.startswith("?"):
            return False
        for value in self.values:
            names = {part for a in value for part in self.expand(a, 1)}
            if axis in names and other in names:
                return False
        return True

    def bind(self, axis: str, other: str) -> None:
        """Make `axis` another name of `other`."""
        axis, other = self.resolve(axis), self.resolve(other)
        if axis != other:
            self.known[axis] = other

    def split_placeholder(self, axis: str, sizes: Sequence[int]) -> None:
        """Record that an unnamed axis consists of several."""
        self.parts[self.resolve(axis)] = [(self.new_placeholder(), size) for size in sizes]

    def expand(self, axis: str, size: int) -> dict[str, int]:
        """Return the axes that an axis of this size stands for, with their sizes."""
        axis = self.resolve(axis)
        if axis not in self.parts:
            return {axis: size}
        expanded: dict[str, int] = {}
        for part, part_size in self.parts[axis]:
            expanded |= self.expand(part, part_size)
        return expanded


def number_name(wanted: str, taken: Collection[str]) -> str:
    """Return the name, with a number at its end if it is taken."""
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted}{number}", number + 1
    return name
