"""Compare two models: steps added, removed, changed, rewired or renamed, and the fate of every weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

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


@dataclass(frozen=True)
class Change:
    """The old and the new text of an attribute, a parameter or a kind; empty on a side that has none."""

    subject: str
    before: str
    after: str


@dataclass(frozen=True)
class RewiredStep:
    """A step with other inputs: `before` in the names of the old model, `after` in those of the new.

    `is_consequence` is true if a step was only inserted or removed in between.
    """

    path: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    is_consequence: bool


Fate: TypeAlias = Literal["carried", "moved", "reshaped", "added", "gone"]


@dataclass(frozen=True)
class WeightFate:
    """The old and the new path and shape of one weight; None in a model that does not have it."""

    fate: Fate
    before: str | None
    after: str | None
    shape_before: Shape | None
    shape_after: Shape | None
    trained: bool

    @property
    def weight(self) -> StepWeight:
        return StepWeight(self.shape_after or self.shape_before or (), self.trained)


@dataclass
class Comparison:
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
        """The marks of each path in the old model, and of each path in the new one."""
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
        for was, now in self.renamed.items():
            old.setdefault(was, set()).add("renamed")
            new.setdefault(now, set()).add("renamed")
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
        if (was := comparison.matching.path_before.get(path)) is not None:
            compare_step(comparison, old.steps[was], step)
    for earlier, later in paired_instances(comparison):
        if changes := list(block_changes(earlier, later)):
            comparison.blocks[later.path] = changes
    comparison.weights = list(weight_fates(comparison))
    return comparison


def param_texts(model: Block) -> dict[str, str]:
    return {name: format_spec_value(value) for name, value in model.params.items()}


def changed_values(
    before: Mapping[str, str], after: Mapping[str, str], subject: str = "{}"
) -> Iterator[Change]:
    """The entries that differ between two mappings, in the order of the second."""
    for name in [*after, *(name for name in before if name not in after)]:
        if before.get(name) != after.get(name):
            yield Change(subject.format(name), before.get(name, ""), after.get(name, ""))


def model_changes(comparison: Comparison) -> Iterator[Change]:
    old, new, matching = comparison.before, comparison.after, comparison.matching
    if old.model.kind != new.model.kind:
        yield Change("model", old.model.kind, new.model.kind)
    for name, type_ in new.inputs.items():
        was = matching.inputs.get(name)
        if was != name:
            yield Change("input", was or "", name)
        if was is not None and old.inputs[was] != type_:
            yield Change(f"input {name}", old.inputs[was], type_)
    for name in old.inputs:
        if name not in matching.inputs.values():
            yield Change("input", name, "")
    for name, source in new.outputs.items():
        was = matching.outputs.get(name)
        if was is None:
            yield Change("output", "", f"{name}: {source}" if name else source)
            continue
        if was != name:
            yield Change("output", was or old.outputs[was], name or source)
        if matching.translate_source(source) != old.outputs[was]:
            yield Change(f"output {name}".rstrip(), old.outputs[was], source)
        elif str(output_type(old, was)) != str(output_type(new, name)):
            yield Change(f"output {name}".rstrip(), str(output_type(old, was)), str(output_type(new, name)))
    for name, source in old.outputs.items():
        if name not in matching.outputs.values():
            yield Change("output", f"{name}: {source}" if name else source, "")


def output_type(side: FlatModel, output: str) -> object:
    return side.model.outputs[output].type


def compare_step(comparison: Comparison, was: FlatStep, now: FlatStep) -> None:
    """Record the differences between two paired steps."""
    matching = comparison.matching
    changes = [Change("op", was.op.name, now.op.name)] if was.op.name != now.op.name else []
    if was.op.name == now.op.name:
        changes += changed_values(was.attributes, now.attributes)
    if bool(was.cost.frozen) != bool(now.cost.frozen) and was.cost.parameters and now.cost.parameters:
        changes.append(Change("frozen", *("yes" if s.cost.frozen else "no" for s in (was, now))))
    reused = matching.path_before.get(now.reuses) if now.reuses else None
    if was.reuses != reused:
        changes.append(Change("uses again", was.reuses or "", now.reuses or ""))
    if changes:
        comparison.changed[now.path] = changes
    if was.path != now.path and (was.is_named or now.is_named or was.weights or now.weights):
        comparison.renamed[was.path] = now.path
    if tuple(s and matching.translate_source(s) for s in now.sources) != was.sources:
        comparison.rewired[now.path] = RewiredStep(
            now.path,
            source_texts(was.sources),
            source_texts(now.sources),
            is_rewiring_consequence(comparison, was, now),
        )


def source_texts(sources: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(s or "" for s in sources)


def is_rewiring_consequence(comparison: Comparison, was: FlatStep, now: FlatStep) -> bool:
    """Whether the inputs are the old ones, except for steps inserted or removed in between."""
    if len(was.sources) != len(now.sources):
        return False
    for old, new in zip(was.sources, now.sources, strict=True):
        if old is None or new is None:
            if old is not new:
                return False
            continue
        if comparison.matching.translate_source(new) == old:
            continue
        if (
            comparison.matching.translate_source(new) is not None
            and source_step(old) in comparison.matching.path_after
        ):
            return False
        here = nearest_paired_steps(comparison.after, source_step(new), comparison.matching.path_before)
        there = nearest_paired_steps(comparison.before, source_step(old), comparison.matching.path_after)
        if not {comparison.matching.translate_source(path) for path in here} & there:
            return False
    return True


def nearest_paired_steps(side: FlatModel, path: str, paired: Mapping[str, str]) -> set[str]:
    """Search backwards for the nearest steps that both models have."""
    found: set[str] = set()
    visited, pending = {path}, [path]
    while pending and len(visited) < MAX_SEARCHED_STEPS:
        here = pending.pop()
        if here in paired or here not in side.steps:
            found.add(here)
            continue
        for source in side.steps[here].sources:
            if source is not None and source_step(source) not in visited:
                visited.add(source_step(source))
                pending.append(source_step(source))
    return found


def paired_instances(comparison: Comparison) -> Iterator[tuple[BlockInstance, BlockInstance]]:
    """Block instances that correspond: they have the same path, or were renamed together with their steps."""
    before_of: dict[str, str] = {}
    for was, now in comparison.matching.path_after.items():
        a, b = was.split("."), now.split(".")
        while a and b and a[-1] == b[-1]:
            a.pop()
            b.pop()
            before_of.setdefault(".".join(b), ".".join(a))
    for path, instance in comparison.after.instances.items():
        was = path if path in comparison.before.instances else before_of.get(path, path)
        if was in comparison.before.instances:
            yield comparison.before.instances[was], instance


def block_changes(was: BlockInstance, now: BlockInstance) -> Iterator[Change]:
    if was.kind != now.kind:
        yield Change("block", was.kind, now.kind)
    else:
        yield from changed_values(was.params, now.params)


def weight_fates(comparison: Comparison) -> Iterator[WeightFate]:
    """The fate of every weight: those of the new model in its order, then those that are gone."""
    matching = comparison.matching
    used: set[tuple[str, str]] = set()
    for step in comparison.after.steps.values():
        was = comparison.before.steps.get(matching.path_before.get(step.path, ""))
        if was is not None and was.op.name != step.op.name:
            was = None
        for name, held in step.weights.items():
            path = f"{step.path}.{name}"
            old = was.weights.get(name) if was is not None else None
            if was is None or old is None:
                yield WeightFate("added", None, path, None, held.shape, held.trained)
                continue
            used.add((was.path, name))
            before = f"{was.path}.{name}"
            fate: Fate = "reshaped" if old.shape != held.shape else "carried" if before == path else "moved"
            yield WeightFate(fate, before, path, old.shape, held.shape, held.trained)
    for step in comparison.before.steps.values():
        for name, held in step.weights.items():
            if (step.path, name) not in used:
                yield WeightFate("gone", f"{step.path}.{name}", None, held.shape, None, held.trained)
