"""Compare two models: steps added, removed, changed, rewired or renamed, and the fate of every weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Literal, TypeAlias

from msgspec import Struct, field

from specbuild.diff.flatten import (
    BlockInstance,
    FlatModel,
    FlatStep,
    Shape,
    StepWeight,
    flatten_model,
    format_spec_value,
    source_step,
)
from specbuild.diff.match_steps import StepMatching, match_models
from specbuild.ir.cost import Cost
from specbuild.ir.graph import Block

PathMark: TypeAlias = Literal["added", "removed", "changed", "rewired", "renamed"]

MAX_SEARCHED_STEPS = 500  # limit of the backward search around an inserted step


class Change(Struct, frozen=True):
    """The old and the new text of an attribute, a parameter or a kind; empty on a side that has none."""

    subject: str
    before: str
    after: str


class RewiredStep(Struct, frozen=True):
    """A step with other inputs: `before` in the names of the old model, `after` in those of the new.

    `is_consequence` is true if a step was only inserted or removed in between.
    """

    path: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    is_consequence: bool


# What becomes of a weight: same path and shape, new path, new shape, only in the new model, only in the old.
Fate: TypeAlias = Literal["unchanged", "moved", "reshaped", "added", "removed"]


class WeightFate(Struct, frozen=True):
    """What becomes of one weight: its old and new path and shape, None in a model that does not have it."""

    fate: Fate
    before: str | None
    after: str | None
    shape_before: Shape | None
    shape_after: Shape | None
    is_trainable: bool

    @property
    def weight(self) -> StepWeight:
        """The weight in the new model, or in the old one if it is removed."""
        return StepWeight(self.shape_after or self.shape_before or (), self.is_trainable)


class Comparison(Struct, dict=True):
    """The differences between two models. Paths are those of the new model, except in `removed`."""

    before: FlatModel
    after: FlatModel
    matching: StepMatching
    model: list[Change] = field(default_factory=list)  # name, inputs and outputs
    params: list[Change] = field(default_factory=list)  # parameter values: causes, not differences
    added: list[FlatStep] = field(default_factory=list)
    removed: list[FlatStep] = field(default_factory=list)
    changed: dict[str, list[Change]] = field(default_factory=dict)
    blocks: dict[str, list[Change]] = field(default_factory=dict)  # kinds and parameters of block instances
    rewired: dict[str, RewiredStep] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)  # path before -> path after
    weights: list[WeightFate] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether steps, wiring, sizes and names are the same; unused parameters may differ."""
        differences = (
            self.model,
            self.added,
            self.removed,
            self.changed,
            self.blocks,
            self.rewired,
            self.renamed,
        )
        return not any(differences)

    @cached_property
    def total_costs(self) -> tuple[Cost, Cost]:
        """The costs of the old and of the new model."""
        first, second = (
            sum((s.cost for s in side.steps.values()), Cost()) for side in (self.before, self.after)
        )
        return first, second

    def weights_with_fate(self, fate: Fate) -> list[WeightFate]:
        return [w for w in self.weights if w.fate == fate]

    @property
    def colliding_weights(self) -> list[WeightFate]:
        """Moved weights that take the path and shape of another: loading by name gives them its values."""
        shapes_before = {w.before: w.shape_before for w in self.weights}
        return [w for w in self.weights_with_fate("moved") if shapes_before.get(w.after) == w.shape_after]

    def marks_by_path(self) -> tuple[dict[str, set[PathMark]], dict[str, set[PathMark]]]:
        """Return the marks of each path in the old model, and of each path in the new one."""
        old: dict[str, set[PathMark]] = {step.path: {"removed"} for step in self.removed}
        new: dict[str, set[PathMark]] = {step.path: {"added"} for step in self.added}

        def mark_both(path: str, mark: PathMark) -> None:
            new.setdefault(path, set()).add(mark)
            old.setdefault(self.matching.path_before.get(path, path), set()).add(mark)

        for path in self.changed:
            mark_both(path, "changed")
        for path, rewired in self.rewired.items():
            if not rewired.is_consequence:
                mark_both(path, "rewired")
        for old_path, new_path in self.renamed.items():
            old.setdefault(old_path, set()).add("renamed")
            new.setdefault(new_path, set()).add("renamed")
        for path in self.blocks:
            mark_both(path, "changed")
        return old, new


