"""`specbuild bench`: how fast the emitted files run, beside the counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from specbuild.api import Model
from specbuild.backends import BACKEND_NAMES, load_backend
from specbuild.cli import options
from specbuild.cli.json_output import print_document, print_errors_as_json
from specbuild.cli.terminal import print_text
from specbuild.diagnostics.errors import make_printable
from specbuild.summary import format_quantity
from specbuild.weights.framework_files import require_numpy

if TYPE_CHECKING:
    from specbuild.backends.base import Backend
    from specbuild.bench.measure import Measurement
    from specbuild.runtimes.runtime import Runtime

MAX_BATCH = 65_536


def check_batches(value: str) -> str:
    """Return the value if it is a list of batch sizes."""
    parts = value.split(",")
    if all(p.isascii() and p.isdigit() and len(p) < 6 and 0 < int(p) <= MAX_BATCH for p in parts):
        return value
    raise typer.BadParameter(f"{make_printable(value)!r} is not a list of batch sizes such as 1,8")


Batches = Annotated[
    str, typer.Option("--batch", metavar="N,...", help="The batch sizes.", callback=check_batches)
]
Runtimes = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="What to measure, separated by commas: torch, tensorflow, jax. Default: the first runtime of each "
        "backend that is installed.",
        show_default=False,
    ),
]
Device = Annotated[Literal["cpu", "cuda"], typer.Option(help="The device.")]
Threads = Annotated[
    int | None, typer.Option(min=1, max=1024, help="CPU threads. Default: all cores.", show_default=False)
]
Seconds = Annotated[
    float, typer.Option(min=0.01, max=600, help="How long to measure each batch size, in seconds.")
]
Timeout = Annotated[int, typer.Option(min=1, max=10**6, help="The time limit of one process, in seconds.")]


# Many parameters: typer reads the options of a command from its signature.
def bench_command(
    spec: options.Spec,
    batch: Batches = "1,8",
    runtimes: Runtimes = None,
    device: Device = "cpu",
    threads: Threads = None,
    seconds: Seconds = 2.0,
    timeout: Timeout = 600,
    variant: options.Variant = None,
    settings: options.Settings = None,
    features: options.Features = None,
    only: options.FeaturesOnly = False,
    as_json: options.Json = False,
    root: options.Root = None,
) -> None:
    """Measure the emitted files: seconds for a batch, samples per second, and memory, beside the counts.

    Each framework and batch size runs in a process of its own, in float32 with random weights. PyTorch runs as it is
    written, Keras by predict_on_batch. Memory is what the process needs beyond the framework itself.
    """
    require_numpy("bench needs")
    with print_errors_as_json("bench", as_json):
        from specbuild.bench.measure import measure_model
        from specbuild.runtimes.jobs import WorkerOptions

        model = options.load_model(spec, variant, settings, root, features, only)
        chosen = choose_runtimes(runtimes)
        worker = WorkerOptions(device, True, timeout, threads or count_threads())
        batches = list(dict.fromkeys(map(int, batch.split(","))))
        measured = list(measure_model(model, chosen, batches, worker, seconds))
    counts = {"parameters": model.parameters, "multiply_adds": model.cost.macs}
    if as_json:
        results = [m.to_json() for m in measured]
        print_document(
            "bench", {"model": model.name, **counts, "threads": worker.threads, "results": results}
        )
        return
    print_measurements(model, measured)


def count_threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_runtimes(names: str | None) -> list[tuple[Backend, Runtime]]:
    """Return what to measure; raises SB603 for a framework that is not installed."""
    backends = [load_backend(name) for name in BACKEND_NAMES]
    if names is None:
        found = [(b, b.runtimes[0]) for b in backends if is_installed(b.runtimes[0])]
        if not found:
            raise backends[0].missing_package(backends[0].runtimes[0].modules[0])
        return found
    by_name: dict[str, tuple[Backend, Runtime]] = {}
    for backend in backends:
        for runtime in backend.runtimes:
            by_name.setdefault(runtime.name, (backend, runtime))
    chosen = []
    for name in dict.fromkeys(part.strip() for part in names.split(",")):
        if name not in by_name:
            message = f"{make_printable(name)!r} is not one of {', '.join(by_name)}"
            raise typer.BadParameter(message, param_hint="--runtimes")
        backend, runtime = by_name[name]
        for module in runtime.modules:
            if find_spec(module) is None:
                raise backend.missing_package(module)
        chosen.append(by_name[name])
    return chosen


def is_installed(runtime: Runtime) -> bool:
    return all(find_spec(module) is not None for module in runtime.modules)


def print_measurements(model: Model, measured: Sequence[Measurement]) -> None:
    """Print one row for each framework and batch size."""
    from specbuild.summary.table import align_columns

    macs = model.cost.macs
    print_text(
        f"{model.name}: {model.parameters:,} parameters, {format_quantity(macs)} multiply-adds per sample\n\n"
    )
    rows: list[list[Any]] = [
        ["framework", "batch", "median", "90 %", "samples/s", "MACs/s", "memory"],
        *(
            [
                m.framework if i == 0 or measured[i - 1].framework != m.framework else "",
                str(m.batch),
                format_seconds(m.median),
                format_seconds(m.slow),
                f"{m.batch / m.median:,.1f}",
                format_quantity(int(macs * m.batch / m.median)),
                f"{m.memory / 2**20:,.0f} MiB",
            ]
            for i, m in enumerate(measured)
        ),
    ]
    print_text("\n".join(align_columns(rows, 1)) + "\n")
    print_text(f"\non {measured[0].device}, in float32, with random weights\n")


def format_seconds(seconds: float) -> str:
    """Return a duration with three digits: 4.21 ms, 310 us, 1.24 s."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
