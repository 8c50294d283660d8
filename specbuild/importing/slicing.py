"""Slices at every position of an axis, one after another, are one `split`."""

from __future__ import annotations

from specbuild.importing.named_values import Instance, Step, ValueSource

MAX_PARTS = 4
PART_NAMES = {2: ("left", "right"), 3: ("query", "key", "value")}


def default_part_names(count: int) -> list[str]:
    """Return names for the parts of a value that is split into so many."""
    return list(PART_NAMES.get(count) or [f"part{i}" for i in range(count)])


def unite_slices(instance: Instance) -> None:
    """Write the slices at 0, 1, 2 of an axis as a split that does not keep it."""
    for step in list(instance.steps):
        group = find_group(instance, step)
        if group:
            replace_group(instance, group)


def find_group(instance: Instance, first: Step) -> list[Step]:
    """Return the slices of one value that begin with this one, if there is one for every position of the axis."""
    if first.op != "slice" or set(first.attributes) != {"over", "at"} or first.attributes["at"] != 0:
        return []
    source, axis = first.sources[0], first.attributes["over"]
    size = source.step.axes.get(axis, 0)
    if source.part or not 1 < size <= MAX_PARTS:
        return []
    found: dict[int, Step] = {}
    for step in instance.steps:
        is_position = step.op == "slice" and step.attributes.keys() == {"over", "at"}
        if is_position and step.sources == [source] and step.attributes["over"] == axis:
            found[step.attributes["at"]] = step
    return [found[i] for i in range(size)] if sorted(found) == list(range(size)) else []


def replace_group(instance: Instance, group: list[Step]) -> None:
    first, names = group[0], default_part_names(len(group))
    attributes = {"over": first.attributes["over"], "into": names, "keep": False}
    split = Step(
        "split", attributes, list(first.sources), axes=dict(first.axes), hint="parts", line=first.line
    )
    instance.steps[instance.steps.index(first)] = split
    parts = {step: ValueSource(split, name) for step, name in zip(group, names, strict=True)}
    for step in group[1:]:
        instance.steps.remove(step)
    for step in instance.steps:
        step.sources = [parts.get(s.step, s) if isinstance(s.step, Step) else s for s in step.sources]
    instance.outputs = [parts.get(s.step, s) if isinstance(s.step, Step) else s for s in instance.outputs]
