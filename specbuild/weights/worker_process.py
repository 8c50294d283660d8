"""A framework in a process of its own, asked to read or write one file of weights."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from specbuild.diagnostics.errors import SpecError
from specbuild.runtimes import subprocess_env as apart
from specbuild.runtimes.live import missing
from specbuild.weights import safetensors_files as files
from specbuild.weights.safetensors_files import Entries, Kind

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

RUNTIMES = ("jax", "tensorflow", "torch")  # what Keras can run on, the quickest to start first
LIMIT = 1800  # seconds


@dataclass(frozen=True)
class Program:
    """An emitted Keras file: its text, the model's name in it, and what the model must be given."""

    text: str
    model: str
    arguments: Mapping[str, Any]


def read(path: Path, kind: Kind, program: Program | None = None) -> Entries:
    """What a file of a framework holds. With the emitted `program`, names in Keras' files are paths of variables."""
    require(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        job = {"do": "read", "kind": kind, "file": str(path.resolve()), **told(program, folder)}
        try:
            done = ask(folder, kind, job)
        except subprocess.TimeoutExpired:
            raise files.corrupt(path, f"reading it took longer than {LIMIT} s") from None
        fault = result(folder)
        if fault is None:  # the reader itself was ended by the file
            last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise files.corrupt(path, f"reading it failed: {last}")
        if "fault" in fault:
            raise files.corrupt(path, fault["fault"], fault.get("hint", ""))
        return files.read(folder / "out.safetensors")


def write(path: Path, kind: Kind, values: Mapping[str, Array], program: Program | None = None) -> None:
    """Write a framework's file of weights, by the framework's own names."""
    require(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        files.write(folder / "in.safetensors", values, {})
        made = {"torch": "out.pt", "h5": "out.weights.h5", "keras": "out.keras"}[kind]
        done = ask(folder, kind, {"do": "write", "kind": kind, "name": made, **told(program, folder)})
        if result(folder) is None:
            raise RuntimeError(f"writing {kind} failed: {done.stderr[-2000:]}")
        path.write_bytes((folder / made).read_bytes())


def told(program: Program | None, folder: Path) -> dict[str, Any]:
    """What a job says of the emitted file, which is put beside it."""
    if program is None:
        return {}
    source = folder / "emitted.py"
    source.write_text(program.text, encoding="utf-8")
    return {"source": str(source), "model": program.model, "arguments": dict(program.arguments)}


def ask(folder: Path, kind: Kind, job: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the worker on a job."""
    (folder / "job.json").write_text(json.dumps(job))
    framework = "torch" if kind == "torch" else "keras"
    env = {**apart.importing(os.environ), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if kind != "torch":
        env["KERAS_BACKEND"] = runtime()
    command = apart.command(f"specbuild.backends.{framework}.weights_worker", str(folder))
    return subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=LIMIT)


def result(folder: Path) -> dict[str, str] | None:
    """What the worker left, if it came to its end."""
    path = folder / "result.json"
    found: dict[str, str] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def require(kind: Kind, model: bool) -> None:
    """SB603 unless what a kind of file needs is installed."""
    numbers()
    if kind == "torch" and find_spec("torch") is None:
        raise missing("torch", "torch")
    if kind in ("h5", "keras"):
        if find_spec("h5py") is None:
            raise missing("keras", "keras")
        if model and find_spec("keras") is None:
            raise missing("keras", "keras")
        runtime()


def numbers(what: str = "weights need", extras: str = "weights") -> None:
    """SB603 unless there are numpy and safetensors, which every file of weights needs."""
    for package in ("numpy", "safetensors"):
        if find_spec(package) is None:
            raise SpecError(
                "SB603",
                f"{what} {package}, which is not installed",
                hint=f"in a checkout of specbuild: pip install '.[{extras}]'",
            )


def runtime() -> str:
    """What Keras is to run on: the user's choice, else the first that is installed."""
    wanted = os.environ.get("KERAS_BACKEND")
    found = [name for name in ((wanted,) if wanted in RUNTIMES else RUNTIMES) if find_spec(name)]
    if not found:
        raise missing("keras", wanted if wanted in RUNTIMES else "one of tensorflow, jax and torch")
    return found[0]
