"""Boxes of a picture of two models with what became of their steps: a mark, and lines that say what is otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from specbuild.diagram.diff_marks import GONE, Count, Mark, Marks, Note, Sort
from specbuild.diagram.step_groups import Unit
from specbuild.diagram.view import Box
from specbuild.ir.graph import Block

MOST_INSIDE = 4  # steps that are told by name


def marked(box: Box, said: Marks, marks: Sequence[Mark], blocks: Sequence[Block] = ()) -> Box:
    """A box with what is said of the same step in several instances."""
    mark = marks[0]
    lines = noted(marks)
    if mark.sort in ("changed", "inside", "renamed"):
        lines += inside("inside", said, blocks, mark.count)
    took = {one.took for one in marks}
    return replace(box, mark=mark.sort, notes=tuple(lines), took=took.pop() if len(took) == 1 else None)


def stacked(box: Box, said: Marks, unit: Unit, marks: Sequence[Mark]) -> Box:
    """A box with what is said of a repeat: which members came and went, and what is otherwise in the others."""
    by_name = {node.name: mark for node, mark in zip(unit.nodes, marks, strict=True)}
    sorts = [{by_name[node.name].sort for node in nodes} for nodes in unit.repeat]
    was, now = (len(sorts) - sorts.count({gone}) for gone in ("added", "removed"))
    every = set().union(*sorts)
    if len(every) == 1:
        sort = next(iter(every))
    else:
        sort = "changed" if every & {"changed", "added", "removed"} else "inside"
    lines = noted(marks)
    if sort not in ("added", "removed"):
        for gone in ("added", "removed"):
            names = [m[0].name for m, one in zip(unit.repeat, sorts, strict=True) if one == {gone}]
            lines += [f"{spanned(names)} {gone}"] * bool(names)
        both = [node for node in unit.nodes if by_name[node.name].sort not in ("added", "removed")]
        blocks = [node.op for node in both if isinstance(node.op, Block)]
        count = sum((by_name[node.name].count for node in both), Count())
        lines += inside("each", said, blocks, count) if blocks else [f"{count} steps"] * any(count)
    times = f"{was} → {now}" if was and now and was != now else box.times
    return replace(box, mark=sort, notes=tuple(lines), times=times)


def inside(word: str, said: Marks, blocks: Sequence[Block], count: Count) -> list[str]:
    """What is said of the steps in block instances: by name if that is short and the same in all, else how many."""
    told = {said.inside(block) for block in blocks}
    most = max(told, key=len, default=())
    if most and len(most) <= MOST_INSIDE and all(set(some) <= set(most) for some in told):
        return [f"{word}: {', '.join(most)}"]
    return [f"inside: {count} steps" if any(count) else "renamed inside"] * bool(most)


def noted(marks: Iterable[Mark]) -> list[str]:
    """The notes of several steps, a line for each thing that is otherwise."""
    found: dict[str, dict[Note, None]] = {}
    for mark in marks:
        for note in mark.notes:
            found.setdefault(note.what, {})[note] = None
    return [varied(what, [str(note) for note in notes]) for what, notes in found.items()]


def varied(what: str, told: Sequence[str]) -> str:
    """What is otherwise, where it may be otherwise in several ways."""
    first, *rest = [text.removeprefix(what).strip() for text in told]
    short = ", ".join([first, *rest]) if len(told) <= 2 else f"{first} … {rest[-1]}"
    return f"{what} {short}".strip()


def linked(mark: Sort, tail: Sort, head: Sort) -> Sort:
    """The mark of a connection: what a step that came or went reads and gives came or went with it."""
    return "removed" if "removed" in (tail, head) else "added" if "added" in (tail, head) else mark


def spanned(names: Sequence[str]) -> str:
    """Members of a repeat by their numbers: `6–22`."""
    if not names:
        return ""
    first, last = (name.rstrip(GONE).rpartition(".")[2] for name in (names[0], names[-1]))
    return first if first == last else f"{first}–{last}"
