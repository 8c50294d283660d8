"""Weights that have learned something, carried from PyTorch to Keras on every runtime and back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from specbuild.cli import main

PROGRAMS = Path(__file__).with_name("carried")
SPEC = str(PROGRAMS / "digits.yaml")
TRAIN = 1200
ACCURACY = 0.93  # of pictures by other writers than those trained on; 0.956 was measured
TOLERANCE = 1e-5  # float32: 8e-6 is the worst of all specs


def run(program: str, *arguments: str, folder: Path, **environment: str) -> None:
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, str(PROGRAMS / program), *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def apart(folder: Path, a: str, b: str) -> float:
    """The largest difference of two sets of logits over the largest logit; each picture is told the same digit."""
    x, y = np.load(folder / f"{a}.npy"), np.load(folder / f"{b}.npy")
    assert x.shape == y.shape == (1797 - TRAIN, 10)
    np.testing.assert_array_equal(x.argmax(1), y.argmax(1))
    return float(np.abs(x - y).max() / np.abs(x).max())


@pytest.mark.slow
def test_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from sklearn.datasets import load_digits

    def specbuild(*arguments: str) -> str:
        code = main([str(tmp_path / a) if (tmp_path / a).suffix and a != SPEC else a for a in arguments])
        said = capsys.readouterr()
        assert code == 0, said.out + said.err
        return said.out

    data = load_digits()
    images = (data.images / 16).astype("float32")
    np.savez(tmp_path / "digits.npz", images=images, digits=data.target, train=TRAIN)

    specbuild("compile", SPEC, "-b", "torch", "-o", "digit_net_torch.py")
    run("digits_torch.py", "train", "trained.pt", "trained.npy", folder=tmp_path)
    right = (np.load(tmp_path / "trained.npy").argmax(1) == data.target[TRAIN:]).mean()
    assert right > ACCURACY, f"{right:.3f} of the digits are told"

    specbuild("compile", SPEC, "-b", "keras", "-o", "digit_net_keras.py", "--with-weights-loader")
    for source, target in (
        ("trained.pt", "carried.safetensors"),
        ("carried.safetensors", "carried.weights.h5"),
        ("carried.safetensors", "carried.keras"),
    ):
        said = specbuild("weights", "convert", SPEC, source, "-o", target)
        assert said.startswith("29 of 29 matched, 0 new, 0 mismatched, 0 left over\n")
    for runtime in ("tensorflow", "jax", "torch"):
        task = "all" if runtime == "tensorflow" else "predict"
        run("digits_keras.py", task, folder=tmp_path, KERAS_BACKEND=runtime)
        assert apart(tmp_path, "trained", runtime) < TOLERANCE, runtime
    assert apart(tmp_path, "tensorflow", "archive") == 0
    assert apart(tmp_path, "tensorflow", "loader") == 0

    moved = np.load(tmp_path / "stepped.npy") - np.load(tmp_path / "tensorflow.npy")
    assert np.abs(moved).max() > 0.01  # it has learned more
    specbuild("weights", "convert", SPEC, "stepped.keras", "-o", "back.pt")
    run("digits_torch.py", "test", "back.pt", "back.npy", folder=tmp_path)
    assert apart(tmp_path, "stepped", "back") < TOLERANCE
