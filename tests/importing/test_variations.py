"""The arguments that a class is made again with, and what a spec is spared by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.cli import main
from specbuild.importing.variations import list_variations

SOURCE = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, embedding=32, depth=2, ends=(4, 5)):
        super().__init__()
        ends = (*ends, 6)
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.body = nn.Sequential(*(nn.Conv2d(32, 32, 3, padding=1) for _ in range(depth)))
        self.project = nn.Linear(32 * 16, embedding)
        self.back = nn.Linear(embedding, 16 * embedding)

    def forward(self, image):
        return self.back(self.project(self.body(self.stem(image)).flatten(1)))
"""


def test_sizes_and_numbers_of_layers_are_others_and_sizes_of_inputs_stay() -> None:
    given = {
        "in_channels": 3,
        "width": 16,
        "dim": 64,
        "depths": [2, 2],
        "layers": 3,
        "num_heads": 4,
        "bias": True,
    }
    first, *_, last = list_variations(given | {"num_classes": 10}, {64})
    assert first == {"width": 32, "dim": 192, "depths": [3, 3], "layers": 5, "num_classes": 13}
    assert last == {"width": 32}
    assert list(list_variations({"num_heads": 4, "kernel_size": 3}, set())) == []


def test_a_number_that_is_equal_by_accident_stays_a_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The width of 32 is no `embedding`, which is 32 as well."""
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    output = tmp_path / "net.yaml"
    assert main(["import", f"{tmp_path / 'net.py'}:Net", "--input", "image=3x4x4", "-o", str(output)]) == 0
    text = output.read_text(encoding="utf-8")
    assert "conv: {channels: 32, kernel: 3}" in text
    assert "features: embedding}" in text
    assert "features: 16 * embedding}" in text
    assert "repeat: depth" in text
    assert "with embedding=64, depth=3" in capsys.readouterr().err
