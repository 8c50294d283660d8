"""Read and write the weight files of a framework, in a worker process of that framework."""

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
from specbuild.runtimes.live_model import missing_package
from specbuild.runtimes.subprocess_env import env_with_import_path, module_command
from specbuild.weights.safetensors_files import (
    FileKind,
    WeightFile,
    corrupt_error,
    read_safetensors,
    write_safetensors,
)

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

KERAS_RUNTIMES = ("jax", "tensorflow", "torch")  # the fastest to start first
TIMEOUT = 1800  # seconds


@dataclass(frozen=True)
class KerasProgram:
    """An emitted Keras file: its text, the name of its model, and the model's arguments."""

    text: str
    model: str
    arguments: Mapping[str, Any]


def read_framework_file(path: Path, kind: FileKind, program: KerasProgram | None = None) -> WeightFile:
    """Read a framework's weight file; raises SpecError SB804 if it is invalid.

    With a `program`, the names in Keras files are replaced by the paths of the model's variables.
    """
    require_packages(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        job = {"do": "read", "kind": kind, "file": str(path.resolve()), **add_program(program, folder)}
        try:
            process = run_worker(folder, kind, job)
        except subprocess.TimeoutExpired:
            raise corrupt_error(path, f"reading it took longer than {TIMEOUT} s") from None
        result = read_result(folder)
        if result is None:  # the worker crashed
            last_line = (process.stderr.strip().splitlines() or ["there was no message"])[-1]
            raise corrupt_error(path, f"reading it failed: {last_line}")
        if "error" in result:
            raise corrupt_error(path, result["error"], result.get("hint", ""))
        return read_safetensors(folder / "out.safetensors")


def write_framework_file(
    path: Path, kind: FileKind, values: Mapping[str, Array], program: KerasProgram | None = None
) -> None:
    """Write a framework's weight file; `values` are the framework's tensors by its own names."""
    require_packages(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        write_safetensors(folder / "in.safetensors", values, {})
        file_name = {"torch": "out.pt", "h5": "out.weights.h5", "keras": "out.keras"}[kind]
        job = {"do": "write", "kind": kind, "name": file_name, **add_program(program, folder)}
        process = run_worker(folder, kind, job)
        if read_result(folder) is None:
            raise RuntimeError(f"writing {kind} failed: {process.stderr[-2000:]}")
        path.write_bytes((folder / file_name).read_bytes())


def add_program(program: KerasProgram | None, folder: Path) -> dict[str, Any]:
    """Write the emitted file into the job's folder, and return the job's entries for it."""
    if program is None:
        return {}
    source = folder / "emitted.py"
    source.write_text(program.text, encoding="utf-8")
    return {"source": str(source), "model": program.model, "arguments": dict(program.arguments)}


def run_worker(folder: Path, kind: FileKind, job: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the worker of a framework on a job, and wait for its end."""
    (folder / "job.json").write_text(json.dumps(job))
    framework = "torch" if kind == "torch" else "keras"
    env = {**env_with_import_path(os.environ), "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if kind != "torch":
        env["KERAS_BACKEND"] = keras_runtime()
    command = module_command(f"specbuild.backends.{framework}.weights_worker", str(folder))
    return subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=TIMEOUT)


def read_result(folder: Path) -> dict[str, str] | None:
    """The worker's result; None if it crashed."""
    path = folder / "result.json"
    result: dict[str, str] | None = json.loads(path.read_text()) if path.exists() else None
    return result


def require_packages(kind: FileKind, model: bool) -> None:
    """Raise SpecError SB603 unless the packages for a kind of file are installed.

    `model` says whether the model has to be built. For Keras files, that needs Keras and a runtime.
    """
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
    """Raise SpecError SB603 unless numpy and safetensors are installed, which all weight files need."""
    for package in ("numpy", "safetensors"):
        if find_spec(package) is None:
            raise SpecError(
                "SB603",
                f"{what} {package}, which is not installed",
                hint=f"in a checkout of specbuild: pip install '.[{extras}]'",
            )


def keras_runtime() -> str:
    """The runtime for Keras: that of KERAS_BACKEND, else the first that is installed."""
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted in KERAS_RUNTIMES:
        if find_spec(wanted) is None:
            raise missing_package("keras", wanted)
        return wanted
    for name in KERAS_RUNTIMES:
        if find_spec(name) is not None:
            return name
    raise missing_package("keras", "one of tensorflow, jax and torch")
