"""HTML of a model for notebooks: its picture and a short table of its steps.

The HTML loads nothing, takes its colours from the page around it, and has all names escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from specbuild.diagram.svg_format import theme_rules
from specbuild.diagram.text_metrics import display_text
from specbuild.summary.rows import SummaryRow
from specbuild.summary.table import SummaryTable, format_count, format_quantity

MAX_ROWS = 40
HEADINGS = ("step", "op or block", "sizes", "parameters", "multiply-adds")
NUMBERS = HEADINGS[3:]

# Selectors of notebooks with a dark or a light theme, whatever the browser prefers.
THEMES = {
    "dark": ":is(body[data-jp-theme-light=false],body.vscode-dark,html[theme=dark])",
    "light": ":is(body[data-jp-theme-light=true],body.vscode-light,html[theme=light])",
}

# A transparent grey is visible on a light and on a dark background.
RULE = "border:0;border-bottom:1px solid rgba(128,128,128,.35)"
CELL = f"{RULE};padding:2px 12px 2px 0;background:transparent;color:inherit;white-space:nowrap"


def summary_html(table: SummaryTable, picture: str) -> str:
    """Return the picture, an SVG or "", and the table."""
    rows = [row for row in table.rows if row.kind != "input"]
    body = "".join(map(html_row, map(html_cells, rows[:MAX_ROWS])))
    if len(rows) > MAX_ROWS:
        body += html_row((f"{len(rows) - MAX_ROWS:,} more", "", "", "", ""))
    style = "".join(theme_rules(theme, selector) for theme, selector in THEMES.items()) if picture else ""
    return (
        '<div class="specbuild" style="color:inherit;max-width:100%">'
        f"<style>{style}</style>{picture}"
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;border:0;font-size:90%;margin:8px 0">'
        f"<thead>{html_row(HEADINGS, 'th')}</thead><tbody>{body}</tbody></table></div>"
        f"{''.join(total_paragraphs(table))}</div>"
    )


def html_cells(row: SummaryRow) -> tuple[str, ...]:
    macs = format_quantity(row.cost.macs) if row.cost.macs else ""
    return row.name, row.kind_and_count, row.marked_output, format_count(row.cost.parameters), macs


def html_row(texts: Sequence[str], tag: str = "td") -> str:
    """Return a row of the table; numbers are aligned right."""
    cells = []
    for text, heading in zip(texts, HEADINGS, strict=True):
        side = "right" if heading in NUMBERS else "left"
        cells.append(f'<{tag} style="{CELL};text-align:{side}">{escape(display_text(text, 80))}</{tag}>')
    return f'<tr style="background:transparent">{"".join(cells)}</tr>'


def total_paragraphs(table: SummaryTable) -> Iterator[str]:
    """Yield the lines of totals as paragraphs."""
    for text in table.total_lines:
        yield f'<p style="margin:4px 0;font-size:90%">{escape(display_text(text, 400))}</p>'
