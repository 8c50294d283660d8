"""Colours: text has contrast (as WCAG 2 asks: 7, or 4.5 for small print, 3 for lines), kinds stay apart in print, for colour-blind readers and in the dark."""

from __future__ import annotations

from itertools import combinations

import pytest

from specbuild.diagram.palette import CHANGE_FILLS, CHANGE_STROKES, FAMILIES, FILLS, STROKES, TOKENS, op_kind
from specbuild.ops import OPS

# Machado, Oliveira and Fernandes 2009, severity 1: what each reader sees of linear RGB.
SEEN = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protan": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
THEMES = ("light", "dark")
KINDS = [kind for kind in STROKES if kind != "block"]


def linear(colour: str) -> tuple[float, float, float]:
    def channel(i: int) -> float:
        c = int(colour[i : i + 2], 16) / 255
        return c / 12.92 if c <= 0.04045 else float(((c + 0.055) / 1.055) ** 2.4)

    return channel(1), channel(3), channel(5)


def contrast(a: str, b: str) -> float:
    light, dark = sorted(
        (sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(x), strict=True)) for x in (a, b)),
        reverse=True,
    )
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, reader: str) -> tuple[float, float, float]:
    rgb = linear(colour)
    r, g, b = (min(1, max(0, sum(w * c for w, c in zip(row, rgb, strict=True)))) for row in SEEN[reader])
    x = (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047
    y = 0.2126 * r + 0.7152 * g + 0.0722 * b
    z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883

    def f(t: float) -> float:
        return float(t ** (1 / 3)) if t > 0.008856 else 7.787 * t + 16 / 116

    return 116 * f(y) - 16, 500 * (f(x) - f(y)), 200 * (f(y) - f(z))


def difference(a: str, b: str, reader: str) -> float:
    """CIE 1976."""
    return float(sum((p - q) ** 2 for p, q in zip(lab(a, reader), lab(b, reader), strict=True)) ** 0.5)


@pytest.mark.parametrize("reader", SEEN)
@pytest.mark.parametrize("theme", THEMES)
def test_kinds_stay_apart(theme: str, reader: str) -> None:
    strokes = {kind: getattr(STROKES[kind], theme) for kind in KINDS}
    close = {
        (a, b): round(d, 1)
        for a, b in combinations(strokes, 2)
        if (d := difference(strokes[a], strokes[b], reader)) < 20
    }
    assert not close


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("ink", "least"), [("ink", 7), ("soft", 7), ("mute", 4.5)])
def test_text_has_contrast_on_every_fill(theme: str, ink: str, least: float) -> None:
    grounds = {name: getattr(TOKENS[name], theme) for name in ("page", "panel", "port")}
    grounds |= {kind: getattr(fill, theme) for kind, fill in FILLS.items()}
    text = getattr(TOKENS[ink], theme)
    assert not {name: c for name, ground in grounds.items() if (c := contrast(text, ground)) < least}


@pytest.mark.parametrize("theme", THEMES)
def test_lines_have_contrast(theme: str) -> None:
    page = getattr(TOKENS["page"], theme)
    lines = {kind: getattr(stroke, theme) for kind, stroke in STROKES.items()}
    lines["edge"] = getattr(TOKENS["edge"], theme)
    assert not {kind: c for kind, line in lines.items() if (c := contrast(line, page)) < 3}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("ink", "ground"), [("badge_ink", "badge"), ("pill_ink", "pill"), ("pill_soft", "pill")]
)
def test_text_on_pills_has_contrast(theme: str, ink: str, ground: str) -> None:
    assert contrast(getattr(TOKENS[ink], theme), getattr(TOKENS[ground], theme)) >= 4.5


def test_every_family_has_a_kind() -> None:
    assert {op.family for op in OPS.values()} <= set(FAMILIES)
    assert {kind for kind, _ in FAMILIES.values()} == set(STROKES) - {"block"} == set(FILLS) - {"block"}
    assert op_kind("a plugin's own") == "block"


@pytest.mark.parametrize("theme", THEMES)
def test_marks_of_two_models_have_contrast(theme: str) -> None:
    """Notes and signs are in the colour of a mark, on its own ground or on the page, and the other way round."""
    page = getattr(TOKENS["page"], theme)
    for sort, tone in CHANGE_STROKES.items():
        mark, wash = getattr(tone, theme), getattr(CHANGE_FILLS[sort], theme)
        assert contrast(mark, page) >= 4.5 and contrast(mark, wash) >= 4.5, sort
        for ink, least in (("ink", 7), ("soft", 7), ("mute", 4.5)):
            assert contrast(getattr(TOKENS[ink], theme), wash) >= least, (sort, ink)


@pytest.mark.parametrize("reader", SEEN)
@pytest.mark.parametrize("theme", THEMES)
def test_added_removed_and_changed_stay_apart(theme: str, reader: str) -> None:
    lines = {sort: getattr(CHANGE_STROKES[sort], theme) for sort in CHANGE_STROKES if sort != "inside"}
    close = {
        (a, b): round(d, 1)
        for a, b in combinations(lines, 2)
        if (d := difference(lines[a], lines[b], reader)) < 20
    }
    assert not close
