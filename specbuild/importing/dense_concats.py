"""Concatenations of all earlier values, as in DenseNet: each extends the one before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from specbuild.importing.named_values import BlockInput, Instance, Step, ValueSource


def hoist_concats(instance: Instance) -> None:
    """Move a concat of all inputs of a block to its caller, where it extends an earlier concat."""
    steps: list[Step] = []
    joined: dict[Step, list[ValueSource]] = {}  # a concat, and all that it joins
    for step in instance.steps:
        inner = step.instance
        join = find_first_concat(inner) if inner is not None and step.reused is None else None
        if inner is not None and join is not None:
            outer = Step(
                "concat", dict(join.attributes), list(step.sources), axes=dict(join.axes), line=step.line
            )
            extend_concat(outer, joined)
            steps.append(outer)
            entry = BlockInput("x", dict(join.axes))
            inner.inputs = [entry]
            inner.steps.remove(join)
            for other in inner.steps:
                other.sources = [ValueSource(entry) if s.step is join else s for s in other.sources]
            step.sources, step.roles = [ValueSource(outer)], ()
        elif step.op == "concat":
            extend_concat(step, joined)
        steps.append(step)
    instance.steps[:] = steps


def find_first_concat(inner: Instance) -> Step | None:
    """Return the concat of all inputs of a block, if it reads them nowhere else."""
    join = next((s for s in inner.steps if s.op == "concat"), None)
    if join is None or len(inner.inputs) < 2 or [s.step for s in join.sources] != inner.inputs:
        return None
    others = [s for step in inner.steps if step is not join for s in step.sources] + inner.outputs
    return None if any(isinstance(s.step, BlockInput) for s in others) else join


def extend_concat(join: Step, joined: dict[Step, list[ValueSource]]) -> None:
    """Let a concat read an earlier concat in place of the values that it begins with."""
    whole = list(join.sources)
    best: Step | None = None
    for earlier, sources in joined.items():
        is_beginning = len(sources) < len(whole) and whole[: len(sources)] == sources
        if earlier.attributes == join.attributes and is_beginning:
            best = earlier
    if best is not None:
        join.sources = [ValueSource(best), *whole[len(joined[best]) :]]
    joined[join] = whole


def absorb_concats(instances: Sequence[Instance]) -> None:
    """Move the concat that follows every use of a block into the block."""
    uses: dict[str, list[tuple[Instance, Step, Step | None]]] = defaultdict(list)
    for instance in instances:
        for step in instance.steps:
            if step.instance is not None:
                uses[step.instance.class_name].append((instance, step, find_next_concat(instance, step)))
    for found in uses.values():
        if len(found) > 1 and all(join is not None for _, _, join in found):
            for instance, step, join in found:
                if join is not None:
                    absorb_concat(instance, step, join)


def find_next_concat(instance: Instance, step: Step) -> Step | None:
    """Return the concat of the input and the result of a block, if it directly follows and nothing else reads the result."""
    index = instance.steps.index(step)
    join = instance.steps[index + 1] if index + 1 < len(instance.steps) else None
    if join is None or join.op != "concat" or step.instance is None or len(step.sources) != 1:
        return None
    reads = sum(s.step is step for other in instance.steps for s in other.sources)
    reads += sum(s.step is step for s in instance.outputs)
    is_simple = len(step.instance.inputs) == len(step.instance.outputs) == 1
    is_own = join.sources == [step.sources[0], ValueSource(step)]
    return join if is_simple and is_own and reads == 1 and step.reused is None else None


def absorb_concat(instance: Instance, step: Step, join: Step) -> None:
    inner = step.instance
    assert inner is not None
    sources = [ValueSource(inner.inputs[0]), inner.outputs[0]]
    inside = Step("concat", dict(join.attributes), sources, axes=dict(join.axes), line=join.line)
    inner.steps.append(inside)
    inner.outputs = [ValueSource(inside)]
    step.axes = dict(join.axes)
    instance.steps.remove(join)
    for other in instance.steps:
        other.sources = [ValueSource(step) if s.step is join else s for s in other.sources]
    instance.outputs = [ValueSource(step) if s.step is join else s for s in instance.outputs]