def compare_models(before: Block, after: Block) -> Comparison:
    """Find all differences between two models."""
    old, new = flatten_model(before), flatten_model(after)
    comparison = Comparison(old, new, match_models(old, new))
    comparison.removed = comparison.matching.unmatched_before()
    comparison.added = comparison.matching.unmatched_after()
    comparison.model = list(model_changes(comparison))
    comparison.params = [
        change
        for change in changed_values(param_texts(before), param_texts(after))
        if change.before and change.after  # a parameter of one model only shows in what it changes
    ]
    for path, step in new.steps.items():
        if (old_path := comparison.matching.path_before.get(path)) is not None:
            compare_step(comparison, old.steps[old_path], step)
    for old_block, new_block in paired_instances(comparison):
        if changes := list(block_changes(old_block, new_block)):
            comparison.blocks[new_block.path] = changes
    comparison.weights = list(weight_fates(comparison))
    return comparison


def param_texts(model: Block) -> dict[str, str]:
    return {name: format_spec_value(value) for name, value in model.params.items()}


def changed_values(
    before: Mapping[str, str], after: Mapping[str, str], subject: str = "{}"
) -> Iterator[Change]:
    """Yield the entries that differ between two mappings, in the order of the second."""
    for name in [*after, *(name for name in before if name not in after)]:
        if before.get(name) != after.get(name):
            yield Change(subject.format(name), before.get(name, ""), after.get(name, ""))


def model_changes(comparison: Comparison) -> Iterator[Change]:
    old, new, matching = comparison.before, comparison.after, comparison.matching
    if old.model.name != new.model.name:
        yield Change("model", old.model.name, new.model.name)
    for name, type_ in new.inputs.items():
        old_name = matching.inputs.get(name)
        if old_name != name:
            yield Change("input", old_name or "", name)
        if old_name is not None and old.inputs[old_name] != type_:
            yield Change(f"input {name}", old.inputs[old_name], type_)
    for name in old.inputs:
        if name not in matching.inputs.values():
            yield Change("input", name, "")
    for name, source in new.outputs.items():
        old_name = matching.outputs.get(name)
        if old_name is None:
            yield Change("output", "", f"{name}: {source}" if name else source)
            continue
        if old_name != name:
            yield Change("output", old_name or old.outputs[old_name], name or source)
        if matching.translate_source(source) != old.outputs[old_name]:
            yield Change(f"output {name}".rstrip(), old.outputs[old_name], source)
        elif describe_output(old, old_name) != describe_output(new, name):
            yield Change(
                f"output {name}".rstrip(), describe_output(old, old_name), describe_output(new, name)
            )
    for name, source in old.outputs.items():
        if name not in matching.outputs.values():
            yield Change("output", f"{name}: {source}" if name else source, "")


def describe_output(side: FlatModel, output: str) -> str:
    """Return the type of an output, with the order of its axes if the spec gives one."""
    return str(side.model.outputs[output])


def compare_step(comparison: Comparison, old: FlatStep, new: FlatStep) -> None:
    """Record the differences between two paired steps."""
    matching = comparison.matching
    names = [step.op.name if old.op.title == new.op.title else step.op.title for step in (old, new)]
    changes = [Change("op", *names)] if old.op.name != new.op.name else []
    if old.op.name == new.op.name:
        changes += changed_values(old.attributes, new.attributes)
    if bool(old.cost.frozen) != bool(new.cost.frozen) and old.cost.parameters and new.cost.parameters:
        changes.append(Change("frozen", *("yes" if s.cost.frozen else "no" for s in (old, new))))
    translated = matching.path_before.get(new.reuses) if new.reuses else None
    if old.reuses != translated:
        changes.append(Change("reuses", old.reuses or "", new.reuses or ""))
    if changes:
        comparison.changed[new.path] = changes
    if old.path != new.path and (old.is_named or new.is_named or old.weights or new.weights):
        comparison.renamed[old.path] = new.path
    if tuple(s and matching.translate_source(s) for s in new.sources) != old.sources:
        comparison.rewired[new.path] = RewiredStep(
            new.path,
            source_texts(old.sources),
            source_texts(new.sources),
            is_rewiring_consequence(comparison, old, new),
        )


