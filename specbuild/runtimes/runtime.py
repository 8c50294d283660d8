"""A runtime: what runs an emitted file in a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from msgspec import Struct, field

from specbuild.runtimes.jobs import DTYPES, MODES, DType, Mode
from specbuild.runtimes.switches import Switch

if TYPE_CHECKING:
    from specbuild.runtimes.parity_job import ParityJob


class Runtime(Struct, frozen=True):
    """A way to run emitted files: a framework, or one of the engines below it."""

    name: str  # on the command line and in reports: "tensorflow"
    title: str  # in texts: "Keras on TensorFlow"
    modules: tuple[str, ...]  # packages that must be installed
    worker: str  # MODULE:FUNCTION that opens the worker which runs parity jobs
    # MODULE:CLASS of the jobs of that worker, a subclass of ParityJob: an importer's worker runs original models by it.
    parity_job: str = ""
    bench_worker: str = ""  # MODULE:FUNCTION that opens the worker which measures; empty: there is none
    switches: tuple[Switch, ...] = ()  # settings of the framework that parity controls
    variables: Mapping[str, str] = field(default_factory=dict)  # environment of the worker process
    rounds_float64: bool = False  # whether it computes in float32 inside when it is asked for float64
    can_calibrate: bool = False  # whether its worker can scale random weights
    modes: tuple[Mode, ...] = MODES  # that its worker can run
    dtypes: tuple[DType, ...] = DTYPES  # that it can compute in

    def load_parity_job(self) -> type[ParityJob]:
        """Return the class of its jobs, in a worker process: the module imports the framework."""
        module, _, name = self.parity_job.partition(":")
        job: type[ParityJob] = getattr(import_module(module), name)
        return job

    @property
    def short_title(self) -> str:
        """The title without the engine: "Keras"."""
        return self.title.partition(" on ")[0]
