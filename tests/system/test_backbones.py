"""The library's convolutional backbones: PyTorch against Keras, outputs and the gradients of every weight."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.parity.compare import ParityCase
from tests.parity_runner import ParityOf

BACKBONES = Path(__file__).parents[2] / "specbuild" / "library" / "backbones"
CASES = {
    "resnet18": ("resnet", "resnet18"),
    "resnext50_32x4d": ("resnet", "resnext50_32x4d"),
    "mobilenet_v2": ("mobilenet_v2", None),
    "xception": ("xception", None),
}


def backbone_case(name: str) -> ParityCase:
    """The whole network on a picture of 96x96, whose last map has nine places: larger ones only take longer."""
    file, variant = CASES[name]
    text, count = re.subn(r"H: (224|299), W: \1\b", "H: 96, W: 96", (BACKBONES / f"{file}.yaml").read_text())
    assert count == 1
    return ParityCase(name, build_graph(text, variant=variant), batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_both_files_compute_the_same(name: str, parity_of: ParityOf) -> None:
    report = parity_of(backbone_case)
    assert not report.error, report.error
    assert report.worst_relative < 1e-9, str(report)
