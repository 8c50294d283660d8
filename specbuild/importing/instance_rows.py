"""The steps of all instances of a class side by side: one row for each step, in which instances may have none.

This is the mirror of `codegen.merge_instances`: there one block becomes one class of code, here the instances of
one class become one block. A row that an instance does not have must pass its first input on, as a step with a
condition does.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from msgspec import Struct, field

from specbuild.importing.formulas import Formula
from specbuild.importing.named_values import BlockInput, Instance, Step, ValueSource

SHARED_ROWS = 0.5  # the least part of all kinds of rows that two instances of a block have in common
LONG_RUN = 3
SHARED_BY_ALL = 1 / 3  # the least part of the kinds of several instances that each of them has


class Mismatch(Exception):
    """Raised when instances differ by more than numbers and optional steps."""


class RowSource(Struct, frozen=True):
    """What a row reads: another row by its number, or an input of the block by its number."""

    kind: str  # "row" or "input"
    index: int
    part: str = ""


class Row(Struct, eq=False):
    """One step of a block, as it is in each instance that has it, by the number of the instance.

    `attributes` may have expressions, `when` is the condition for the step. `path` is its name in the block, with
    dots, `paths` has that in each instance where it may be another; `shown` is the name that the file gives it, if
    it does. `length_of` is a value of the same length, for weights of every position.
    """

    steps: dict[int, Step]
    sources: list[RowSource] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    when: str = ""
    path: str = ""
    paths: dict[int, str] = field(default_factory=dict)
    shown: str = ""
    length_of: RowSource | None = None

    @property
    def first(self) -> Step:
        """The step in the first instance that has it."""
        return self.steps[min(self.steps)]

    @property
    def name(self) -> str:
        """The dotted name in the original model, of the first instance."""
        return self.first.name


def step_key(step: Step, block_names: Mapping[Instance, str]) -> tuple[Any, ...]:
    """Return what must be equal for two steps to be one row."""
    is_named = (step.weights or step.instance is not None) and step.reused is None
    name = re.sub(r"\d+", "#", step.name) if is_named else ""
    head = block_names[step.instance] if step.instance is not None else step.op
    words = () if step.instance is not None else tuple(sorted(list_words(step.attributes)))
    is_flexible = step.op in ("add", "multiply", "concat")
    return name, head, step.roles, 0 if is_flexible else len(step.sources), step.reused is not None, words


def list_words(attributes: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the texts in attributes: axes and modes, which are equal in all instances of a block."""
    words = []
    for key, value in attributes.items():
        if isinstance(value, Formula):
            words.append((key, value.template))
        elif isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], str)):
            words.append((key, str(value)))
        elif isinstance(value, dict):
            words.append((key, str(list(value))))
    return words


def align_instances(instances: Sequence[Instance], block_names: Mapping[Instance, str]) -> list[Row]:
    """Return the rows of a block for these instances. Raises Mismatch if they have too little in common."""
    rows = [Row({0: step}) for step in instances[0].steps]
    keys = first_keys = [step_key(step, block_names) for step in instances[0].steps]
    kinds = {frozenset(first_keys)}
    for number, instance in enumerate(instances[1:], 1):
        own = [step_key(step, block_names) for step in instance.steps]
        kinds.add(frozenset(own))
        if own == keys:
            for row, step in zip(rows, instance.steps, strict=True):
                row.steps[number] = step
            continue
        rows, keys = insert_steps(rows, keys, instance.steps, own, number)
    if not are_alike(kinds):
        raise Mismatch
    pack_runs(rows, keys)
    return place_tables(rows, len(instances))


def pack_runs(rows: Sequence[Row], keys: Sequence[Any]) -> None:
    """Align instances that have fewer steps of one kind in a row with the first of these steps, so that the rows can become a repeat.

    If there are only two, each may have its own purpose, such as the expansion and the depthwise convolution of MobileNetV2.
    """
    start = 0
    for end in range(1, len(rows) + 1):
        if end < len(rows) and keys[end] == keys[start]:
            continue
        run = rows[start:end]
        members = sorted({number for row in run for number in row.steps})
        steps = {n: [row.steps[n] for row in run if n in row.steps] for n in members}
        if len(run) >= LONG_RUN and any(len(own) < len(run) for own in steps.values()):
            for place, row in enumerate(run):
                row.steps = {n: own[place] for n, own in steps.items() if place < len(own)}
        start = end


def are_alike(kinds: Collection[frozenset[Any]]) -> bool:
    """Return whether instances with these kinds of rows have enough in common: each with another, and all of them."""
    if len(frozenset.intersection(*kinds)) < SHARED_BY_ALL * len(frozenset.union(*kinds)):
        return False
    waiting = sorted(kinds, key=len)
    reached = [waiting.pop()]
    for known in reached:
        near = [one for one in waiting if len(one & known) >= SHARED_ROWS * len(one | known)]
        waiting = [one for one in waiting if one not in near]
        reached += near
    return not waiting


