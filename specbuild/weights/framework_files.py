"""Read and write the weight files of a framework, in a worker process of that framework."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from specbuild.backends.file_kind import FileKind
from specbuild.backends.registry import load_backend
from specbuild.diagnostics.errors import SpecError
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.runtime import Runtime
from specbuild.runtimes.worker_jobs import Job, RefusedJob, load_tensors, save_tensors
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess
from specbuild.weights.safetensors_files import WeightFile, corrupt_error

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

TIMEOUT = 1800  # seconds


class EmittedProgram(Struct, frozen=True):
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
        out = str(folder / "out.safetensors")
        job = {"do": "read", "path": str(path.resolve()), "out": out, **describe_model(program, folder)}
        try:
            run_file_job(kind, job)
        except RefusedJob as refusal:
            raise corrupt_error(path, str(refusal), refusal.hint) from None
        except WorkerFailure as failure:
            raise corrupt_error(path, f"reading it failed: {failure}") from None
        return WeightFile(load_tensors(out), {})


def write_framework_file(
    path: Path, kind: FileKind, values: Mapping[str, Array], program: EmittedProgram | None = None
) -> None:
    """Write a framework's weight file; `values` are the framework's tensors by its own names.

    Raises OSError if the framework cannot write it.
    """
    require_packages(kind, program is not None)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        folder = Path(name)
        arrays, written = str(folder / "in.safetensors"), folder / f"out{kind.endings[0]}"
        save_tensors(arrays, dict(values))
        job = {"do": "write", "path": str(written), "arrays": arrays, **describe_model(program, folder)}
        try:
            run_file_job(kind, job)
        except WorkerFailure as failure:
            raise OSError(f"{kind.title} failed: {failure}") from None
        shutil.copyfile(written, path)


def describe_model(program: EmittedProgram | None, folder: Path) -> Job:
    """Write the emitted file into the job's folder, and return the job's entries for it."""
    if program is None:
        return {}
    file = folder / "emitted.py"
    file.write_text(program.text, encoding="utf-8")
    arguments = dict(program.arguments)
    return {"name": program.model, "file": str(file), "model": program.model, "arguments": arguments}


def find_runtime(kind: FileKind) -> Runtime:
    """Return the runtime in whose environment the worker of a kind of file runs; may raise SpecError SB603."""
    if kind.find_runtime is not None:
        return kind.find_runtime()
    runtimes = load_backend(kind.backend).runtimes
    return runtimes[0] if runtimes else Runtime(kind.backend, kind.title, kind.modules, kind.worker)


def run_file_job(kind: FileKind, job: Job) -> None:
    """Run one job in a worker process; raises RefusedJob and WorkerFailure."""
    options = WorkerOptions(timeout=TIMEOUT)
    with WorkerProcess(options, find_runtime(kind), kind.worker) as worker:
        worker.run_job({"kind": kind.name, **job})


def require_packages(kind: FileKind | None, needs_model: bool) -> None:
    """Raise SpecError SB603 unless the packages for a kind of file are installed; None is safetensors.

    `needs_model` says whether the model has to be built, to know the names of its weights.
    """
    require_numpy()
    if kind is not None:
        modules = (*kind.modules, *(kind.program_modules if needs_model else ()))
        missing = [module for module in modules if find_spec(module) is None]
        if missing:
            raise load_backend(kind.backend).missing_package(missing[0])
        find_runtime(kind)


def require_numpy(what: str = "weights need", extras: str = "weights") -> None:
    """Raise SpecError SB603 unless numpy and safetensors are installed, which all weight files need."""
    for package in ("numpy", "safetensors"):
        if find_spec(package) is None:
            raise SpecError(
                "SB603",
                f"{what} {package}, which is not installed",
                hint=f"in a checkout of specbuild: pip install '.[{extras}]'",
            )
