"""The framework whose models an import reads: its backend, and the worker that makes and records them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from specbuild.backends.registry import load_backend

if TYPE_CHECKING:
    from specbuild.backends.base import Backend
    from specbuild.importing.handler_table import HandlerTable
    from specbuild.importing.trace import Trace
    from specbuild.runtimes.runtime import Runtime
    from specbuild.runtimes.worker_jobs import Job


class ModelReader(Struct, frozen=True):
    """Reads the models of one framework. There must be a backend for it: the proof runs its code."""

    backend_name: str
    worker: str  # MODULE:FUNCTION that opens the worker which makes, records and runs a model
    handlers: str  # the module that has the table of handlers, HANDLERS
    usual_axes: Mapping[int, tuple[str, ...]]  # names of axes by their number, after the batch
    naming: str = "original"  # of the rules for the names of the original's weights
    runs_code: bool = True  # whether the code of the model's author runs
    measures_statistics: bool = False  # whether the worker can measure the statistics of data at batch norms
    exchange_modules: tuple[str, ...] = (
        "numpy",
        "safetensors",
    )  # that arrays of the worker are exchanged with

    @property
    def backend(self) -> Backend:
        return load_backend(self.backend_name)

    @property
    def runtime(self) -> Runtime:
        """The runtime of the worker; emitted files run on it, too."""
        return self.backend.runtimes[0]

    @property
    def handler_table(self) -> HandlerTable:
        table: HandlerTable = import_module(self.handlers).HANDLERS
        return table

    def describe_source(
        self, source: str, settings: Mapping[str, Any], inputs: Mapping[str, tuple[Sequence[int], str]]
    ) -> Job:
        """Return what the job of the capture needs to know of the model; `inputs` are sizes and dtypes by name."""
        shapes = {name: [list(sizes), dtype] for name, (sizes, dtype) in inputs.items()}
        return {"source": source, "settings": dict(settings), "inputs": shapes}

    def find_rounding(self, trace: Trace) -> str:
        """Return what the framework computes in float32 even if it is asked for float64, as words for the report."""
        return ""

    def name_source(self, source: str) -> str:
        """Return a source as it is written in the spec."""
        return source

    def arrange_trace(self, trace: Trace) -> Trace:
        """Return a trace whose calls are those of modules, if the framework knows none."""
        return trace

    def require_packages(self) -> None:
        """Raise SpecError SB603 unless the framework is installed, with what arrays are exchanged with."""
        for module in (*self.runtime.modules, *self.exchange_modules):
            if find_spec(module) is None:
                raise self.backend.missing_package(module)