def place_tables(rows: list[Row], count: int) -> list[Row]:
    """Move tables that only some instances have before the row before them: the row after passes on what comes before it."""
    placed: list[Row] = []
    for row in rows:
        is_table = not row.first.sources and row.first.instance is None and len(row.steps) < count
        placed.insert(len(placed) - 1 if is_table and placed else len(placed), row)
    return placed


def insert_steps(
    rows: list[Row], keys: list[Any], steps: Sequence[Step], own: list[Any], number: int
) -> tuple[list[Row], list[Any]]:
    """Add the steps of an instance to the rows: to those of the same key in the same order, else between them."""
    new_rows: list[Row] = []
    new_keys: list[Any] = []
    matcher = SequenceMatcher(None, keys, own, autojunk=False)
    for tag, start, end, own_start, own_end in matcher.get_opcodes():
        new_rows += rows[start:end]
        new_keys += keys[start:end]
        if tag == "equal":
            for row, step in zip(rows[start:end], steps[own_start:own_end], strict=True):
                row.steps[number] = step
        else:
            new_rows += [Row({number: step}) for step in steps[own_start:own_end]]
            new_keys += own[own_start:own_end]
    return new_rows, new_keys


class SourceMatcher:
    """Finds the source of each row that is right in every instance."""

    def __init__(self, instances: Sequence[Instance], rows: Sequence[Row]):
        self.instances, self.rows = instances, rows
        self.row_numbers = {step: i for i, row in enumerate(rows) for step in row.steps.values()}

    def match_all(self) -> list[RowSource]:
        """Fill in the sources of all rows, and return the outputs. Raises Mismatch."""
        for row in self.rows:
            self.order_operands(row)
            count = len(row.first.sources)
            if any(len(step.sources) != count for step in row.steps.values()):
                raise Mismatch
            row.sources = [
                self.agree({k: self.locate(k, step.sources[i]) for k, step in row.steps.items()})
                for i in range(count)
            ]
            is_optional = len(row.steps) < len(self.instances)
            if is_optional and any(s.part for s in row.sources):
                raise Mismatch
        if len({len(instance.outputs) for instance in self.instances}) > 1:
            raise Mismatch
        return [
            self.agree({k: self.locate(k, x.outputs[i]) for k, x in enumerate(self.instances)})
            for i in range(len(self.instances[0].outputs))
        ]

    def locate(self, number: int, source: ValueSource) -> RowSource:
        if isinstance(source.step, BlockInput):
            return RowSource("input", self.instances[number].inputs.index(source.step), source.part)
        return RowSource("row", self.row_numbers[source.step], source.part)

    def agree(self, sources: Mapping[int, RowSource]) -> RowSource:
        """Return the latest of these, if all others are what it passes on where it is left out. Raises Mismatch."""
        best = max(sources.values(), key=lambda s: (s.kind == "row", s.index))
        for number, source in sources.items():
            at = best
            while at.kind == "row" and number not in self.rows[at.index].steps:
                row = self.rows[at.index]
                if not row.sources:
                    raise Mismatch
                at = self.passed_on(at.index)
            if at != source:
                raise Mismatch
        return best

    def passed_on(self, index: int) -> RowSource:
        """Return what a row passes on where it is left out: its input, or of several the value before."""
        row = self.rows[index]
        if len(row.sources) == 1 or index == 0:
            return row.sources[0]
        before = RowSource("row", index - 1)
        if before not in row.sources:
            raise Mismatch
        return before

    def order_operands(self, row: Row) -> None:
        """Turn the operands of sums and products so that they agree with those of the first instance.

        Where the row is optional, what was computed last comes first: this value passes on without the row.
        """
        if row.first.op not in ("add", "multiply") or len(row.first.sources) != 2 or row.first.roles:
            return
        first = min(row.steps)
        for number, step in row.steps.items():
            places = [self.locate(number, source) for source in step.sources]
            if len(row.steps) < len(self.instances):
                is_turned = (places[0].kind, places[1].kind) == ("input", "row") or (
                    places[0].kind == places[1].kind and places[0].index < places[1].index
                )
            else:
                own = [self.locate(first, source) for source in row.first.sources]
                is_turned = number != first and not self.can_agree(first, own, number, places)
            if is_turned:
                step.sources.reverse()

    def can_agree(
        self, first: int, own: Sequence[RowSource], number: int, places: Sequence[RowSource]
    ) -> bool:
        try:
            for mine, other in zip(own, places, strict=True):
                self.agree({first: mine, number: other})
        except Mismatch:
            return False
        return True
