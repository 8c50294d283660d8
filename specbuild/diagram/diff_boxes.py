"""Adds changes to the boxes of a diagram of two models: the type of change, and lines that describe it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from specbuild.diagram.diff_marks import (
    NO_MARK,
    OLD_SUFFIX,
    ChangeCount,
    ChangeNote,
    ChangeType,
    DiffMark,
    DiffMarks,
)
from specbuild.diagram.step_groups import StepGroup
from specbuild.diagram.view_model import Box
from specbuild.ir.graph import Block

MAX_NAMED_STEPS = 4  # changed steps inside a block that a box names; beyond it, it gives their number


def mark_box(box: Box, diff_marks: DiffMarks, marks: Sequence[DiffMark], blocks: Sequence[Block] = ()) -> Box:
    """Return a box with the changes of its step.

    `marks` are those of the step in each instance of the block.
    """
    if all(mark is NO_MARK for mark in marks):
        return box
    mark = marks[0]
    lines = collect_notes(marks)
    if mark.change in ("changed", "inside", "renamed"):
        lines += summarize_inside("inside", diff_marks, blocks, mark.count)
    old_costs = {m.old_cost for m in marks}
    return replace(
        box, change=mark.change, notes=tuple(lines), old_cost=old_costs.pop() if len(old_costs) == 1 else None
    )


def mark_repeat(box: Box, diff_marks: DiffMarks, group: StepGroup, marks: Sequence[DiffMark]) -> Box:
    """Return the box of a repeat with its changes: members added, members removed, changes in the others."""
    by_name = {node.name: mark for node, mark in zip(group.nodes, marks, strict=True)}
    changes = [{by_name[node.name].change for node in nodes} for nodes in group.members]
    change = common_change(set().union(*changes))
    lines = collect_notes(marks)
    if change not in ("added", "removed"):
        for whole_change in ("added", "removed"):
            names = [m[0].name for m, c in zip(group.members, changes, strict=True) if c == {whole_change}]
            if names:
                lines.append(f"{format_members(names)} {whole_change}")
        in_both = [node for node in group.nodes if by_name[node.name].change not in ("added", "removed")]
        blocks = [node.op for node in in_both if isinstance(node.op, Block)]
        count = sum((by_name[node.name].count for node in in_both), ChangeCount())
        if blocks:
            lines += summarize_inside("each", diff_marks, blocks, count)
        elif any(count):
            lines.append(f"{count} steps")
    old_count = len(changes) - changes.count({"added"})
    new_count = len(changes) - changes.count({"removed"})
    has_new_count = old_count and new_count and old_count != new_count
    repeat_count = f"{old_count} → {new_count}" if has_new_count else box.repeat_count
    return replace(box, change=change, notes=tuple(lines), repeat_count=repeat_count)


def common_change(changes: set[ChangeType]) -> ChangeType:
    """Return the change of a repeat whose steps have these changes."""
    if len(changes) == 1:
        return next(iter(changes))
    return "changed" if changes & {"changed", "added", "removed"} else "inside"


def summarize_inside(
    label: str, diff_marks: DiffMarks, blocks: Sequence[Block], count: ChangeCount
) -> list[str]:
    """Return a line about the changes inside blocks: the names of the steps if there are few, else their number."""
    step_lists = {diff_marks.changed_steps(block) for block in blocks}
    longest = max(step_lists, key=len, default=())
    if longest and len(longest) <= MAX_NAMED_STEPS and all(set(some) <= set(longest) for some in step_lists):
        return [f"{label}: {', '.join(longest)}"]
    return [f"inside: {count} steps" if any(count) else "renamed inside"] * bool(longest)


def collect_notes(marks: Iterable[DiffMark]) -> list[str]:
    """Return the notes of several steps, one line for each thing that changed."""
    notes_by_subject: dict[str, dict[ChangeNote, None]] = {}
    for mark in marks:
        for note in mark.notes:
            notes_by_subject.setdefault(note.what, {})[note] = None
    return [format_variants(what, [str(note) for note in notes]) for what, notes in notes_by_subject.items()]


def format_variants(subject: str, texts: Sequence[str]) -> str:
    """Return one line for a thing that changed, perhaps differently in several steps."""
    first, *rest = [text.removeprefix(subject).strip() for text in texts]
    short = ", ".join([first, *rest]) if len(texts) <= 2 else f"{first} … {rest[-1]}"
    return f"{subject} {short}".strip()


def link_change(own_change: ChangeType, tail_change: ChangeType, head_change: ChangeType) -> ChangeType:
    """Return the change of a link: the links of an added or removed step were added or removed with it."""
    if "removed" in (tail_change, head_change):
        return "removed"
    return "added" if "added" in (tail_change, head_change) else own_change


def format_members(names: Sequence[str]) -> str:
    """Return the numbers of members of a repeat: `6–22`."""
    if not names:
        return ""
    first, last = (name.rstrip(OLD_SUFFIX).rpartition(".")[2] for name in (names[0], names[-1]))
    return first if first == last else f"{first}–{last}"
