"""Measure the emitted files of a model, each batch size in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.api import Model
from specbuild.backends.base import Backend
from specbuild.diagnostics.errors import SpecError
from specbuild.expressions import concrete
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.runtime import Runtime
from specbuild.runtimes.worker_jobs import RefusedJob, load_tensors
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess


class Measurement(Struct, frozen=True):
    """The seconds of one batch, and the memory in bytes."""

    framework: str
    device: str
    batch: int
    calls: int
    median: float
    slow: float  # nine of ten calls are faster
    memory: int

    def to_json(self) -> dict[str, Any]:
        return {
            "framework": self.framework,
            "device": self.device,
            "batch": self.batch,
            "calls": self.calls,
            "median_seconds": self.median,
            "p90_seconds": self.slow,
            "samples_per_second": self.batch / self.median,
            "memory_bytes": self.memory,
        }


def measure_model(
    model: Model,
    runtimes: Sequence[tuple[Backend, Runtime]],
    batches: Sequence[int],
    options: WorkerOptions,
    seconds: float,
) -> Iterator[Measurement]:
    """Yield a measurement for each runtime and batch size. Raises SB603, SB604 and SB605."""
    for backend, runtime in runtimes:
        if not runtime.bench_worker:
            raise backend.missing_part("a worker that measures")
        with TemporaryDirectory(prefix="specbuild-bench-") as folder:
            file = Path(folder) / "model.py"
            file.write_text(model.source(backend.name), encoding="utf-8")
            for batch in batches:
                job = bench_job(model, backend, file, batch, seconds)
                yield measure_batch(backend, runtime, job, options)


def bench_job(model: Model, backend: Backend, file: Path, batch: int, seconds: float) -> dict[str, Any]:
    """Return the job for one batch size. Inputs have the axes in the order of the framework."""
    inputs = [
        {
            "shape": [batch, *(int(concrete(x[axis])) for axis in backend.natural_order(x))],
            "dtype": x.dtype if x.dtype != "float" else "float32",
        }
        for x in model.graph.inputs.values()
    ]
    return {
        "name": model.name,
        "model": model.name,
        "file": str(file),
        "inputs": inputs,
        "batch": batch,
        "seconds": seconds,
        "out": str(file.with_name(f"batch{batch}.safetensors")),
    }


def measure_batch(
    backend: Backend, runtime: Runtime, job: dict[str, Any], options: WorkerOptions
) -> Measurement:
    """Run one job in a process of its own, without the switches that parity sets."""
    plain = replace(runtime, switches=())
    try:
        with WorkerProcess(options, plain, runtime.bench_worker) as process:
            handshake = process.ensure_started()
            if handshake["device"] is None:
                hint = "measure on the CPU: --device cpu"
                raise SpecError("SB604", f"no GPU is available to {handshake['framework']}", hint=hint)
            process.run_job(job)
    except (WorkerFailure, RefusedJob) as error:
        raise SpecError("SB603", f"{runtime.title} could not be measured: {error}") from None
    found = load_tensors(job["out"])
    latencies = sorted(map(float, found["latency"]))
    return Measurement(
        handshake["framework"],
        handshake["device"],
        job["batch"],
        len(latencies),
        latencies[len(latencies) // 2],
        latencies[int(0.9 * (len(latencies) - 1))],
        int(found["memory"][0]),
    )
