"""Hints for unknown names, and lists of names in messages."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from specbuild.diagnostics.errors import closest_match, is_one_typo

MAX_LISTED = 16
SUGGESTION_START = "did you mean "


def suggest_name(word: str, known: Iterable[str], introduction: str = "", otherwise: str = "") -> str:
    """Return the hint for an unknown name: the known name that is closest to `word`.

    If none is close, the hint is the introduction with the known names, such as `its inputs are a and b`.
    Without an introduction, or if no names are known, it is `otherwise`.
    """
    names = list(known)
    if suggestion := format_suggestion(closest_match(word, names)):
        return suggestion
    if introduction and names:
        return f"{introduction} {list_some(names)}"
    return otherwise


def suggest_own_name(word: str, own: Iterable[str]) -> str:
    """Return the hint if a name of the same file differs from `word` by one letter, else an empty hint."""
    return format_suggestion(closest_match(word, (name for name in own if is_one_typo(word, name))))


def format_suggestion(name: str | None) -> str:
    """Return the hint that suggests a name, or an empty hint for None."""
    return f"{SUGGESTION_START}{name!r}?" if name else ""


def is_suggestion(hint: str) -> bool:
    return hint.startswith(SUGGESTION_START)


def list_some(names: Iterable[str]) -> str:
    """Join names for a message; show at most MAX_LISTED of them."""
    shown = list(islice(names, MAX_LISTED + 1))
    return ", ".join([*shown[:MAX_LISTED], "..."]) if len(shown) > MAX_LISTED else join_names(shown)


def join_names(names: Iterable[str]) -> str:
    """Join names for a message: `C, H and W`, or `none`."""
    *rest, last = list(names) or ["none"]
    return f"{', '.join(rest)} and {last}" if rest else last
