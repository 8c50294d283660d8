"""Two models in one picture: where drawing and comparing meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from specbuild.diagram import Detail, Look, draw
from specbuild.diagram.captions import short
from specbuild.diagram.diff_marks import Count
from specbuild.diff.compare import Comparison
from specbuild.diff.describe import arrow
from specbuild.diff.union import Union

MOST_PARAMS = 3  # that are told under the title


def picture(
    diff: Comparison,
    format: str = "svg",
    detail: Detail | None = None,
    look: Look | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> bytes:
    """The bytes of a file: svg, png, pdf, dot or mermaid. Raises SpecError, such as without Graphviz."""
    union = Union(diff)
    union.marks.facts = tuple(facts(diff))
    look = look or Look()
    if not look.title:
        names = dict.fromkeys(side.model.kind for side in (diff.before, diff.after))
        look = replace(look, title=" → ".join(names))
    return draw(union.model, union.costs, format, detail, look, log, union.marks)


def facts(diff: Comparison) -> Iterator[str]:
    """What is said under the title: how many steps, which parameters, what it all takes."""
    if diff.equal:
        yield "the same model"
    rewired = {path for path, found in diff.rewired.items() if not found.follows}
    count = Count(len(diff.added), len(diff.removed), len(rewired | set(diff.changed)))
    told = [f"{n:,} {word}" for word, n in count._asdict().items() if n]
    if told:
        yield f"steps: {', '.join(told)}"
    for change in diff.params[:MOST_PARAMS]:
        yield f"{change.what} {arrow(change).replace('->', '→')}"
    was, now = diff.costs
    for word, a, b in (
        ("parameters", was.parameters, now.parameters),
        ("multiply-adds a sample", was.macs, now.macs),
    ):
        yield f"{short(a)} → {short(b)} {word}" if short(a) != short(b) else f"{short(b)} {word}"
