"""A diff as people read it and as programs do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from specbuild.diagnostics.errors import printable
from specbuild.diff.compare import Change, Comparison
from specbuild.diff.describe import FATES, counts, model_lines, step_lines, weight_lines
from specbuild.diff.fold import Line
from specbuild.diff.renames import rules
from specbuild.ir.cost import Cost
from specbuild.summary.rows import MEASURES
from specbuild.summary.table import memory, percent

FORMER = "former"  # what the weights of the old model are called in the rules that carry them
MOST = 200  # characters of one line's text


@dataclass(frozen=True)
class Told:
    """One line of the report: a word that says what happened, if it is about that, and the rest."""

    word: str
    text: str

    def __str__(self) -> str:
        return f"{self.word:8} {self.text}" if self.word else self.text


def report(diff: Comparison, before: str, after: str) -> list[Told]:
    """Everything that differs, in sections; `before` and `after` are what the models are called."""
    if diff.equal:
        return [
            *(Told("", f"{line.path}: {line.told}") for line in model_lines(diff)),
            Told("", f"{before} and {after} are the same model: the same steps, wiring, sizes and names"),
        ]
    sections = [
        aligned(model_lines(diff)),
        aligned(step_lines(diff)),
        list(totals(diff)),
        list(weights(diff)),
    ]
    found: list[Told] = []
    for section in sections:
        if section:
            found += [*([Told("", "")] if found else []), *section]
    return [Told("", f"{before} -> {after}"), Told("", ""), *found]


def aligned(lines: Sequence[Line]) -> list[Told]:
    """Lines in columns: what happened, to what, how."""
    width = min(max((len(line.path) for line in lines), default=0), 60)
    found = []
    for line in lines:
        text = f"{line.path:{width}}  {printable(line.told, MOST)}"
        if line.steps and (line.steps > 1 or line.parameters):
            each = line.steps // line.times
            alike = line.times > 1 < each and each * line.times == line.steps
            steps = f"{line.times} x {each} steps" if alike else f"{line.steps} step{'s' * (line.steps != 1)}"
            took = f", {line.parameters:,} parameters" if line.parameters else ""
            text += f"  ({steps}{took})"
        found.append(Told(line.word, text.rstrip()))
    return found


def totals(diff: Comparison) -> Iterator[Told]:
    """What it does to sizes."""
    old, new = diff.costs
    rows = [("", "before", "after", "difference", "")]
    for name in MEASURES:
        a, b = MEASURES[name](old), MEASURES[name](new)
        shown = memory if name == "memory" else "{:,}".format
        sign = "+" if b > a else "-" if b < a else ""
        share = f"{sign}{growth(abs(b - a) / a)}" if a and a != b else ""
        rows.append(
            (
                name,
                shown(a) or "0",
                shown(b) or "0",
                f"{sign}{shown(abs(b - a))}" if a != b else "none",
                share,
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True)),
        ]
        yield Told("", "  ".join(cells).rstrip())


def growth(share: float) -> str:
    """In hundredths, or as often as it fits where that is more telling."""
    return percent(share) if share < 0.995 else f"{100 * share:.0f}%" if share < 10 else f"{share:.0f} times"


def weights(diff: Comparison) -> Iterator[Told]:
    """What becomes of trained weights."""
    found = {fate: count for fate, count in counts(diff).items() if count.tensors}
    whole = diff.costs[1].parameters
    rows = [("weights", "tensors", "parameters", "", "")]
    for fate, count in found.items():
        share = percent(count.trained / whole) if whole and fate != "gone" else ""
        rows.append((fate, f"{count.tensors:,}", f"{count.trained:,}", share, FATES[fate]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.rjust(w) for cell, w in zip(row[1:-1], widths[1:-1], strict=True)]
        word = row[0] if row[0] != "weights" else ""
        yield (
            Told(word, "  ".join([*cells, row[-1]]).rstrip())
            if word
            else Told("", f"{row[0]:8} {'  '.join(cells)}".rstrip())
        )
    if detail := weight_lines(diff):
        yield Told("", "")
        yield from aligned(detail)
    if mixed := diff.mixed_up:
        yield Told("", "")
        yield Told(
            "",
            f"careful: {len(mixed)} of those that moved have a path that was another's; "
            "loaded by name, they would get its values",
        )
    if moved := rules(diff):
        yield Told("", "")
        yield Told("", "what moved is carried by this in the new spec:")
        yield Told("", "weights:")
        yield Told("", f"  {FORMER}:")
        yield from (Told("", f"    {was}: {now}") for was, now in moved.items())


def document(diff: Comparison) -> dict[str, Any]:
    """Everything, step by step: nothing is folded."""
    old, new = diff.costs
    return {
        "equal": diff.equal,
        "model": changes(diff.model),
        "params": changes(diff.params),
        "added": {step.path: step.op.name for step in diff.added},
        "removed": {step.path: step.op.name for step in diff.removed},
        "changed": {path: changes(found) for path, found in diff.changed.items()},
        "blocks": {path: changes(found) for path, found in diff.blocks.items()},
        "rewired": {
            path: {"before": list(r.before), "after": list(r.after), "follows": r.follows}
            for path, r in diff.rewired.items()
        },
        "renamed": diff.renamed,
        "before": taken(old),
        "after": taken(new),
        "weights": [
            {
                "fate": w.fate,
                "before": w.before,
                "after": w.after,
                "shape_before": None if w.was is None else list(w.was),
                "shape_after": None if w.now is None else list(w.now),
                "trained": w.trained,
            }
            for w in diff.weights
        ],
        "rules": rules(diff),
    }


def changes(found: Sequence[Change]) -> list[Mapping[str, str]]:
    return [{"what": c.what, "before": c.before, "after": c.after} for c in found]


def taken(cost: Cost) -> dict[str, int]:
    return {
        "parameters": cost.parameters,
        "buffers": cost.buffers,
        "multiply_adds": cost.macs,
        "memory_bytes": cost.memory,
    }
