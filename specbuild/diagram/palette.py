"""Colours: one light and one dark value for each token, and the kind of op that each family belongs to.

The strokes of different kinds look different to colour-blind readers, and all text has enough contrast on
every fill; a test computes both. Colour is never the only sign of a meaning.
"""

from __future__ import annotations

from typing import NamedTuple


class Tone(NamedTuple):
    """One token in both themes."""

    light: str
    dark: str


TOKENS = {
    "page": Tone("#ffffff", "#0d1117"),
    "panel": Tone("#f8fafc", "#151b24"),
    "frame": Tone("#cbd5e1", "#3a4556"),
    "port": Tone("#e9eef5", "#273142"),
    "ink": Tone("#0f172a", "#e6edf3"),
    "soft": Tone("#3f4c5f", "#c0cad6"),
    "mute": Tone("#5a6779", "#9aa7b8"),
    "edge": Tone("#52617a", "#8794a6"),
    "badge": Tone("#334155", "#dbe4ee"),
    "badge_ink": Tone("#fffffe", "#0d1116"),
    "pill": Tone("#0f172b", "#e6edf4"),
    "pill_ink": Tone("#fffffd", "#0d1118"),
    "pill_soft": Tone("#cbd5e0", "#475569"),
    "shared": Tone("#79560b", "#ebd372"),
    "track": Tone("#e2e8f0", "#2c3646"),
}

# For each kind of op: the line and the fill of its box.
STROKES = {
    "convolution": Tone("#1c2fcf", "#96c0fe"),
    "linear": Tone("#9070ee", "#c732f6"),
    "attention": Tone("#d91e90", "#f23438"),
    "elementwise": Tone("#c38305", "#ff8619"),
    "pooling": Tone("#169ec3", "#2186a5"),
    "fusion": Tone("#065c34", "#5feaaa"),
    "norm": Tone("#454856", "#cfd6e5"),
    "layout": Tone("#9a8c72", "#858279"),
    "weight": Tone("#79560a", "#ebd371"),
    "block": Tone("#475568", "#94a3b9"),
}
FILLS = {
    "convolution": Tone("#eef2ff", "#232d3c"),
    "linear": Tone("#f6f3ff", "#2b163b"),
    "attention": Tone("#fdf1f8", "#32171c"),
    "elementwise": Tone("#fffaeb", "#342417"),
    "pooling": Tone("#ecfbff", "#10242e"),
    "fusion": Tone("#ecfbf4", "#1a342f"),
    "norm": Tone("#f2f5f9", "#2c3138"),
    "layout": Tone("#faf8f4", "#202327"),
    "weight": Tone("#fdf9e7", "#313025"),
    "block": Tone("#fefefe", "#1a212c"),
}

# For each type of change in a diagram of two models: the line and the fill of a box.
CHANGE_STROKES = {
    "added": Tone("#00796b", "#5eead4"),
    "removed": Tone("#a11035", "#ff5c7c"),
    "changed": Tone("#8a6a00", "#f6c453"),
    "renamed": Tone("#3f37c9", "#9d94ff"),
    "inside": Tone("#8a6a00", "#f6c453"),
}
CHANGE_FILLS = {
    "added": Tone("#e9f7f4", "#0e2a27"),
    "removed": Tone("#fdf1f4", "#2f151b"),
    "changed": Tone("#fff8e1", "#2e2510"),
    "renamed": Tone("#f2f2fe", "#1c1b36"),
    "inside": Tone("#fffffc", "#0d1115"),
}

# For each family of ops (`family` in specbuild.ops): its kind, and its name in the legend.
FAMILIES = {
    "convolution": ("convolution", "convolution"),
    "linear": ("linear", "linear"),
    "recurrent": ("linear", "recurrent"),
    "attention": ("attention", "attention"),
    "activation": ("elementwise", "activation"),
    "math": ("elementwise", "arithmetic"),
    "logic": ("elementwise", "logic"),
    "pooling": ("pooling", "pooling"),
    "reduction": ("pooling", "reduction"),
    "resize": ("pooling", "resampling"),
    "merge": ("fusion", "fusion"),
    "contraction": ("fusion", "contraction"),
    "fourier": ("linear", "Fourier transform"),
    "norm": ("norm", "normalisation"),
    "dropout": ("norm", "dropout"),
    "shape": ("layout", "reshape"),
    "arrangement": ("layout", "arrangement"),
    "neighbourhood": ("layout", "neighbourhood"),
    "index": ("layout", "lookup"),
    "weight": ("weight", "learned tensor"),
    "table": ("weight", "constant"),
}


def op_kind(family: str) -> str:
    """Return the kind of an op of this family. A plugin's own family has the colours of a block."""
    return FAMILIES.get(family, ("block", family))[0]


def find_tone(token: str) -> Tone:
    """Return the colours of a token: a key of `TOKENS`, or `line:KIND`, `fill:KIND`, `mark:CHANGE`, `wash:CHANGE`."""
    part, _, kind = token.partition(":")
    if part == "line":
        return STROKES[kind]
    if part == "fill":
        return FILLS[kind]
    if part == "mark":
        return CHANGE_STROKES[kind]
    if part == "wash":
        return CHANGE_FILLS[kind]
    return TOKENS[token]


def find_colour(token: str, is_dark: bool) -> str:
    return find_tone(token).dark if is_dark else find_tone(token).light


def list_tokens() -> list[str]:
    """Return all tokens that have colours."""
    kinds = [*(f"line:{kind}" for kind in STROKES), *(f"fill:{kind}" for kind in FILLS)]
    changes = [
        *(f"mark:{change}" for change in CHANGE_STROKES),
        *(f"wash:{change}" for change in CHANGE_FILLS),
    ]
    return [*TOKENS, *kinds, *changes]