def source_texts(sources: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(s or "" for s in sources)


def is_rewiring_consequence(comparison: Comparison, old: FlatStep, new: FlatStep) -> bool:
    """Return whether the inputs are the old ones, except for steps inserted or removed in between."""
    if len(old.sources) != len(new.sources):
        return False
    for old_source, new_source in zip(old.sources, new.sources, strict=True):
        if old_source is None or new_source is None:
            if old_source is not new_source:
                return False
            continue
        if comparison.matching.translate_source(new_source) == old_source:
            continue
        if (
            comparison.matching.translate_source(new_source) is not None
            and source_step(old_source) in comparison.matching.path_after
        ):
            return False
        nearest_new = nearest_paired_steps(
            comparison.after, source_step(new_source), comparison.matching.path_before
        )
        nearest_old = nearest_paired_steps(
            comparison.before, source_step(old_source), comparison.matching.path_after
        )
        if not {comparison.matching.translate_source(path) for path in nearest_new} & nearest_old:
            return False
    return True


def nearest_paired_steps(side: FlatModel, path: str, paired: Mapping[str, str]) -> set[str]:
    """Search backwards for the nearest steps that both models have."""
    nearest: set[str] = set()
    visited, pending = {path}, [path]
    while pending and len(visited) < MAX_SEARCHED_STEPS:
        current = pending.pop()
        if current in paired or current not in side.steps:
            nearest.add(current)
            continue
        for source in side.steps[current].sources:
            if source is not None and source_step(source) not in visited:
                visited.add(source_step(source))
                pending.append(source_step(source))
    return nearest


def paired_instances(comparison: Comparison) -> Iterator[tuple[BlockInstance, BlockInstance]]:
    """Yield block instances that correspond: they have the same path, or were renamed together with their steps."""
    old_containers: dict[str, str] = {}
    for old_path, new_path in comparison.matching.path_after.items():
        old_parts, new_parts = old_path.split("."), new_path.split(".")
        while old_parts and new_parts and old_parts[-1] == new_parts[-1]:
            old_parts.pop()
            new_parts.pop()
            old_containers.setdefault(".".join(new_parts), ".".join(old_parts))
    for path, instance in comparison.after.instances.items():
        old_path = path if path in comparison.before.instances else old_containers.get(path, path)
        if old_path in comparison.before.instances:
            yield comparison.before.instances[old_path], instance


def block_changes(old: BlockInstance, new: BlockInstance) -> Iterator[Change]:
    if old.block_name != new.block_name:
        yield Change("block", old.block_name, new.block_name)
    else:
        yield from changed_values(old.params, new.params)


def weight_fates(comparison: Comparison) -> Iterator[WeightFate]:
    """Yield the fate of every weight: those of the new model in its order, then the removed ones."""
    matching = comparison.matching
    used: set[tuple[str, str]] = set()
    for step in comparison.after.steps.values():
        old_step = comparison.before.steps.get(matching.path_before.get(step.path, ""))
        if old_step is not None and old_step.op.name != step.op.name:
            old_step = None
        for name, weight in step.weights.items():
            path = f"{step.path}.{name}"
            old_weight = old_step.weights.get(name) if old_step is not None else None
            if old_step is None or old_weight is None:
                yield WeightFate("added", None, path, None, weight.shape, weight.is_trainable)
                continue
            used.add((old_step.path, name))
            before = f"{old_step.path}.{name}"
            fate: Fate = (
                "reshaped" if old_weight.shape != weight.shape else "unchanged" if before == path else "moved"
            )
            yield WeightFate(fate, before, path, old_weight.shape, weight.shape, weight.is_trainable)
    for step in comparison.before.steps.values():
        for name, weight in step.weights.items():
            if (step.path, name) not in used:
                yield WeightFate(
                    "removed", f"{step.path}.{name}", None, weight.shape, None, weight.is_trainable
                )
