"""Which step of one model is which of another: by its path, else by what stands around it.

A name that the author chose is taken at its word. What is left is the same step if it does the same (the same op,
attributes and shapes of weights) and reads, or is read by, what is the same. Every pass is linear in the number of
steps; what it finds can tell the next pass more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable

from specbuild.diff.flatten import Flat, Step, prefixes

MAX_ROUNDS = 8


class Matching:
    """Pairs of steps, by path in both directions; what the inputs of a model are called does not matter in order."""

    def __init__(self, before: Flat, after: Flat) -> None:
        self.before, self.after = before, after
        self.new: dict[str, str] = {}  # path before -> path after
        self.old: dict[str, str] = {}  # path after -> path before
        self.inputs = {name: name for name in after.inputs if name in before.inputs}
        gone = [name for name in before.inputs if name not in after.inputs]
        come = [name for name in after.inputs if name not in before.inputs]
        if len(gone) == len(come):  # renamed
            self.inputs |= dict(zip(come, gone, strict=True))
        self.outputs = self.paired_outputs()
        self._readers_before, self._readers_after = before.consumers(), after.consumers()

    def paired_outputs(self) -> dict[str, str]:
        """Outputs after -> before: of one name, or if there is but one of each."""
        before, after = list(self.before.outputs), list(self.after.outputs)
        if len(before) == len(after) == 1:
            return {after[0]: before[0]}
        return {name: name for name in after if name in before}

    def named_outputs(self) -> None:
        """An only output without a name may be one of several with names now, or the other way round."""
        for name, source in self.after.outputs.items():
            if name not in self.outputs:
                old = self.source(source)
                free = (
                    n for n, s in self.before.outputs.items() if s == old and n not in self.outputs.values()
                )
                if (was := next(free, None)) is not None:
                    self.outputs[name] = was

    def pair(self, before: str, after: str) -> None:
        self.new[before], self.old[after] = after, before

    def left_before(self) -> list[Step]:
        return [step for path, step in self.before.steps.items() if path not in self.new]

    def left_after(self) -> list[Step]:
        return [step for path, step in self.after.steps.items() if path not in self.old]

    def source(self, after: str) -> str | None:
        """A value of the new model as the old one calls it; None if it has none such."""
        step, sign, part = after.partition("@")
        old = self.inputs.get(step) if step in self.after.inputs else self.old.get(step)
        return None if old is None else f"{old}{sign}{part}"

    def sources(self, step: Step) -> tuple[str | None, ...] | None:
        """What a new step reads, as the old model calls it; None if some of that is new."""
        found = [None if s is None else self.source(s) for s in step.sources]
        known = all(old is not None or s is None for old, s in zip(found, step.sources, strict=True))
        return tuple(found) if known else None

    def readers(self, step: Step) -> frozenset[tuple[str, int]] | None:
        """Who reads a new step, as the old model calls them; None if some of them are new."""
        found = set()
        for path, i in self._readers_after.get(step.path, ()):
            old = self.outputs.get(path[1:]) if path.startswith(">") else self.old.get(path)
            if old is None:
                return None
            found.add((f">{old}" if path.startswith(">") else old, i))
        return frozenset(found)

    def readers_before(self, step: Step) -> frozenset[tuple[str, int]]:
        return frozenset(self._readers_before.get(step.path, ()))

    def paired(
        self,
        before: Iterable[Step],
        after: Iterable[Step],
        key_before: Callable[[Step], Hashable],
        key_after: Callable[[Step], Hashable],
    ) -> bool:
        """Pairs what has the same key, in order, of one path if it can be; a key of None matches nothing."""
        table: dict[Hashable, deque[Step]] = {}
        for step in before:
            key = key_before(step)
            if key is not None:
                table.setdefault(key, deque()).append(step)
        found = False
        for step in after:  # the table is of steps that are left, the key may follow from pairs just made
            key = key_after(step)
            left = table.get(key) if key is not None else None
            while left and left[0].path in self.new:
                left.popleft()
            if left:
                own = self.before.steps.get(step.path)
                same = own is not None and own.path not in self.new and key_before(own) == key
                self.pair(step.path if same else left.popleft().path, step.path)
                found = True
        return found

    def along(self, apart: bool) -> bool:
        """Steps that do the same with the same inputs, from the first to the last."""

        def known(step: Step) -> bool:
            return step.named or bool(step.weights)

        def before(step: Step) -> Hashable:
            return self.beside(step, self.after, apart, known(step), step.sources or None)

        def after(step: Step) -> Hashable:
            return self.beside(step, self.before, apart, known(step), self.sources(step) or None)

        return self.paired(self.left_before(), self.left_after(), before, after)

    def against(self, apart: bool) -> bool:
        """Steps that do the same for the same readers, from the last to the first."""

        def before(step: Step) -> Hashable:
            return self.beside(step, self.after, apart, step.named, self.readers_before(step) or None)

        def after(step: Step) -> Hashable:
            return self.beside(step, self.before, apart, step.named, self.readers(step) or None)

        return self.paired(self.left_before(), list(reversed(self.left_after())), before, after)

    def beside(self, step: Step, other: Flat, apart: bool, known: bool, neighbours: Hashable) -> Hashable:
        """What a step is known by: its form, its neighbours, and the block or group around it if both models have that.

        With `apart`, wherever it went, if it is `known` beyond that: by a name that its author gave, or by weights.
        """
        if neighbours is None or (apart and not known):
            return None
        around = step.path.rpartition(".")[0]
        return step.form, neighbours, around if around in other.around and not apart else None

    def around(self) -> None:
        """What follows from all that is known, until nothing more does."""
        for _ in range(MAX_ROUNDS):
            found = False
            for apart in (False, True):
                found |= self.along(apart)
                found |= self.against(apart)
            if not found:
                break

    def by_path(self, fits: Callable[[Step, Step], bool]) -> None:
        for path, step in self.after.steps.items():
            other = self.before.steps.get(path)
            if other is not None and path not in self.old and path not in self.new and fits(other, step):
                self.pair(path, path)

    def by_renamed_blocks(self) -> bool:
        """Steps at one place in a block or a group that has, by what is in it, another name now."""
        votes: dict[str, dict[str, int]] = {}
        for old, new in self.new.items():
            if old != new:
                for was, now in lifted(old, new):
                    counts = votes.setdefault(was, {})
                    counts[now] = counts.get(now, 0) + 1
        now_of = {was: max(counts, key=lambda now: counts[now]) for was, counts in votes.items()}
        found = False
        for step in self.left_before():
            for was in reversed(list(prefixes(step.path))):
                if was in now_of:
                    path = f"{now_of[was]}{step.path[len(was) :]}"
                    other = self.after.steps.get(path)
                    if other is not None and path not in self.old and other.op.name == step.op.name:
                        self.pair(step.path, path)
                        found = True
                    break
        return found

    def in_one_place(self) -> None:
        """Another op where one stood: read by the same, and reading the same."""
        self.paired(
            self.left_before(),
            self.left_after(),
            lambda step: (
                (step.sources, readers) if step.sources and (readers := self.readers_before(step)) else None
            ),
            lambda step: (
                (sources, readers)
                if step.sources and (sources := self.sources(step)) and (readers := self.readers(step))
                else None
            ),
        )


def lifted(old: str, new: str) -> Iterable[tuple[str, str]]:
    """What must have been renamed if one path became another: `stem.conv` -> `entry.conv` tells `stem` -> `entry`."""
    was, now = old.split("."), new.split(".")
    while len(was) > 1 and len(now) > 1 and was[-1] == now[-1]:
        was.pop()
        now.pop()
        if was != now:
            yield ".".join(was), ".".join(now)


def match(before: Flat, after: Flat) -> Matching:
    """The pairs of two models."""
    found = Matching(before, after)
    found.by_path(lambda old, new: old.op.name == new.op.name and old.named and new.named)
    found.around()
    found.by_path(lambda old, new: old.op.name == new.op.name and not new.path[-1].isdigit())
    found.around()
    found.by_path(lambda old, new: old.op.name == new.op.name and bool(new.weights))
    found.around()
    found.by_path(lambda old, new: old.op.name == new.op.name)
    found.around()
    for _ in range(MAX_ROUNDS):
        if not found.by_renamed_blocks():
            break
        found.around()
    found.in_one_place()
    found.by_path(lambda old, new: old.named and new.named)
    found.named_outputs()
    return found
