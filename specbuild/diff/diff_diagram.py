"""Draw two models in one picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from specbuild.diagram import DetailLevel, DrawingStyle, draw_model
from specbuild.diagram.captions import short_number
from specbuild.diagram.diff_marks import ChangeCount
from specbuild.diff.compare import Comparison
from specbuild.diff.describe import format_change
from specbuild.diff.merge_models import ModelMerger

MAX_PARAMS = 3  # shown under the title


def render_diff(
    diff: Comparison,
    format: str = "svg",
    detail: DetailLevel | None = None,
    look: DrawingStyle | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> bytes:
    """Return the picture as bytes: svg, html, png, pdf, dot or mermaid.

    Raises SpecError, for example without Graphviz.
    """
    merger = ModelMerger(diff)
    merger.marks.facts = tuple(subtitle_facts(diff))
    look = look or DrawingStyle()
    if not look.title:
        names = dict.fromkeys(side.model.name for side in (diff.before, diff.after))
        look = replace(look, title=" → ".join(names))
    return draw_model(merger.model, merger.step_cost, format, detail, look, log, merger.marks)


def subtitle_facts(diff: Comparison) -> Iterator[str]:
    """Yield the texts under the title: step counts, changed parameters, total sizes."""
    if diff.equal:
        yield "the same model"
    rewired = {path for path, found in diff.rewired.items() if not found.is_consequence}
    count = ChangeCount(len(diff.added), len(diff.removed), len(rewired | set(diff.changed)))
    counts = [f"{n:,} {unit}" for unit, n in count._asdict().items() if n]
    if counts:
        yield f"steps: {', '.join(counts)}"
    for change in diff.params[:MAX_PARAMS]:
        yield f"{change.subject} {format_change(change).replace('->', '→')}"
    before, after = diff.total_costs
    for unit, a, b in (
        ("parameters", before.parameters, after.parameters),
        ("multiply-adds per sample", before.macs, after.macs),
    ):
        yield (
            f"{short_number(a)} → {short_number(b)} {unit}"
            if short_number(a) != short_number(b)
            else f"{short_number(b)} {unit}"
        )
