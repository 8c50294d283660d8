"""Two models side by side: what was added, removed, changed, rewired and renamed, and what became of every weight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from specbuild.diff.flatten import Flat, Held, Instance, Shape, Step, flat, step_of, told
from specbuild.diff.match_steps import Matching, match
from specbuild.ir.cost import Cost
from specbuild.ir.graph import Block

Mark: TypeAlias = Literal["added", "removed", "changed", "rewired", "renamed"]

MAX_LOOK = 500  # steps that are looked through for what a new step was put between


@dataclass(frozen=True)
class Change:
    """An attribute, a parameter or the kind of something: what it was and what it is; empty where there was none."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class Rewired:
    """What a step reads: values of the old model, and of the new.

    `follows` if that is only what an added step was put between, or a removed one stood between.
    """

    path: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    follows: bool


Fate: TypeAlias = Literal["carried", "moved", "reshaped", "added", "gone"]


@dataclass(frozen=True)
class WeightFate:
    """One weight: where it was and is, with its shapes."""

    fate: Fate
    before: str | None
    after: str | None
    was: Shape | None
    now: Shape | None
    trained: bool

    @property
    def held(self) -> Held:
        return Held(self.now or self.was or (), self.trained)


@dataclass
class Comparison:
    """What became of a model. Paths are those of the new model, but for what was removed.

    `marks` has them all for whoever draws both models: by path in the old one, and by path in the new one.
    """

    before: Flat
    after: Flat
    matching: Matching
    model: list[Change] = field(default_factory=list)  # its name, inputs and outputs
    params: list[Change] = field(default_factory=list)  # values of its parameters: why, not what
    added: list[Step] = field(default_factory=list)
    removed: list[Step] = field(default_factory=list)
    changed: dict[str, list[Change]] = field(default_factory=dict)
    blocks: dict[str, list[Change]] = field(default_factory=dict)  # kinds and parameters of block instances
    rewired: dict[str, Rewired] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)  # path before -> path after
    weights: list[WeightFate] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether both are the same model, but for words, places and unused parameters."""
        told = (self.model, self.added, self.removed, self.changed, self.blocks, self.rewired, self.renamed)
        return not any(told)

    @cached_property
    def costs(self) -> tuple[Cost, Cost]:
        first, second = (
            sum((s.cost for s in side.steps.values()), Cost()) for side in (self.before, self.after)
        )
        return first, second

    def of(self, fate: Fate) -> list[WeightFate]:
        return [w for w in self.weights if w.fate == fate]

    @property
    def mixed_up(self) -> list[WeightFate]:
        """Weights that moved to a path and shape that another one had: loaded by name, they would get that one's values."""
        had = {w.before: w.was for w in self.weights}
        return [w for w in self.of("moved") if had.get(w.after) == w.now]

    def marks(self) -> tuple[dict[str, set[Mark]], dict[str, set[Mark]]]:
        """What is to be said of each path: in the old model, and in the new."""
        old: dict[str, set[Mark]] = {step.path: {"removed"} for step in self.removed}
        new: dict[str, set[Mark]] = {step.path: {"added"} for step in self.added}

        def both(path: str, mark: Mark) -> None:
            new.setdefault(path, set()).add(mark)
            old.setdefault(self.matching.old.get(path, path), set()).add(mark)

        for path in self.changed:
            both(path, "changed")
        for path, rewired in self.rewired.items():
            if not rewired.follows:
                both(path, "rewired")
        for was, now in self.renamed.items():
            old.setdefault(was, set()).add("renamed")
            new.setdefault(now, set()).add("renamed")
        for path in self.blocks:
            both(path, "changed")
        return old, new


def compare_models(before: Block, after: Block) -> Comparison:
    """What became of the first model in the second."""
    old, new = flat(before), flat(after)
    found = Comparison(old, new, match(old, new))
    found.removed = found.matching.left_before()
    found.added = found.matching.left_after()
    found.model = list(of_model(found))
    found.params = [
        change
        for change in values(shown(before), shown(after))
        if change.before and change.after  # a parameter that only one has is told by what it does
    ]
    for path, step in new.steps.items():
        if (was := found.matching.old.get(path)) is not None:
            compare(found, old.steps[was], step)
    for earlier, later in instances(found):
        if changes := list(of_block(earlier, later)):
            found.blocks[later.path] = changes
    found.weights = list(weights(found))
    return found


def shown(model: Block) -> dict[str, str]:
    return {name: told(value) for name, value in model.params.items()}


