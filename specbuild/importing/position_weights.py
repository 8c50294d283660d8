"""Weights for every position of a sequence are as many as it has: `tokens.T`, so that a larger image needs no other number."""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.importing.author_arguments import LIMIT_NAME
from specbuild.importing.instance_rows import Row, RowSource
from specbuild.importing.named_values import Instance

LENGTH = "length"  # stands for the length of another value, until that has a name


def follow_lengths(rows: Sequence[Row], instances: Sequence[Instance]) -> None:
    """Let weights that are added to an earlier sequence have its length, where no argument is a limit of that size."""
    for number, row in enumerate(rows):
        axes = row.attributes.get("axes", {}) if row.first.op == "weight" else {}
        length = axes.get("T")
        if not isinstance(length, int) or length == 1 or has_limit(instances, length):
            continue
        source = find_sequence(rows, number)
        if source is not None and rows[source.index].steps.keys() == row.steps.keys():
            lengths = {step.axes.get("T") for step in rows[source.index].steps.values()}
            if lengths == {length}:
                row.attributes["axes"] = {**axes, "T": LENGTH}
                row.length_of = source


def has_limit(instances: Sequence[Instance], length: int) -> bool:
    """Return whether the author has an argument for the largest number of positions, which is this one."""
    given = [instance.call.constructor.items() for instance in instances]
    return any(LIMIT_NAME.search(name) and value == length for items in given for name, value in items)


def find_sequence(rows: Sequence[Row], number: int) -> RowSource | None:
    """Return what a weight is added to, if a step before it gives that; None if it is read by anything else."""
    own = RowSource("row", number)
    readers = [row for row in rows if own in row.sources]
    if len(readers) != 1 or readers[0].first.op != "add" or len(readers[0].sources) != 2:
        return None
    other = next((source for source in readers[0].sources if source != own), own)
    is_before = other.kind == "row" and other.index < number and not other.part
    return other if is_before else None
