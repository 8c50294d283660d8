"""A model as a piece of HTML, for notebooks: its picture, and a short table of its steps under it.

It is whole by itself, takes its colours from what is around it, and holds no name that a browser could take for more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from specbuild.diagram.svg_format import rules
from specbuild.diagram.text_metrics import shown
from specbuild.summary.rows import Row
from specbuild.summary.table import Table, number, short

MOST_ROWS = 40
HEADINGS = ("step", "op or block", "sizes", "parameters", "multiply-adds")
NUMBERS = HEADINGS[3:]

# How notebooks say that they are dark, or light, whatever the browser prefers.
THEMES = {
    "dark": ":is(body[data-jp-theme-light=false],body.vscode-dark,html[theme=dark])",
    "light": ":is(body[data-jp-theme-light=true],body.vscode-light,html[theme=light])",
}

# Colours of the text around, thinned: they hold on a light ground and on a dark one.
RULE = "border:0;border-bottom:1px solid rgba(128,128,128,.35)"
CELL = f"{RULE};padding:2px 12px 2px 0;background:transparent;color:inherit;white-space:nowrap"


def html(table: Table, picture: str) -> str:
    """The picture, an SVG or nothing, and the table."""
    rows = [row for row in table.rows if row.what != "input"]
    body = "".join(map(line, map(cells, rows[:MOST_ROWS])))
    if len(rows) > MOST_ROWS:
        body += line((f"{len(rows) - MOST_ROWS:,} more", "", "", "", ""))
    style = "".join(rules(theme, around) for theme, around in THEMES.items()) if picture else ""
    return (
        '<div class="specbuild" style="color:inherit;max-width:100%">'
        f"<style>{style}</style>{picture}"
        '<div style="overflow-x:auto"><table style="border-collapse:collapse;border:0;font-size:90%;margin:8px 0">'
        f"<thead>{line(HEADINGS, 'th')}</thead><tbody>{body}</tbody></table></div>"
        f"{''.join(told(table))}</div>"
    )


def cells(row: Row) -> tuple[str, ...]:
    macs = short(row.cost.macs) if row.cost.macs else ""
    return row.name, row.kind, row.output, number(row.cost.parameters), macs


def line(texts: Sequence[str], tag: str = "td") -> str:
    """A row of the table; numbers are set to the right."""
    made = []
    for text, heading in zip(texts, HEADINGS, strict=True):
        side = "right" if heading in NUMBERS else "left"
        made.append(f'<{tag} style="{CELL};text-align:{side}">{escape(shown(text, 80))}</{tag}>')
    return f'<tr style="background:transparent">{"".join(made)}</tr>'


def told(table: Table) -> Iterator[str]:
    """What the whole takes."""
    for text in table.totals:
        yield f'<p style="margin:4px 0;font-size:90%">{escape(shown(text, 400))}</p>'
