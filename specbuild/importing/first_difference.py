"""Where an emitted model and its original begin to differ: the step, its line in the spec, and the line of the author's code.

The trace knows what each step was made from. Both models run once more and give the values of all steps; they are compared
in the order of the original's calls. A step that `rewrites` has changed has no counterpart in the original, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from specbuild.importing.importer import ImportedModel
from specbuild.importing.named_values import Step
from specbuild.importing.original_values import arrange_value, measure_values
from specbuild.importing.plans import Plans
from specbuild.ir.graph import Block, Node, Skip
from specbuild.parity.exchange import unfold_tensor
from specbuild.parity.trace import TracedStep

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays

LEAST = 1e-6  # smaller values may be only rounding: their difference is divided by this


class FirstDifference(Struct, frozen=True):
    """The first step that differs: its path and line in the spec, the line of the author's code, and how much it differs.

    `kind` says what differs: the value, or in the proof the gradient of a weight.
    """

    step: str
    spec_line: int
    source_line: str
    kind: str
    size: float

    def describe(self) -> str:
        made_from = f", made from {self.source_line}" if self.source_line else ""
        return f"the first step that differs: {self.step}, line {self.spec_line} of the spec{made_from} ({self.kind} {self.size:.1e})"


class PairedStep(Struct, frozen=True):
    """A step of the spec, and what it was lowered from."""

    path: str
    node: Node
    step: Step

    def differ(self, kind: str, size: float, line: str = "") -> FirstDifference:
        return FirstDifference(self.path, self.node.at.location.line, line or self.step.line, kind, size)


def pair_steps(plans: Plans, graph: Block) -> dict[str, PairedStep]:
    """Return the steps of a compiled spec by their path, each with the step that it was written from.

    A block whose steps are not those of its plan, since somebody has changed them, is left out.
    """
    top = plans.plans[-1]
    return {pair.path: pair for pair in walk_pairs(plans, top.instances[0], graph, "")}


def walk_pairs(plans: Plans, instance: Any, block: Block, prefix: str) -> Iterator[PairedStep]:
    plan, number = plans.places[instance]
    steps = [row.steps[number] for row in plan.rows if number in row.steps]
    nodes = [node for node in block.nodes if not isinstance(node.op, Skip)]
    pairs: list[tuple[Node, Step]] = []
    for step in steps:
        if not nodes:
            return
        count = 1
        if isinstance(step.reused, str):  # a group: its value is that of its last step
            count = sum(node.name.startswith(f"{step.reused}.") for node in block.nodes)
        pairs.append((nodes[:count][-1], step))
        nodes = nodes[count:]
    if nodes:
        return
    for node, step in pairs:
        path = f"{prefix}{node.name}"
        if isinstance(node.op, Block) and step.instance is not None and step.reused is None:
            yield from walk_pairs(plans, step.instance, node.op, f"{path}.")
        yield PairedStep(path, node, step)


def find_first_value(
    imported: ImportedModel,
    pairs: Mapping[str, PairedStep],
    traced: Sequence[TracedStep],
    original: Arrays,
    emitted: Arrays,
    batch: int,
    tolerance: float,
) -> FirstDifference | None:
    """Return the first step whose value differs by more than the tolerance; None if there is none.

    `original` has values by their number in the trace, `emitted` by the path of the step.
    """
    compared = compare_values(imported, pairs, traced, original, emitted, batch)
    return next((found for found in compared if not found.size <= tolerance), None)


def compare_values(
    imported: ImportedModel,
    pairs: Mapping[str, PairedStep],
    traced: Sequence[TracedStep],
    original: Arrays,
    emitted: Arrays,
    batch: int,
) -> Iterator[FirstDifference]:
    """Yield how much each value differs, in the order of the original's calls."""
    by_step: dict[object, PairedStep] = {pair.step: pair for pair in pairs.values()}
    by_path = {step.path: step for step in traced}
    for mark in imported.landmarks:
        pair = by_step.get(mark.value.source.step)
        if pair is None:
            continue
        part = mark.value.source.part
        step = by_path.get(f"{pair.path}@{part}" if part else pair.path)
        theirs = original.get(f"value:{mark.number}")
        mine = emitted.get(f"step:{step.path}") if step is not None else None
        if step is None or theirs is None or mine is None:
            continue
        [layout] = step.layouts.values()
        mine = unfold_tensor(mine, step.type, layout)
        try:
            theirs = arrange_value(theirs, mark.value.dims, step.type, batch)
        except ValueError:  # the step has been rewritten
            continue
        if theirs.shape == mine.shape:
            yield pair.differ("value", measure_values(theirs, mine, LEAST), mark.line)
