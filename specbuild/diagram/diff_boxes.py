"""Boxes of a picture of two models with what became of their steps: a mark, and lines that say what is otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from specbuild.diagram.diff_marks import OLD_SUFFIX, ChangeCount, ChangeNote, ChangeType, DiffMark, DiffMarks
from specbuild.diagram.step_groups import StepGroup
from specbuild.diagram.view_model import Box
from specbuild.ir.graph import Block

MAX_NAMED_STEPS = 4  # steps that are told by name


def mark_box(box: Box, diff_marks: DiffMarks, marks: Sequence[DiffMark], blocks: Sequence[Block] = ()) -> Box:
    """A box with what is said of the same step in several instances."""
    mark = marks[0]
    lines = collect_notes(marks)
    if mark.change in ("changed", "inside", "renamed"):
        lines += summarize_inside("inside", diff_marks, blocks, mark.count)
    old_costs = {one.old_cost for one in marks}
    return replace(
        box, change=mark.change, notes=tuple(lines), old_cost=old_costs.pop() if len(old_costs) == 1 else None
    )


def mark_repeat(box: Box, diff_marks: DiffMarks, unit: StepGroup, marks: Sequence[DiffMark]) -> Box:
    """A box with what is said of a repeat: which members came and went, and what is otherwise in the others."""
    by_name = {node.name: mark for node, mark in zip(unit.nodes, marks, strict=True)}
    changes = [{by_name[node.name].change for node in nodes} for nodes in unit.members]
    was, now = (len(changes) - changes.count({gone}) for gone in ("added", "removed"))
    every = set().union(*changes)
    if len(every) == 1:
        change = next(iter(every))
    else:
        change = "changed" if every & {"changed", "added", "removed"} else "inside"
    lines = collect_notes(marks)
    if change not in ("added", "removed"):
        for gone in ("added", "removed"):
            names = [m[0].name for m, one in zip(unit.members, changes, strict=True) if one == {gone}]
            lines += [f"{format_members(names)} {gone}"] * bool(names)
        both = [node for node in unit.nodes if by_name[node.name].change not in ("added", "removed")]
        blocks = [node.op for node in both if isinstance(node.op, Block)]
        count = sum((by_name[node.name].count for node in both), ChangeCount())
        lines += (
            summarize_inside("each", diff_marks, blocks, count) if blocks else [f"{count} steps"] * any(count)
        )
    times = f"{was} → {now}" if was and now and was != now else box.repeat_count
    return replace(box, change=change, notes=tuple(lines), repeat_count=times)


def summarize_inside(
    label: str, diff_marks: DiffMarks, blocks: Sequence[Block], count: ChangeCount
) -> list[str]:
    """What is said of the steps in block instances: by name if that is short and the same in all, else how many."""
    step_lists = {diff_marks.changed_steps(block) for block in blocks}
    longest = max(step_lists, key=len, default=())
    if longest and len(longest) <= MAX_NAMED_STEPS and all(set(some) <= set(longest) for some in step_lists):
        return [f"{label}: {', '.join(longest)}"]
    return [f"inside: {count} steps" if any(count) else "renamed inside"] * bool(longest)


def collect_notes(marks: Iterable[DiffMark]) -> list[str]:
    """The notes of several steps, a line for each thing that is otherwise."""
    notes_by_subject: dict[str, dict[ChangeNote, None]] = {}
    for mark in marks:
        for note in mark.notes:
            notes_by_subject.setdefault(note.what, {})[note] = None
    return [format_variants(what, [str(note) for note in notes]) for what, notes in notes_by_subject.items()]


def format_variants(subject: str, texts: Sequence[str]) -> str:
    """What is otherwise, where it may be otherwise in several ways."""
    first, *rest = [text.removeprefix(subject).strip() for text in texts]
    short = ", ".join([first, *rest]) if len(texts) <= 2 else f"{first} … {rest[-1]}"
    return f"{subject} {short}".strip()


def link_change(own_change: ChangeType, tail_change: ChangeType, head_change: ChangeType) -> ChangeType:
    """The mark of a connection: what a step that came or went reads and gives came or went with it."""
    return (
        "removed"
        if "removed" in (tail_change, head_change)
        else "added"
        if "added" in (tail_change, head_change)
        else own_change
    )


def format_members(names: Sequence[str]) -> str:
    """Members of a repeat by their numbers: `6–22`."""
    if not names:
        return ""
    first, last = (name.rstrip(OLD_SUFFIX).rpartition(".")[2] for name in (names[0], names[-1]))
    return first if first == last else f"{first}–{last}"
