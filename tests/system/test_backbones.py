"""The library's convolutional backbones: PyTorch against Keras, outputs and the gradients of every weight."""

from __future__ import annotations

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
    file, variant = CASES[name]
    return ParityCase(name, build_graph(BACKBONES / f"{file}.yaml", variant=variant), batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_both_files_compute_the_same(name: str, parity_of: ParityOf) -> None:
    report = parity_of(backbone_case)
    assert not report.error, report.error
    assert report.worst_relative < 1e-9, str(report)
