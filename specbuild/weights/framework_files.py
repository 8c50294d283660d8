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
from specbuild.runtimes.live_model import missing_package
from specbuild.weights import safetensors_files as files
from specbuild.weights.safetensors_files import FileKind, WeightFile

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

KERAS_RUNTIMES = ("jax", "tensorflow", "torch")  # what Keras can run on, the quickest to start first
TIMEOUT = 1800  # seconds


@dataclass(frozen=True)
class KerasProgram:
    """An emitted Keras file: its text, the model's name in it, and what the model must be given."""

    text: str
    model: str
    arguments: Mapping[str, Any]


def read_framework_file(path: Path, kind: FileKind, program: KerasProgram | None = None) -> WeightFile:
    """What a file of a framework holds. With the emitted `program`, names in Keras' files are paths of variables."""
    require_packages(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        job = {"do": "read", "kind": kind, "file": str(path.resolve()), **add_program(program, folder)}
        try:
            process = run_worker(folder, kind, job)
        except subprocess.TimeoutExpired:
            raise files.corrupt_error(path, f"reading it took longer than {TIMEOUT} s") from None
        result = read_result(folder)
        if result is None:  # the reader itself was ended by the file
            last = (process.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise files.corrupt_error(path, f"reading it failed: {last}")
        if "fault" in result:
            raise files.corrupt_error(path, result["fault"], result.get("hint", ""))
        return files.read_safetensors(folder / "out.safetensors")


def write_framework_file(
    path: Path, kind: FileKind, values: Mapping[str, Array], program: KerasProgram | None = None
) -> None:
    """Write a framework's file of weights, by the framework's own names."""
    require_packages(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        files.write_safetensors(folder / "in.safetensors", values, {})
        file_name = {"torch": "out.pt", "h5": "out.weights.h5", "keras": "out.keras"}[kind]
        process = run_worker(
            folder, kind, {"do": "write", "kind": kind, "name": file_name, **add_program(program, folder)}
        )
        if read_result(folder) is None:
            raise RuntimeError(f"writing {kind} failed: {process.stderr[-2000:]}")
        path.write_bytes((folder / file_name).read_bytes())


def add_program(program: KerasProgram | None, folder: Path) -> dict[str, Any]:
    """What a job says of the emitted file, which is put beside it."""
    if program is None:
        return {}
    source = folder / "emitted.py"
    source.write_text(program.text, encoding="utf-8")
    return {"source": str(source), "model": program.model, "arguments": dict(program.arguments)}


def run_worker(folder: Path, kind: FileKind, job: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the worker on a job."""
    (folder / "job.json").write_text(json.dumps(job))
    framework = "torch" if kind == "torch" else "keras"
    env = {**apart.env_with_import_path(os.environ), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if kind != "torch":
        env["KERAS_BACKEND"] = keras_runtime()
    command = apart.module_command(f"specbuild.backends.{framework}.weights_worker", str(folder))
    return subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=TIMEOUT)


def read_result(folder: Path) -> dict[str, str] | None:
    """What the worker left, if it came to its end."""
    path = folder / "result.json"
    answer: dict[str, str] | None = json.loads(path.read_text()) if path.exists() else None
    return answer


def require_packages(kind: FileKind, model: bool) -> None:
    """SB603 unless what a kind of file needs is installed."""
    require_numpy()
    if kind == "torch" and find_spec("torch") is None:
        raise missing_package("torch", "torch")
    if kind in ("h5", "keras"):
        if find_spec("h5py") is None:
            raise missing_package("keras", "keras")
        if model and find_spec("keras") is None:
            raise missing_package("keras", "keras")
        keras_runtime()


def require_numpy(what: str = "weights need", extras: str = "weights") -> None:
    """SB603 unless there are numpy and safetensors, which every file of weights needs."""
    for package in ("numpy", "safetensors"):
        if find_spec(package) is None:
            raise SpecError(
                "SB603",
                f"{what} {package}, which is not installed",
                hint=f"in a checkout of specbuild: pip install '.[{extras}]'",
            )


def keras_runtime() -> str:
    """What Keras is to run on: the user's choice, else the first that is installed."""
    wanted = os.environ.get("KERAS_BACKEND")
    installed = [
        name for name in ((wanted,) if wanted in KERAS_RUNTIMES else KERAS_RUNTIMES) if find_spec(name)
    ]
    if not installed:
        raise missing_package(
            "keras", wanted if wanted in KERAS_RUNTIMES else "one of tensorflow, jax and torch"
        )
    return installed[0]
