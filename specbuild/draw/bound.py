"""A panel of too many boxes, with runs of them told in one box each: what is drawn stays bounded."""

from __future__ import annotations

from dataclasses import replace

from specbuild.draw.metrics import shown
from specbuild.draw.view import Box, Link, Panel

MOST_BOXES = 150  # of one panel
SUMMARY_BOXES = 60


def bounded(panel: Panel, notes: list[str]) -> Panel:
    """A panel that can be laid out and read: runs of a chain too long are told in one box each."""
    if len(panel.boxes) <= MOST_BOXES:
        return panel
    pieces = chain(panel)
    size = max(2, -(-len(panel.boxes) // SUMMARY_BOXES))
    boxes: list[Box] = []
    into: dict[str, str] = {}
    run: list[Box] = []

    def close() -> None:
        if not run:
            return
        merged = run[0] if len(run) == 1 else summary(run)
        key = f"n{len(boxes)}"
        boxes.append(replace(merged, key=key))
        into.update({box.key: key for box in run})
        run.clear()

    for piece in pieces:
        if any(box.form in ("input", "output", "port") for box in piece):
            close()
            for box in piece:
                run.append(box)
                close()
            continue
        run += piece
        if len(run) >= size:
            close()
    close()
    links: dict[tuple[str, str, str], Link] = {}
    for link in panel.links:
        tail, head = into[link.tail], into[link.head]
        if tail != head:
            links.setdefault((tail, head, link.label), replace(link, tail=tail, head=head))
    notes.append(
        f"{panel.title}: {len(panel.boxes)} boxes are told in {len(boxes)}; `--open` shows one block"
    )
    return replace(panel, boxes=tuple(boxes), links=tuple(links.values()), opens=())


def summary(run: list[Box]) -> Box:
    """Several steps in one box."""
    steps = tuple(s for box in run for s in box.steps)
    first, last = run[0], run[-1]
    return Box(
        "",
        "card",
        "block",
        f"{len(steps)} steps",
        detail=f"{shown(first.name or first.title, 24)} … {shown(last.name or last.title, 24)}",
        sizes=last.sizes,
        type=last.type,
        parameters=sum(b.parameters for b in run),
        macs=sum(b.macs for b in run),
        steps=steps,
        at=first.at,
    )


def chain(panel: Panel) -> list[list[Box]]:
    """Boxes in order, in pieces between which a single value passes."""
    order = {box.key: i for i, box in enumerate(panel.boxes)}
    reach = [0] * len(panel.boxes)
    for link in panel.links:
        reach[order[link.tail]] = max(reach[order[link.tail]], order[link.head])
    pieces: list[list[Box]] = []
    current: list[Box] = []
    furthest = 0
    crossing: list[int] = []
    for i, box in enumerate(panel.boxes):
        current.append(box)
        crossing = [j for j in [*crossing, i] if reach[j] > i]
        furthest = max(furthest, reach[i])
        if len(crossing) <= 1:
            pieces.append(current)
            current = []
    return [*pieces, current] if current else pieces
