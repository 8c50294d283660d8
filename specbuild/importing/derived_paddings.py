"""Paddings that make a map as large as another one, before both are concatenated.

Their numbers become expressions of both sizes.
"""

from __future__ import annotations

from collections.abc import Sequence

from specbuild.importing.named_values import BlockInput, Instance, Step

PLACES = ("H", "W")
JOINING = ("concat", "add", "multiply")


def fit_paddings(instance: Instance) -> None:
    """Write the numbers of such paddings as expressions, and leave out those that pad nothing."""
    for step in list(instance.steps):
        if step.op != "pad":
            continue
        own = name_source(instance.steps, step)
        other = find_partner(instance, step)
        if own and other is not None and all(is_halved(step, other, axis) for axis in PLACES):
            step.attributes["padding"] = {
                axis: [f"({d}) // 2", f"({d} + 1) // 2"]
                for axis in PLACES
                for d in (f"{other.name}.{axis} - {own}.{axis}",)
            }
        else:
            leave_out_zeros(instance, step)


def name_source(steps: Sequence[Step], step: Step) -> str:
    """Return the name by which an expression of a step refers to its input: an input of the block, or `x` for the step before; empty for others."""
    source = step.sources[0]
    if isinstance(source.step, BlockInput):
        return source.step.name
    at = steps.index(step)
    return "prev" if at and steps[at - 1] is source.step and not source.part else ""


def find_partner(instance: Instance, step: Step) -> BlockInput | None:
    """Return the input with which a padded map is concatenated, if nothing else reads the map."""
    readers = [s for s in instance.steps if any(source.step is step for source in s.sources)]
    if len(readers) != 1 or readers[0].op not in JOINING or readers[0].attributes.get("over") in PLACES:
        return None
    if any(source.step is step for source in instance.outputs):
        return None
    others = [source.step for source in readers[0].sources if source.step is not step]
    return next((other for other in others if isinstance(other, BlockInput)), None)


def is_halved(step: Step, other: BlockInput, axis: str) -> bool:
    """Return whether a padding is equal on both sides, or by one larger at the end if it is odd."""
    sides = step.attributes["padding"].get(axis)
    whole = {**step.axes, **other.axes}.get(axis)
    if not isinstance(sides, list) or len(step.attributes) > 1 or step.axes.get(axis) != whole:
        return False
    return sides == [sum(sides) // 2, (sum(sides) + 1) // 2]


def leave_out_zeros(instance: Instance, step: Step) -> None:
    padding = {}
    for axis, sides in step.attributes["padding"].items():
        is_alike = isinstance(sides, list) and sides[0] == sides[1]
        number = sides[0] if is_alike else sides
        if number:
            padding[axis] = number
    step.attributes["padding"] = padding
    if padding:
        return
    instance.steps.remove(step)
    [source] = step.sources
    for reader in instance.steps:
        reader.sources = [source if s.step is step else s for s in reader.sources]
    instance.outputs = [source if s.step is step else s for s in instance.outputs]


def has_zeros_of_sizes(axes: Sequence[str], padding: Sequence[int]) -> bool:
    """Return whether a padding of these axes may be one that follows from sizes, though it is 0 here."""
    return sorted(axes) == sorted(PLACES) and len(padding) == 2 * len(PLACES) and min(padding) >= 0
