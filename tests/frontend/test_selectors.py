"""Selectors: which paths they mean, and that they cost little."""

from __future__ import annotations

import re

import pytest

from specbuild.frontend.selectors import SELECTOR_PATTERN, parse_selector
from tests.cpu_time import measure_cpu_time


def means(selector: str, path: str) -> bool:
    """Whether a selector means a path, whose names may say what they are: `layer1.0.act:relu`."""
    found = parse_selector(selector)
    states = found.start_states
    for part in path.split("."):
        name, _, kind = part.partition(":")
        states = found.next_states(states, (name,), kind)
    return found.is_match(states)


MEANT = {
    "fc": ("fc", "fc2 a.fc fc.a"),
    "layer*": ("layer layer1 layer12", "slayer layer1.0"),
    "layer[1-3]": ("layer1 layer3", "layer0 layer4 layer13 layer"),
    "layer[2,10-12].bn": ("layer2.bn layer10.bn layer12.bn", "layer1.bn layer13.bn layer0.bn"),
    "layer1.*": ("layer1.0 layer1.conv", "layer1 layer1.0.conv"),
    "layer1.*.bn3": ("layer1.0.bn3", "layer1.bn3 layer1.0.0.bn3"),
    "**.bn3": ("bn3 a.bn3 a.b.bn3", "bn a.bn3.b"),
    "a.**": ("a.b a.b.c", "a b.a"),
    "**": ("a a.b", ""),
    "a.**.b.*": ("a.b.c a.x.b.c a.b.b.b a.b.x.b.c", "a.b b.c a.b.c.d"),
    "*:relu": ("x:relu", "relu x:gelu a.x:relu"),
    "**:relu": ("x:relu a.x:relu", "relu a:relu.x"),
    "**:Unit.norm": ("a:Unit.norm a.b:Unit.norm", "norm a.norm a:Unit.b.norm"),
    "bn*[1-2]": ("bn1 bn_a2", "bn3 bn"),
    "a*b*b": ("abb aabxb abbb", "ab aba bab"),
    "*a[1-3]*a": ("a1a xa3_a a9a2a", "a12a a1 aa a4a"),
    "*a*": ("a ba ab bab", "b"),
}


@pytest.mark.parametrize("selector", MEANT)
def test_what_a_selector_means(selector: str) -> None:
    assert re.match(SELECTOR_PATTERN, selector)
    those, others = MEANT[selector]
    assert [path for path in those.split() if not means(selector, path)] == []
    assert [path for path in others.split() if means(selector, path)] == []


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "a b", "[1", "[a]", "a[]", "a:", ":relu", "a[3-]"]
)
def test_what_is_no_selector(text: str) -> None:
    assert not re.match(SELECTOR_PATTERN, text)


def test_no_selector_takes_long() -> None:
    with measure_cpu_time() as taken:
        assert not means("*a" * 2000, "a" * 63 + "b")
        assert not means(".".join(["**"] * 63) + ".b", ".".join(["a"] * 60))
        assert not re.match(SELECTOR_PATTERN, "a" * 4000 + "!")
    assert taken.seconds < 2
