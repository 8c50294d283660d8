"""Describe a comparison as entries of text; equal changes in a repeat become one entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diff.compare import Change, Comparison, Fate, WeightFate
from specbuild.diff.flatten import (
    BlockInstance,
    FlatModel,
    FlatStep,
    enclosing_paths,
    format_spec_value,
    source_step,
)
from specbuild.diff.fold import DiffEntry, PathPiece, RepeatIndices, fold_entries
from specbuild.diff.renames import count_contained_steps, widest_renames
from specbuild.diff.whole_moves import moved_prefix
from specbuild.ops.base import list_attributes

FATES: Mapping[Fate, str] = {
    "unchanged": "same path, same shape",
    "moved": "new path, same shape",
    "reshaped": "new shape",
    "added": "new",
    "removed": "only in the old model",
}


class WeightCount(Struct, frozen=True):
    """The number of weights with one fate, and of their trainable elements."""

    tensors: int
    trainable_elements: int


def model_entries(diff: Comparison) -> list[DiffEntry]:
    """Return changes of the model's name, inputs, outputs and parameter values."""
    return [
        *(DiffEntry("changed", change.subject, (format_change(change),)) for change in diff.model),
        *(DiffEntry("param", change.subject, (format_change(change),)) for change in diff.params),
    ]


def step_entries(diff: Comparison) -> list[DiffEntry]:
    """Return changes of steps and blocks, in the order of the new model.

    A removed or renamed step comes right after the last step before it that the new model has.
    """
    after = {path: float(i) for i, path in enumerate(diff.after.steps)}
    before: dict[str, float] = {}
    position = -0.5
    for path in diff.before.steps:
        if path in diff.matching.path_after:
            position = after[diff.matching.path_after[path]]
        before[path] = position + 0.5
    new, old = RepeatIndices(diff.after.steps), RepeatIndices(diff.before.steps)
    entries = [*one_sided_entries(diff.after, diff.added, "added", after), *changed_entries(diff, after)]
    removed = one_sided_entries(diff.before, diff.removed, "removed", before)
    moved = renamed_entries(diff, before)
    return sorted(
        [*fold_entries(entries, new), *fold_entries([*removed, *moved], old)],
        key=lambda entry: entry.position,
    )


def one_sided_entries(
    side: FlatModel, steps: Iterable[FlatStep], label: str, positions: Mapping[str, float]
) -> Iterator[DiffEntry]:
    """Yield steps that only one model has; a block or group without any other steps is one entry."""
    instances_by_parent: dict[str, list[BlockInstance]] = {}
    for path, instance in side.instances.items():
        instances_by_parent.setdefault(path.rpartition(".")[0], []).append(instance)
    for path, members in group_by_container(side, steps).items():
        text: list[str | PathPiece] = [describe_step(side, path, members[0], instances_by_parent)]
        if not path.rpartition(".")[2].isdigit():
            for i, source in enumerate(outer_sources(members)):
                text += [", " if i else "  from ", PathPiece(source)]
        yield DiffEntry(
            label,
            path,
            tuple(text),
            len(members),
            sum(step.cost.parameters for step in members),
            positions[members[0].path],
        )


def group_by_container(side: FlatModel, steps: Iterable[FlatStep]) -> dict[str, list[FlatStep]]:
    """Group steps by the outermost block or group that contains no other steps, else by their own path."""
    own_steps = {step.path: step for step in steps}
    total_counts, own_counts = count_contained_steps(side.steps), count_contained_steps(own_steps)
    groups: dict[str, list[FlatStep]] = {}
    for path, step in own_steps.items():
        outermost = next((p for p in enclosing_paths(path) if own_counts[p] == total_counts[p]), path)
        groups.setdefault(outermost, []).append(step)
    return groups


def outer_sources(members: Sequence[FlatStep]) -> list[str]:
    """Return the values that some steps read and that none of them computes."""
    own_paths = {step.path for step in members}
    sources = (source for step in members for source in step.sources if source is not None)
    return list(dict.fromkeys(source for source in sources if source_step(source) not in own_paths))


def describe_step(
    side: FlatModel, path: str, step: FlatStep, instances_by_parent: Mapping[str, list[BlockInstance]]
) -> str:
    """Return a block with its parameters, an op with its non-default attributes, or a group."""
    if path in side.instances:
        instance = side.instances[path]
        return f"{instance.block_name}{format_settings(instance.params)}"
    if path == step.path:
        defaults = {
            name: format_spec_value(a.default)
            for name, a in list_attributes(type(step.op)).items()
            if not a.is_required
        }
        settings = {name: value for name, value in step.attributes.items() if defaults.get(name) != value}
        suffix = f" (reuses {step.reuses})" if step.reuses else ""
        return f"{step.op.title}{format_settings(settings)}{suffix}"
    kinds = {instance.block_name for instance in instances_by_parent.get(path, ())}
    return f"{kinds.pop()} x{len(instances_by_parent[path])}" if len(kinds) == 1 else "group"


def format_settings(values: Mapping[str, str]) -> str:
    return " {" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}" if values else ""


