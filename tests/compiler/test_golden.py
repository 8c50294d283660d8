"""Emitted files as a reviewer reads them: `tests/golden/<spec>/{torch,keras}.py`.

After a change that is meant: `SPECBUILD_UPDATE=1 python -m pytest tests/compiler/test_golden.py`, then read the difference.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from specbuild import load

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parents[1] / "golden"
BACKBONES = ROOT / "specbuild" / "library" / "backbones"
# Of the library's backbones those that are read most, and one for each way to write a family; the others have the same blocks.
READ = (
    "convnext",
    "mobilenet_v2",
    "resnet",
    "swin",
    "vit",
    "xception",
    "densenet",
    "inception_v3",
    "mobilenet_v3",
    "vgg",
)
SPECS = sorted([*(ROOT / "specs").glob("*.yaml"), *(BACKBONES / f"{name}.yaml" for name in READ)])


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_source(path: Path, backend: str) -> None:
    golden = GOLDEN / path.stem / f"{backend}.py"
    source = load(path).source(backend)
    if os.environ.get("SPECBUILD_UPDATE"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(source, encoding="utf-8")
    assert golden.read_text(encoding="utf-8") == source


def test_nothing_golden_is_left_over() -> None:
    assert {p.name for p in GOLDEN.iterdir()} == {p.stem for p in SPECS}


def test_bytes_are_the_same_on_every_run(tmp_path: Path) -> None:
    """Whatever the hash seed and the folder, and with either line ending."""
    spec = ROOT / "specs" / "gated_classifier.yaml"
    dos = tmp_path / "gated_classifier.yaml"
    dos.write_bytes(spec.read_bytes().replace(b"\n", b"\r\n"))
    found = set()
    for seed, path, folder in (("0", spec, ROOT), ("1", spec, tmp_path), ("2", dos, tmp_path)):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "specbuild", "compile", str(path), "--backend", "keras"]
        found.add(subprocess.run(command, env=env, cwd=folder, capture_output=True, check=True).stdout)
    assert len(found) == 1
