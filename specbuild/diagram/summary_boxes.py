"""Shortens panels of many boxes: a summary box stands for a run of boxes."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, islice

from msgspec.structs import replace

from specbuild.diagram.text_metrics import display_text
from specbuild.diagram.view_model import Box, Link, Panel

MAX_BOXES = 150  # of one panel
SUMMARY_BOXES = 60  # about how many boxes a shortened panel has
MAX_SEPARATE_BOXES = (
    400  # of a panel whose boxes are not a chain, so that a box cannot summarize consecutive ones
)
MAX_LINKS = 600  # of a panel
MAX_DIFF_BOXES = 14  # of a panel in a diagram of two models; beyond it, unchanged runs are summarized
MIN_RUN = 3  # boxes that a summary box stands for, at least
END_FORMS = ("input", "output", "port")


def limit_boxes(panel: Panel, notes: list[str]) -> Panel:
    """Return a panel without too many boxes.

    A longer one is summarized, and a note is appended to `notes`.
    """
    if len(panel.boxes) <= MAX_BOXES and len(panel.links) <= MAX_LINKS:
        return panel
    size = max(2, -(-len(panel.boxes) // SUMMARY_BOXES))
    merged = merge_runs(panel, list_chain_runs(panel, size))
    if len(merged.boxes) > MAX_SEPARATE_BOXES or len(merged.links) > MAX_LINKS:
        merged = merge_runs(panel, list_even_runs(panel, size))
    notes.append(
        f"{panel.title}: {len(panel.boxes)} boxes are drawn as {len(merged.boxes)}; `--open` shows one block"
    )
    return replace(merged, opened_panels=())


def list_chain_runs(panel: Panel, size: int) -> list[list[Box]]:
    """Return runs of about so many boxes, between which only one value passes. Inputs and outputs stay alone."""
    runs: list[list[Box]] = [[]]
    for piece in split_chain(panel):
        if any(box.form in END_FORMS for box in piece):
            runs += [*([box] for box in piece), []]
            continue
        runs[-1] += piece
        if len(runs[-1]) >= size:
            runs.append([])
    return runs


def list_even_runs(panel: Panel, size: int) -> list[list[Box]]:
    """Return runs of so many boxes of one form, with inputs and outputs, however many values pass between the runs."""
    heads = {link.head for link in panel.links}
    runs: list[list[Box]] = []
    for _, group in groupby(panel.boxes, lambda box: box.form in END_FORMS and (box.form, box.key in heads)):
        while run := list(islice(group, size)):
            runs.append(run)
    return runs


def condense_unchanged(panel: Panel) -> Panel:
    """Return a panel of two models with summaries of unchanged boxes.

    Boxes next to a change keep their own box.
    """
    if len(panel.boxes) <= MAX_DIFF_BOXES:
        return panel
    marked = {box.key for box in panel.boxes if box.change or box.form in END_FORMS}
    marked |= {key for link in panel.links if link.change for key in (link.tail, link.head)}
    near = set(marked)
    for link in panel.links:
        if marked & {link.tail, link.head}:
            near |= {link.tail, link.head}
    runs: list[list[Box]] = [[]]
    for piece in split_chain(panel):
        if any(box.key in near for box in piece):
            runs += [*([box] for box in piece), []]
        else:
            runs[-1] += piece
    parts = (part for run in runs for part in ([run] if len(run) >= MIN_RUN else [[box] for box in run]))
    return merge_runs(panel, list(parts))


def merge_runs(panel: Panel, runs: list[list[Box]]) -> Panel:
    """Return a panel in which each run of boxes is one box."""
    boxes: list[Box] = []
    new_keys: dict[str, str] = {}
    for run in filter(None, runs):
        key = f"n{len(boxes)}"
        boxes.append(replace(run[0] if len(run) == 1 else summary_box(run), key=key))
        new_keys.update({box.key: key for box in run})
    links: dict[tuple[str, str, str], Link] = {}
    for link in panel.links:
        tail, head = new_keys[link.tail], new_keys[link.head]
        if tail != head:
            links.setdefault((tail, head, link.label), replace(link, tail=tail, head=head))
    return replace(panel, boxes=tuple(boxes), links=tuple(links.values()))


def summary_box(run: list[Box]) -> Box:
    """Return the box that stands for several others."""
    steps = tuple(s for box in run for s in box.steps)
    first, last = run[0], run[-1]
    is_end = first.form in END_FORMS
    return Box(
        "",
        first.form if is_end else "card",
        first.kind if is_end else "block",
        f"{len(run)} {first.form}s" if is_end else f"{len(steps)} steps",
        detail=f"{display_text(first.name or first.title, 24)} … {display_text(last.name or last.title, 24)}",
        sizes=last.sizes,
        type=last.type,
        parameters=sum(b.parameters for b in run),
        macs=sum(b.macs for b in run),
        steps=steps,
        at=first.at,
    )


def split_chain(panel: Panel) -> list[list[Box]]:
    """Return the boxes of a panel in order, cut wherever only one value passes from one piece to the next."""
    order = {box.key: i for i, box in enumerate(panel.boxes)}
    reach = [0] * len(panel.boxes)  # for each box: the last box that reads its value
    for link in panel.links:
        reach[order[link.tail]] = max(reach[order[link.tail]], order[link.head])
    pieces: list[list[Box]] = []
    current: list[Box] = []
    ends = Counter(last for i, last in enumerate(reach) if last > i)
    crossing = 0  # boxes so far whose value a later box reads
    for i, box in enumerate(panel.boxes):
        current.append(box)
        crossing += (reach[i] > i) - ends[i]
        if crossing <= 1:
            pieces.append(current)
            current = []
    return [*pieces, current] if current else pieces
