"""A diff in words: what happened to steps, to sizes and to weights, each told once for all that it hit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from specbuild.diff.compare import Change, Comparison, Fate, WeightFate
from specbuild.diff.flatten import Flat, Instance, Step, prefixes, step_of, told
from specbuild.diff.fold import Line, Path, Places, fold
from specbuild.diff.renames import widest
from specbuild.ops.base import attributes

FATES: Mapping[Fate, str] = {
    "carried": "same path, same shape",
    "moved": "another path, same shape",
    "reshaped": "another shape",
    "added": "new",
    "gone": "no longer there",
}


@dataclass(frozen=True)
class Count:
    """How many weights have one fate, and how many numbers they hold."""

    tensors: int
    trained: int
    kept: int


def model_lines(diff: Comparison) -> list[Line]:
    """What became of the model itself, and which of its parameters have other values."""
    return [
        *(Line("changed", change.what, (arrow(change),)) for change in diff.model),
        *(Line("param", change.what, (arrow(change),)) for change in diff.params),
    ]


def step_lines(diff: Comparison) -> list[Line]:
    """What became of the steps, in the order of the new model."""
    after = {path: float(i) for i, path in enumerate(diff.after.steps)}
    before: dict[str, float] = {}
    place = -0.5
    for path in diff.before.steps:
        if path in diff.matching.new:
            place = after[diff.matching.new[path]]
        before[path] = place + 0.5
    new, old = Places(diff.after.steps), Places(diff.before.steps)
    lines = [*whole(diff.after, diff.added, "added", after), *changed(diff, after)]
    removed = whole(diff.before, diff.removed, "removed", before)
    moved = renamed(diff, before)
    return sorted([*fold(lines, new), *fold([*removed, *moved], old)], key=lambda line: line.place)


def whole(side: Flat, steps: Iterable[Step], word: str, place: Mapping[str, float]) -> Iterator[Line]:
    """Steps that one model alone has; a block or a group that is wholly so as one."""
    alone = {step.path: step for step in steps}
    total, mine = counted(side.steps), counted(alone)
    within: dict[str, list[Instance]] = {}
    for path, instance in side.instances.items():
        within.setdefault(path.rpartition(".")[0], []).append(instance)
    found: dict[str, list[Step]] = {}
    for path, step in alone.items():
        outermost = next((p for p in prefixes(path) if mine[p] == total[p]), path)
        found.setdefault(outermost, []).append(step)
    for path, members in found.items():
        inside = {step.path for step in members}
        reads = dict.fromkeys(
            source
            for step in members
            for source in step.sources
            if source is not None and step_of(source) not in inside
        )
        text: list[str | Path] = [described(side, path, members[0], within)]
        if not path.rpartition(".")[2].isdigit():
            for i, source in enumerate(reads):
                text += [", " if i else "  from ", Path(source)]
        yield Line(
            word,
            path,
            tuple(text),
            len(members),
            sum(step.cost.parameters for step in members),
            place[members[0].path],
        )


def counted(paths: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in paths:
        for around in prefixes(path):
            found[around] = found.get(around, 0) + 1
    return found


def described(side: Flat, path: str, step: Step, within: Mapping[str, list[Instance]]) -> str:
    """A block with its parameters, an op with those of its attributes that are not as they would be, or a group."""
    if path in side.instances:
        instance = side.instances[path]
        return f"{instance.kind}{given(instance.params)}"
    if path == step.path:
        usual = {name: told(a.default) for name, a in attributes(type(step.op)).items() if not a.required}
        own = {name: value for name, value in step.attributes.items() if usual.get(name) != value}
        again = f" ({step.reuses} again)" if step.reuses else ""
        return f"{step.op.name}{given(own)}{again}"
    kinds = {instance.kind for instance in within.get(path, ())}
    return f"{kinds.pop()} x{len(within[path])}" if len(kinds) == 1 else "group"


def given(values: Mapping[str, str]) -> str:
    return " {" + ", ".join(f"{name}: {value}" for name, value in values.items()) + "}" if values else ""


def changed(diff: Comparison, place: Mapping[str, float]) -> Iterator[Line]:
    """Steps and blocks that are there still, but otherwise."""
    first: dict[str, float] = {}
    for path, i in place.items():
        for around in prefixes(path):
            first.setdefault(around, i - 0.25)
    for path, changes in diff.blocks.items():
        kind = f"{diff.after.instances[path].kind}  " if changes[0].what != "block" else ""
        yield Line("changed", path, (kind + listed(changes),), place=first.get(path, 0))
    for path, changes in diff.changed.items():
        kind = f"{diff.after.steps[path].op.name}  " if changes[0].what != "op" else ""
        yield Line("changed", path, (kind + listed(changes),), place=place[path])
    for path, rewired in diff.rewired.items():
        if not rewired.follows:
            old = {old: new for new, old in diff.matching.old.items()}
            was = [name_now(diff, source, old) for source in rewired.before]
            text: list[str | Path] = [f"{diff.after.steps[path].op.name}  from "]
            text += separated(was)
            text += [" -> ", *separated(rewired.after)]
            yield Line("rewired", path, tuple(text), place=place[path] + 0.1)


def name_now(diff: Comparison, source: str, new: Mapping[str, str]) -> str:
    """A value of the old model as the new one calls it, if it does."""
    step, sign, part = source.partition("@")
    return f"{diff.matching.new.get(step, step)}{sign}{part}"


def separated(sources: Iterable[str]) -> list[str | Path]:
    found: list[str | Path] = []
    for source in sources:
        found += [", ", Path(source)] if found else [Path(source)]
    return found


def renamed(diff: Comparison, place: Mapping[str, float]) -> Iterator[Line]:
    first: dict[str, float] = {}
    for path, i in place.items():
        for around in (*prefixes(path), path):
            first.setdefault(around, i - 0.4)
    for was, now in widest(diff.matching.new, diff.renamed).items():
        yield Line("renamed", was, ("-> ", Path(now, whole=True)), place=first[was])


def listed(changes: Iterable[Change]) -> str:
    return ", ".join(
        arrow(change) if change.what in ("op", "block") else f"{change.what}: {arrow(change)}"
        for change in changes
    )


def arrow(change: Change) -> str:
    return f"{change.before or 'none'} -> {change.after or 'none'}"


def counts(diff: Comparison) -> dict[Fate, Count]:
    """How many weights have each fate."""
    return {fate: count(diff.of(fate)) for fate in FATES}


def count(weights: list[WeightFate]) -> Count:
    trained = sum(w.held.size for w in weights if w.trained)
    return Count(len(weights), trained, sum(w.held.size for w in weights) - trained)


def weight_lines(diff: Comparison) -> list[Line]:
    """Weights that do not simply stay, or come and go with their steps."""
    after = {path: float(i) for i, path in enumerate(diff.after.steps)}
    new = Places([w.after for w in diff.weights if w.after is not None])
    old = Places([w.before for w in diff.weights if w.before is not None])
    here: list[Line] = []
    gone: list[Line] = []
    alone = {step.path for step in (*diff.added, *diff.removed)}
    for weight in diff.weights:
        path = weight.after or weight.before or ""
        if weight.fate == "reshaped":
            was: tuple[str | Path, ...] = (
                () if weight.before == weight.after else ("  was ", Path(weight.before or "", whole=True))
            )
            text = (f"{shape(weight.was)} -> {shape(weight.now)}", *was)
        elif weight.fate in ("added", "gone") and path.rpartition(".")[0] not in alone:
            text = (shape(weight.now or weight.was),)
        else:
            continue
        line = Line(
            weight.fate, path, text, parameters=weight.held.size, place=after.get(path.rpartition(".")[0], 0)
        )
        (gone if weight.fate == "gone" else here).append(line)
    return [*beside(fold(here, new)), *beside(fold(gone, old))]


def beside(lines: Iterable[Line]) -> list[Line]:
    """Weights of one step of which the same is to be said, as one."""
    found: dict[tuple[str, str, str], list[Line]] = {}
    for line in lines:
        found.setdefault((line.word, line.path.rpartition(".")[0], line.told), []).append(line)
    return [
        replace(
            members[0],
            path=f"{around}.{{{', '.join(m.path.rpartition('.')[2] for m in members)}}}",
            parameters=sum(m.parameters for m in members),
        )
        if len(members) > 1
        else members[0]
        for (_, around, _), members in found.items()
    ]


def shape(found: tuple[int, ...] | None) -> str:
    return " x ".join(map(str, found)) if found else "one number"
