"""Sizes that can be any, in pictures of every format."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from specbuild import load

FREE = """specbuild: 1
model: Tagger
inputs: {tokens: {T: any, C: 8}, image: {C: 3, H: any, W: 32}}
blocks:
  Layer:
    inputs: {x: [T, C]}
    steps:
      - conv: {channels: HIDDEN, kernel: 1}
        as: wide
      - conv: {channels: x.C, kernel: 1}
steps:
  - Layer:
    from: tokens
    repeat: 2
    as: body
  - linear: {features: 5}
    as: tags
  - conv: {channels: 8, stride: 2}
    from: image
    as: stem
outputs: {tags: tags, map: stem}
"""


@pytest.mark.parametrize("suffix", ["svg", "html", "dot", "mmd"])
def test_a_size_that_can_be_any_bears_a_star(tmp_path: Path, suffix: str) -> None:
    """In inputs, outputs, steps and blocks inside, with its meaning; a fixed size has none."""
    load(FREE.replace("HIDDEN", "16")).draw(tmp_path / f"net.{suffix}")
    text = (tmp_path / f"net.{suffix}").read_text().replace("#42;", "*")
    assert "this size can be any" in text
    for size in ("16*", "64*", "32*"):
        assert size in text
    assert not re.search(r"W</tspan> *<tspan[^>]*>32\*|W 32\*|W 16\*|C 8\*", text)


def test_only_a_model_with_such_sizes_explains_the_star(tmp_path: Path) -> None:
    load(FREE.replace("HIDDEN", "16").replace("any", "16")).draw(tmp_path / "net.dot")
    assert "*" not in (tmp_path / "net.dot").read_text()


def test_a_difference_shows_the_star_in_all_panels(tmp_path: Path) -> None:
    before, after = (load(FREE.replace("HIDDEN", hidden)) for hidden in ("16", "24"))
    before.diff(after).draw(tmp_path / "d.dot")
    text = (tmp_path / "d.dot").read_text()
    assert "this size can be any" in text
    assert not re.search(r"\bT 16(?!\*)", text) and text.count("T 16*") >= 4
