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

from specbuild.backends.file_kind import FileKind
from specbuild.diagnostics.errors import SpecError
from specbuild.runtimes.live_model import missing_package
from specbuild.runtimes.subprocess_env import env_with_import_path, module_command
from specbuild.weights.safetensors_files import (
    WeightFile,
    corrupt_error,
    read_safetensors,
    write_safetensors,
)

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

TIMEOUT = 1800  # seconds


@dataclass(frozen=True)
class EmittedProgram:
    """An emitted file: its text, the name of its model, and the model's arguments."""

    text: str
    model: str
    arguments: Mapping[str, Any]


def read_framework_file(path: Path, kind: FileKind, program: EmittedProgram | None = None) -> WeightFile:
    """Read a framework's weight file; raises SpecError SB804 if it is invalid.

    With a `program`, the names are those of the variables of its model, even if the file has others.
    """
    require_packages(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        job = {"do": "read", "kind": kind.name, "file": str(path.resolve()), **add_program(program, folder)}
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
    path: Path, kind: FileKind, values: Mapping[str, Array], program: EmittedProgram | None = None
) -> None:
    """Write a framework's weight file; `values` are the framework's tensors by its own names."""
    require_packages(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        write_safetensors(folder / "in.safetensors", values, {})
        file_name = f"out{kind.endings[0]}"
        job = {"do": "write", "kind": kind.name, "name": file_name, **add_program(program, folder)}
        process = run_worker(folder, kind, job)
        if read_result(folder) is None:
            raise RuntimeError(f"writing {kind.name} failed: {process.stderr[-2000:]}")
        path.write_bytes((folder / file_name).read_bytes())


def add_program(program: EmittedProgram | None, folder: Path) -> dict[str, Any]:
    """Write the emitted file into the job's folder, and return the job's entries for it."""
    if program is None:
        return {}
    source = folder / "emitted.py"
    source.write_text(program.text, encoding="utf-8")
    return {"source": str(source), "model": program.model, "arguments": dict(program.arguments)}


def run_worker(folder: Path, kind: FileKind, job: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the worker of a framework on a job, and wait for its end."""
    (folder / "job.json").write_text(json.dumps(job))
    env = {**env_with_import_path(os.environ), "CUDA_VISIBLE_DEVICES": "", **kind.find_environment()}
    command = module_command(kind.worker, str(folder))
    return subprocess.run(command, env=env, capture_output=True, text=True, errors="replace", timeout=TIMEOUT)


def read_result(folder: Path) -> dict[str, str] | None:
    """The worker's result; None if it crashed."""
    path = folder / "result.json"
    result: dict[str, str] | None = json.loads(path.read_text()) if path.exists() else None
    return result


def require_packages(kind: FileKind | None, needs_model: bool) -> None:
    """Raise SpecError SB603 unless the packages for a kind of file are installed; None is safetensors.

    `needs_model` says whether the model has to be built, to know the names of its weights.
    """
    require_numpy()
    if kind is not None:
        modules = (*kind.modules, *(kind.program_modules if needs_model else ()))
        if any(find_spec(module) is None for module in modules):
            raise missing_package(kind.backend, kind.backend)
        kind.find_environment()


def require_numpy(what: str = "weights need", extras: str = "weights") -> None:
    """Raise SpecError SB603 unless numpy and safetensors are installed, which all weight files need."""
    for package in ("numpy", "safetensors"):
        if find_spec(package) is None:
            raise SpecError(
                "SB603",
                f"{what} {package}, which is not installed",
                hint=f"in a checkout of specbuild: pip install '.[{extras}]'",
            )