def changed_entries(diff: Comparison, positions: Mapping[str, float]) -> Iterator[DiffEntry]:
    """Yield steps and blocks of both models with other attributes, parameters or inputs."""
    first = first_positions(positions)
    for path, changes in diff.blocks.items():
        kind = f"{diff.after.instances[path].block_name}  " if changes[0].subject != "block" else ""
        yield DiffEntry(
            "changed", path, (kind + format_changes(changes),), position=first.get(path, 0.25) - 0.25
        )
    for path, changes in diff.changed.items():
        kind = f"{diff.after.steps[path].op.title}  " if changes[0].subject != "op" else ""
        yield DiffEntry("changed", path, (kind + format_changes(changes),), position=positions[path])
    for path, rewired in diff.rewired.items():
        if not rewired.is_consequence:
            text = (
                f"{diff.after.steps[path].op.title}  from ",
                *join_sources(source_after(diff, source) for source in rewired.before),
                " -> ",
                *join_sources(rewired.after),
            )
            yield DiffEntry("rewired", path, text, position=positions[path] + 0.1)


def source_after(diff: Comparison, source: str) -> str:
    """Return the new name of a value of the old model, or the old name if it is removed."""
    step, sign, part = source.partition("@")
    return f"{diff.matching.path_after.get(step, step)}{sign}{part}"


def join_sources(sources: Iterable[str]) -> list[str | PathPiece]:
    pieces: list[str | PathPiece] = []
    for source in sources:
        pieces += [", ", PathPiece(source)] if pieces else [PathPiece(source)]
    return pieces


def renamed_entries(diff: Comparison, positions: Mapping[str, float]) -> Iterator[DiffEntry]:
    first = first_positions(positions)
    old, new = moved_prefix(diff.matching.path_after)
    if old or new:
        before, after = (f"{prefix}.*" if prefix else "*" for prefix in (old, new))
        text = f"-> {after}  (all {len(diff.matching.path_after)} steps that both have)"
        yield DiffEntry("renamed", before, (text,), position=-0.9)
        return
    for old_path, new_path in widest_renames(diff.matching.path_after, diff.renamed).items():
        yield DiffEntry(
            "renamed", old_path, ("-> ", PathPiece(new_path, absolute=True)), position=first[old_path] - 0.4
        )


def first_positions(positions: Mapping[str, float]) -> dict[str, float]:
    """Return the position of each step, and of each block and group: that of its first step."""
    first: dict[str, float] = {}
    for path, position in positions.items():
        for outer_path in (*enclosing_paths(path), path):
            first.setdefault(outer_path, position)
    return first


def format_changes(changes: Iterable[Change]) -> str:
    return ", ".join(
        format_change(change)
        if change.subject in ("op", "block")
        else f"{change.subject}: {format_change(change)}"
        for change in changes
    )


def format_change(change: Change) -> str:
    return f"{change.before or 'none'} -> {change.after or 'none'}"


def count_by_fate(diff: Comparison) -> dict[Fate, WeightCount]:
    """Count the weights of each fate."""
    return {fate: count_weights(diff.weights_with_fate(fate)) for fate in FATES}


def count_weights(weights: list[WeightFate]) -> WeightCount:
    return WeightCount(len(weights), sum(w.weight.element_count for w in weights if w.is_trainable))


def weight_entries(diff: Comparison) -> list[DiffEntry]:
    """Return weights with a new shape, and weights added to or removed from a step that both models have."""
    after = {path: float(i) for i, path in enumerate(diff.after.steps)}
    new = RepeatIndices([w.after for w in diff.weights if w.after is not None])
    old = RepeatIndices([w.before for w in diff.weights if w.before is not None])
    entries: list[DiffEntry] = []
    removed_entries: list[DiffEntry] = []
    one_sided = {step.path for step in (*diff.added, *diff.removed)}
    for weight in diff.weights:
        path = weight.after or weight.before or ""
        step_path = path.rpartition(".")[0]
        if weight.fate == "reshaped" or (weight.fate in ("added", "removed") and step_path not in one_sided):
            entry = DiffEntry(
                weight.fate,
                path,
                weight_text(weight),
                parameters=weight.weight.element_count,
                position=after.get(step_path, 0),
            )
            (removed_entries if weight.fate == "removed" else entries).append(entry)
    return [
        *merge_step_weights(fold_entries(entries, new)),
        *merge_step_weights(fold_entries(removed_entries, old)),
    ]


def weight_text(weight: WeightFate) -> tuple[str | PathPiece, ...]:
    """Return the shape of an added or removed weight.

    Both shapes, and the old path, of a reshaped one.
    """
    if weight.fate != "reshaped":
        return (format_weight_shape(weight.shape_after or weight.shape_before),)
    shapes = f"{format_weight_shape(weight.shape_before)} -> {format_weight_shape(weight.shape_after)}"
    if weight.before == weight.after:
        return (shapes,)
    return (shapes, "  was ", PathPiece(weight.before or "", absolute=True))


def merge_step_weights(entries: Iterable[DiffEntry]) -> list[DiffEntry]:
    """Join entries that say the same about several weights of one step."""
    groups: dict[tuple[str, str, str], list[DiffEntry]] = {}
    for entry in entries:
        groups.setdefault((entry.label, entry.path.rpartition(".")[0], entry.description), []).append(entry)
    return [
        replace(
            members[0],
            path=f"{step_path}.{{{', '.join(m.path.rpartition('.')[2] for m in members)}}}",
            parameters=sum(m.parameters for m in members),
        )
        if len(members) > 1
        else members[0]
        for (_, step_path, _), members in groups.items()
    ]


def format_weight_shape(shape: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "one number"