def values(before: Mapping[str, str], after: Mapping[str, str], what: str = "{}") -> Iterator[Change]:
    """What differs between two mappings, in the order of the second."""
    for name in [*after, *(name for name in before if name not in after)]:
        if before.get(name) != after.get(name):
            yield Change(what.format(name), before.get(name, ""), after.get(name, ""))


def of_model(found: Comparison) -> Iterator[Change]:
    old, new, matching = found.before, found.after, found.matching
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
        if matching.source(source) != old.outputs[was]:
            yield Change(f"output {name}".rstrip(), old.outputs[was], source)
        elif str(type_of(old, was)) != str(type_of(new, name)):
            yield Change(f"output {name}".rstrip(), str(type_of(old, was)), str(type_of(new, name)))
    for name, source in old.outputs.items():
        if name not in matching.outputs.values():
            yield Change("output", f"{name}: {source}" if name else source, "")


def type_of(side: Flat, output: str) -> object:
    return side.model.outputs[output].type


def compare(found: Comparison, was: Step, now: Step) -> None:
    """What became of one step."""
    matching = found.matching
    changes = [Change("op", was.op.name, now.op.name)] if was.op.name != now.op.name else []
    if was.op.name == now.op.name:
        changes += values(was.attributes, now.attributes)
    if bool(was.cost.frozen) != bool(now.cost.frozen) and was.cost.parameters and now.cost.parameters:
        changes.append(Change("frozen", *("yes" if s.cost.frozen else "no" for s in (was, now))))
    reused = matching.old.get(now.reuses) if now.reuses else None
    if was.reuses != reused:
        changes.append(Change("uses again", was.reuses or "", now.reuses or ""))
    if changes:
        found.changed[now.path] = changes
    if was.path != now.path and (was.named or now.named or was.weights or now.weights):
        found.renamed[was.path] = now.path
    if tuple(s and matching.source(s) for s in now.sources) != was.sources:
        found.rewired[now.path] = Rewired(
            now.path, texts(was.sources), texts(now.sources), follows(found, was, now)
        )


def texts(sources: tuple[str | None, ...]) -> tuple[str, ...]:
    return tuple(s or "" for s in sources)


def follows(found: Comparison, was: Step, now: Step) -> bool:
    """Whether all that a step reads is what it read before, but for steps put or taken from between."""
    if len(was.sources) != len(now.sources):
        return False
    for old, new in zip(was.sources, now.sources, strict=True):
        if old is None or new is None:
            if old is not new:
                return False
            continue
        if found.matching.source(new) == old:
            continue
        if found.matching.source(new) is not None and step_of(old) in found.matching.new:
            return False
        here = beyond(found.after, step_of(new), found.matching.old)
        there = beyond(found.before, step_of(old), found.matching.new)
        if not {found.matching.source(path) for path in here} & there:
            return False
    return True


def beyond(side: Flat, path: str, paired: Mapping[str, str]) -> set[str]:
    """The nearest steps that both models have, from a value backwards."""
    found: set[str] = set()
    seen, open_ = {path}, [path]
    while open_ and len(seen) < MAX_LOOK:
        here = open_.pop()
        if here in paired or here not in side.steps:
            found.add(here)
            continue
        for source in side.steps[here].sources:
            if source is not None and step_of(source) not in seen:
                seen.add(step_of(source))
                open_.append(step_of(source))
    return found


def instances(found: Comparison) -> Iterator[tuple[Instance, Instance]]:
    """Block instances of both models that are the same one: of one path, or renamed with all that is in them."""
    before_of: dict[str, str] = {}
    for was, now in found.matching.new.items():
        a, b = was.split("."), now.split(".")
        while a and b and a[-1] == b[-1]:
            a.pop()
            b.pop()
            before_of.setdefault(".".join(b), ".".join(a))
    for path, instance in found.after.instances.items():
        was = path if path in found.before.instances else before_of.get(path, path)
        if was in found.before.instances:
            yield found.before.instances[was], instance


def of_block(was: Instance, now: Instance) -> Iterator[Change]:
    if was.kind != now.kind:
        yield Change("block", was.kind, now.kind)
    else:
        yield from values(was.params, now.params)


def weights(found: Comparison) -> Iterator[WeightFate]:
    """What became of every weight: those of the new model in its order, then those that are gone."""
    matching = found.matching
    used: set[tuple[str, str]] = set()
    for step in found.after.steps.values():
        was = found.before.steps.get(matching.old.get(step.path, ""))
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
    for step in found.before.steps.values():
        for name, held in step.weights.items():
            if (step.path, name) not in used:
                yield WeightFate("gone", f"{step.path}.{name}", None, held.shape, None, held.trained)
