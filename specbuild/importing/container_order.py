"""Brings the members of a container together: `self.layers[0](x)`, an addition, `self.layers[1](y)`.

The steps of a group follow one another in a spec. Steps between its members go after it, if no member needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from specbuild.importing.named_values import Instance, Step

MAX_LEVELS = 4  # of containers in each other


def gather_members(instance: Instance) -> None:
    """Reorder the steps of an instance, so that those of each container are neighbours wherever they can be."""
    for level in range(1, MAX_LEVELS + 1):
        for container in dict.fromkeys(find_container(step, level) for step in instance.steps):
            if container:
                instance.steps = move_steps_between(instance.steps, container, level)


def find_container(step: Step, level: int) -> tuple[str, ...]:
    """Return the first parts of the name of a step that is a member of a container; else ()."""
    parts = step.name.split(".")
    return tuple(parts[:level]) if len(parts) > level else ()


def move_steps_between(steps: list[Step], container: tuple[str, ...], level: int) -> list[Step]:
    """Return the steps with those between two members after the last member, unless a later member needs them."""
    positions = [i for i, step in enumerate(steps) if find_container(step, level) == container]
    first, last = positions[0], positions[-1]
    run = steps[first : last + 1]
    if len(run) == len(positions):
        return steps
    needed = find_required_steps(run, [steps[i] for i in positions])
    kept: list[Step] = []
    moved: list[Step] = []
    for step in run:
        (kept if step in needed else moved).append(step)
    return [*steps[:first], *kept, *moved, *steps[last + 1 :]]


def find_required_steps(run: Sequence[Step], members: Sequence[Step]) -> set[Step]:
    """Return these members, and the steps of a run that they need, directly or not."""
    needed = set(members)
    for step in reversed(run):
        if step in needed:
            needed.update(list_dependencies(step))
    return needed


def list_dependencies(step: Step) -> Iterator[Step]:
    """Yield the steps that must come before this one."""
    yield from (source.step for source in step.sources if isinstance(source.step, Step))
    if isinstance(step.reused, Step):
        yield step.reused
