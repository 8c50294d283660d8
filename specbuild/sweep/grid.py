"""A grid of variants and parameter values, and the choice of points from it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import prod
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.compiler.arguments import SpecArgument, SpecArguments
from specbuild.diagnostics.errors import Location, SpecError, make_printable
from specbuild.frontend.document import Spec
from specbuild.frontend.source import Source

MAX_POINTS = 10_000  # that one run expands


class GridAxis(Struct, frozen=True):
    """The values that a parameter takes, or the variants: then `name` is empty."""

    name: str
    values: tuple[Any, ...]
    text: str  # as it was written, for errors

    def locate_value(self, value: Any) -> SpecArgument:
        flag = f"--set {make_printable(self.name)}" if self.name else "--variant"
        return SpecArgument(value, Location(flag, 1, 1, self.text))


class ValueGrid(Struct, frozen=True):
    """All combinations of the values of its axes; the last axis changes first."""

    axes: tuple[GridAxis, ...]

    @property
    def size(self) -> int:
        return prod(len(axis.values) for axis in self.axes)

    def point_values(self, number: int) -> dict[str, Any]:
        """Return the values of a point by the names of the axes."""
        values = {}
        for axis in reversed(self.axes):
            number, index = divmod(number, len(axis.values))
            values[axis.name] = axis.values[index]
        return dict(reversed(values.items()))

    def point_arguments(self, number: int) -> SpecArguments:
        values = self.point_values(number)
        given = {axis.name: axis.locate_value(values[axis.name]) for axis in self.axes}
        variant = given.pop("", None)
        return SpecArguments(given, variant, "--set {}=...")

    def check_names(self, spec: Spec) -> None:
        """Raise SB101 for an unknown parameter, SB202 for an unknown variant, SB103 for a missing value."""
        variants = next((axis for axis in self.axes if not axis.name), None)
        arguments = self.point_arguments(0)
        for variant in variants.values if variants else ():
            assert variants is not None
            replace(arguments, variant=variants.locate_value(variant)).check_spec(spec)
        arguments.check_spec(spec)


def parse_grid(settings: Sequence[str], variants: str | None) -> ValueGrid:
    """Return the grid of `--set width=16,32` and `--variant small,large`; values are YAML.

    Raises SB003 for a setting that is not `name=values`, that has no value, or that names a parameter again.
    """
    axes: dict[str, GridAxis] = {}
    if variants is not None:
        names = tuple(name.strip() for name in variants.split(","))
        axes[""] = GridAxis("", tuple(dict.fromkeys(names)), variants)
    for setting in settings:
        name, sign, text = setting.partition("=")
        name = name.strip()
        at = Location("--set", 1, 1, setting)
        if not sign or not name or not text.strip():
            raise SpecError("SB003", "`--set` takes name=values", at, "for example: --set width=16,32")
        if name in axes:
            hint = "give all its values at once, separated by commas"
            raise SpecError("SB003", f"{make_printable(name)!r} is set twice", at, hint)
        values = Source(f"[{text}]", f"--set {make_printable(name)}").data
        axes[name] = GridAxis(name, tuple(v for i, v in enumerate(values) if v not in values[:i]), text)
    return ValueGrid(tuple(axes.values()))


def choose_points(
    size: int, sample: int | None = None, seed: int = 0, shard: tuple[int, int] = (1, 1)
) -> list[int]:
    """Return the numbers of the points to expand, in order: all or a random sample, and of these one shard.

    The shards of one sample have no point in common, and together they are the sample.
    """
    number, count = shard
    if sample is None or sample >= size:
        return list(range(number - 1, size, count))
    return sorted(random.Random(seed).sample(range(size), sample))[number - 1 :: count]
