"""Tables on a terminal: names are folded where it is narrow, and no number or verdict is ever cut."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from specbuild.cli.terminal import plain_console

if TYPE_CHECKING:
    from rich.text import Text

GAP = 2  # between columns
LEAST_FOLDED = 12  # the least width of a column that is folded


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[Text]],
    styles: Sequence[str],
    *,
    numbers: Collection[int],
    folded: Collection[int],
) -> None:
    """Print a table with a style for each row. The columns `folded` give way if the terminal is too narrow.

    If that is not enough, the lines are longer than the terminal, which breaks them.
    """
    from rich import box
    from rich.table import Table

    console = plain_console()
    table = Table(
        box=box.SIMPLE_HEAD, header_style="bold", show_edge=False, pad_edge=False, padding=(0, 1, 0, 0)
    )
    least = GAP * (len(headings) - 1)
    for i, heading in enumerate(headings):
        width = max(len(heading), *(row[i].cell_len for row in rows)) if rows else len(heading)
        least += min(width, LEAST_FOLDED) if i in folded else width
        table.add_column(
            heading, justify="right" if i in numbers else "left", no_wrap=i not in folded, overflow="fold"
        )
    for row, style in zip(rows, styles, strict=True):
        table.add_row(*row, style=style)
    console.width = max(console.width, least)
    console.print(table, "", soft_wrap=False)
