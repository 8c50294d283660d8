"""Match the steps of two models: by path, else by their neighbours.

Steps with the same path match if the author chose it. Other steps match if they are equivalent (same op,
attributes and weight shapes) and have matching inputs or matching readers. Each pass takes time linear in
the number of steps, and its pairs are evidence for the next pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping

from specbuild.diff.flatten import FlatModel, FlatStep, enclosing_paths
from specbuild.diff.whole_moves import find_prefix

MAX_ROUNDS = 8


class StepMatching:
    """Pairs of step paths in both directions, and pairs of inputs and outputs (name after -> name before)."""

    def __init__(self, before: FlatModel, after: FlatModel) -> None:
        self.before, self.after = before, after
        self.path_after: dict[str, str] = {}  # path before -> path after
        self.path_before: dict[str, str] = {}  # path after -> path before
        self.inputs = {name: name for name in after.inputs if name in before.inputs}
        only_before = [name for name in before.inputs if name not in after.inputs]
        only_after = [name for name in after.inputs if name not in before.inputs]
        if len(only_before) == len(only_after):  # take them as renamed, in order
            self.inputs |= dict(zip(only_after, only_before, strict=True))
        self.outputs = self.pair_outputs()
        self._readers_before, self._readers_after = before.readers_by_step(), after.readers_by_step()

    def pair_outputs(self) -> dict[str, str]:
        """Pair outputs of the same name, or the only output of each model."""
        before, after = list(self.before.outputs), list(self.after.outputs)
        if len(before) == len(after) == 1:
            return {after[0]: before[0]}
        return {name: name for name in after if name in before}

    def pair_named_outputs(self) -> None:
        """Pair the outputs that are left by the value that they return."""
        for name, source in self.after.outputs.items():
            if name not in self.outputs:
                old_source = self.translate_source(source)
                candidates = (
                    candidate
                    for candidate, candidate_source in self.before.outputs.items()
                    if candidate_source == old_source and candidate not in self.outputs.values()
                )
                if (old_name := next(candidates, None)) is not None:
                    self.outputs[name] = old_name

    def add_pair(self, before: str, after: str) -> None:
        self.path_after[before], self.path_before[after] = after, before

    def unmatched_before(self) -> list[FlatStep]:
        return [step for path, step in self.before.steps.items() if path not in self.path_after]

    def unmatched_after(self) -> list[FlatStep]:
        return [step for path, step in self.after.steps.items() if path not in self.path_before]

    def translate_source(self, after: str) -> str | None:
        """Return the old name of a value of the new model; None if it has no pair."""
        step, sign, part = after.partition("@")
        old_path = self.inputs.get(step) if step in self.after.inputs else self.path_before.get(step)
        return None if old_path is None else f"{old_path}{sign}{part}"

    def translate_sources(self, step: FlatStep) -> tuple[str | None, ...] | None:
        """Return the inputs of a new step by their old names; None if one of them has no pair."""
        sources = [None if s is None else self.translate_source(s) for s in step.sources]
        all_paired = all(old is not None or s is None for old, s in zip(sources, step.sources, strict=True))
        return tuple(sources) if all_paired else None

    def translate_readers(self, step: FlatStep) -> frozenset[tuple[str, int]] | None:
        """Return the readers of a new step by their old names; None if one of them has no pair."""
        readers = set()
        for path, i in self._readers_after.get(step.path, ()):
            old = self.outputs.get(path[1:]) if path.startswith(">") else self.path_before.get(path)
            if old is None:
                return None
            readers.add((f">{old}" if path.startswith(">") else old, i))
        return frozenset(readers)

    def old_readers(self, step: FlatStep) -> frozenset[tuple[str, int]]:
        return frozenset(self._readers_before.get(step.path, ()))

    def pair_by_key(
        self,
        before: Iterable[FlatStep],
        after: Iterable[FlatStep],
        key_before: Callable[[FlatStep], Hashable],
        key_after: Callable[[FlatStep], Hashable],
    ) -> bool:
        """Pair steps with equal keys: at the same path if possible, else in order. A key None has no pair."""
        table: dict[Hashable, deque[FlatStep]] = {}
        for step in before:
            key = key_before(step)
            if key is not None:
                table.setdefault(key, deque()).append(step)
        any_paired = False
        for step in after:
            key = key_after(step)  # only now: it may depend on pairs just added
            candidates = table.get(key) if key is not None else None
            while candidates and candidates[0].path in self.path_after:
                candidates.popleft()
            if candidates:
                same_path = self.before.steps.get(step.path)
                is_candidate = (
                    same_path is not None
                    and same_path.path not in self.path_after
                    and key_before(same_path) == key
                )
                self.add_pair(step.path if is_candidate else candidates.popleft().path, step.path)
                any_paired = True
        return any_paired

    def pair_forward(self, anywhere: bool) -> bool:
        """Pair equivalent steps that have the same inputs, first step first."""

        def is_recognizable(step: FlatStep) -> bool:
            return step.is_named or bool(step.weights)

        def old_key(step: FlatStep) -> Hashable:
            return self.matching_key(step, self.after, anywhere, is_recognizable(step), step.sources or None)

        def new_key(step: FlatStep) -> Hashable:
            return self.matching_key(
                step, self.before, anywhere, is_recognizable(step), self.translate_sources(step) or None
            )

        return self.pair_by_key(self.unmatched_before(), self.unmatched_after(), old_key, new_key)

    def pair_backward(self, anywhere: bool) -> bool:
        """Pair equivalent steps that have the same readers, last step first."""

        def old_key(step: FlatStep) -> Hashable:
            return self.matching_key(
                step, self.after, anywhere, step.is_named, self.old_readers(step) or None
            )

        def new_key(step: FlatStep) -> Hashable:
            return self.matching_key(
                step, self.before, anywhere, step.is_named, self.translate_readers(step) or None
            )

        return self.pair_by_key(
            self.unmatched_before(), list(reversed(self.unmatched_after())), old_key, new_key
        )

    def matching_key(
        self, step: FlatStep, other: FlatModel, anywhere: bool, is_recognizable: bool, neighbours: Hashable
    ) -> Hashable:
        """Return the key of a step: what it computes, its neighbours, and its block or group if both models have it.

        With `anywhere` the block or group may differ; then only steps recognizable by name or weights match.
        """
        if neighbours is None or (anywhere and not is_recognizable):
            return None
        container = step.path.rpartition(".")[0]
        return (
            step.equivalence_key,
            neighbours,
            container if container in other.containers and not anywhere else None,
        )

    def propagate_pairs(self) -> None:
        """Pair the neighbours of paired steps until no more pairs are found."""
        for _ in range(MAX_ROUNDS):
            any_paired = False
            for anywhere in (False, True):
                any_paired |= self.pair_forward(anywhere)
                any_paired |= self.pair_backward(anywhere)
            if not any_paired:
                break

    def pair_same_paths(self, fits: Callable[[FlatStep, FlatStep], bool], same_op: bool) -> None:
        """Pair steps at the same path that fit; with `same_op`, only those of the same op."""
        for path, new_step in self.after.steps.items():
            old_step = self.before.steps.get(path)
            if (
                old_step is not None
                and path not in self.path_before
                and path not in self.path_after
                and (old_step.op.name == new_step.op.name or not same_op)
                and fits(old_step, new_step)
            ):
                self.add_pair(path, path)

    def pair_in_renamed_blocks(self) -> bool:
        """Pair steps at the same path inside a block or group that, judged by its steps, was renamed."""
        renamed_to = likely_renames(count_renames(self.path_after))
        any_paired = False
        for step in self.unmatched_before():
            for old_container in reversed(list(enclosing_paths(step.path))):
                if old_container in renamed_to:
                    path = f"{renamed_to[old_container]}{step.path[len(old_container) :]}"
                    other = self.after.steps.get(path)
                    if other is not None and path not in self.path_before and other.op.name == step.op.name:
                        self.add_pair(step.path, path)
                        any_paired = True
                    break
        return any_paired

    def pair_moved_model(self) -> None:
        """Pair the steps of a model that was put under a step of the new one, or taken out of one of the old one."""
        before, after = self.before.steps, self.after.steps

        def can_move(old: str, new: str) -> bool:
            return before[old].equivalence_key == after[new].equivalence_key

        if prefix := find_prefix(before, after, can_move):
            pairs = ((path, f"{prefix}.{path}") for path in before)
        elif prefix := find_prefix(after, before, lambda new, old: can_move(old, new)):
            pairs = ((f"{prefix}.{path}", path) for path in after)
        else:
            return
        for old, new in pairs:
            if old in before and new in after and before[old].op.name == after[new].op.name:
                self.add_pair(old, new)

    def pair_replaced_ops(self) -> None:
        """Pair steps with different ops but the same inputs and readers."""
        self.pair_by_key(
            self.unmatched_before(),
            self.unmatched_after(),
            lambda step: (
                (step.sources, readers) if step.sources and (readers := self.old_readers(step)) else None
            ),
            lambda step: (
                (sources, readers)
                if step.sources
                and (sources := self.translate_sources(step))
                and (readers := self.translate_readers(step))
                else None
            ),
        )


def implied_renames(old: str, new: str) -> Iterable[tuple[str, str]]:
    """Yield the renamed containers of a renamed path: `stem.conv` -> `entry.conv` implies `stem` -> `entry`."""
    old_parts, new_parts = old.split("."), new.split(".")
    while len(old_parts) > 1 and len(new_parts) > 1 and old_parts[-1] == new_parts[-1]:
        old_parts.pop()
        new_parts.pop()
        if old_parts != new_parts:
            yield ".".join(old_parts), ".".join(new_parts)


def count_renames(pairs: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """Count for each container, and each new name of it, the renamed paths that imply this name."""
    counts: dict[str, dict[str, int]] = {}
    for old_path, new_path in pairs.items():
        for old, new in implied_renames(old_path, new_path):
            new_counts = counts.setdefault(old, {})
            new_counts[new] = new_counts.get(new, 0) + 1
    return counts


def likely_renames(counts: Mapping[str, dict[str, int]]) -> dict[str, str]:
    """Return the most frequent new name of each container."""
    return {old: max(new_counts, key=lambda new: new_counts[new]) for old, new_counts in counts.items()}


def match_models(before: FlatModel, after: FlatModel) -> StepMatching:
    """Match the steps of two models; the surest evidence goes first."""
    matching = StepMatching(before, after)
    evidence: tuple[Callable[[FlatStep, FlatStep], bool], ...] = (
        lambda old, new: old.is_named and new.is_named,
        lambda old, new: not new.path[-1].isdigit(),
        lambda old, new: bool(new.weights),
        lambda old, new: True,
    )
    matching.pair_moved_model()
    for fits in evidence:
        matching.pair_same_paths(fits, same_op=True)
        matching.propagate_pairs()
    for _ in range(MAX_ROUNDS):
        if not matching.pair_in_renamed_blocks():
            break
        matching.propagate_pairs()
    matching.pair_replaced_ops()
    matching.pair_same_paths(lambda old, new: old.is_named and new.is_named, same_op=False)
    matching.pair_named_outputs()
    return matching
