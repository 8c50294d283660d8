"""The examples run as they stand, each in a process of its own, on small images and for few steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"
SMALL = ["--size", "64", "--steps", "2"]
SMALL_KERAS = ["--size", "32", "--depths", "1", "1", "1", "1"]
EXAMPLES = {
    "torchvision_detection": (["torch", "torchvision"], SMALL),
    "segmentation_models": (["torch", "torchvision", "timm", "segmentation_models_pytorch"], SMALL),
    "timm_training": (["torch", "torchvision", "timm", "sklearn"], SMALL),
    "lightning_training": (["torch", "lightning", "sklearn"], SMALL),
    "huggingface_trainer": (["torch", "transformers", "accelerate", "sklearn"], SMALL),
    "keras_functional": (["keras", "tensorflow", "sklearn"], [*SMALL_KERAS, "--epochs", "2"]),
    "keras_litert": (["keras", "tensorflow"], SMALL_KERAS),
    "import_timm": (
        ["torch", "torchvision", "timm", "keras", "tensorflow"],
        ["--model", "test_resnet", "--size", "32", "--no-litert"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_runs(name: str) -> None:
    needed, arguments = EXAMPLES[name]
    lacking = [package for package in needed if find_spec(package) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    harness = ["-m", "tests.torchvision_operators"] if "torch" in needed else []
    done = subprocess.run(
        [sys.executable, *harness, FOLDER / f"{name}.py", *arguments],
        cwd=ROOT,
        env=os.environ
        | {"KERAS_BACKEND": "tensorflow", "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        | {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert not done.returncode, done.stdout + done.stderr


def test_the_table_names_every_example() -> None:
    table = set(
        re.findall(r"^\| \[`(\w+)\.py`\]\(\1\.py\)", (FOLDER / "README.md").read_text(), re.MULTILINE)
    )
    assert table == set(EXAMPLES) == {file.stem for file in FOLDER.glob("*.py")}
