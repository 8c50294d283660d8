"""A PyTorch module that exists in this process: its copy is recorded here, and runs here for the proof."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specbuild.diagnostics.errors import SpecError
from specbuild.importing.importer import as_spec_error
from specbuild.importing.request import InputRequest
from specbuild.runtimes.worker_jobs import Job, RefusedJob, save_tensors
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess

if TYPE_CHECKING:
    from specbuild.importing.pytorch.capture_worker import OriginalModel
    from specbuild.importing.trace import Trace


def record_copy(
    module: Any, inputs: Mapping[str, InputRequest]
) -> tuple[OriginalModel, Trace, dict[int, Any]]:
    """Record a copy of a module, or what a function makes; return it with its trace and constants. Raises SpecError."""
    from specbuild.importing.pytorch.capture_worker import OriginalModel
    from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch

    original = OriginalModel()
    shapes = {name: (list(x.sizes), x.dtype) for name, x in inputs.items()}
    with ConstructorWatch() as watch:
        original.model = make_copy(module)
    try:
        return original, *original.record(shapes, watch)
    except RefusedJob as refusal:
        raise as_spec_error(refusal) from None


def make_copy(module: Any) -> Any:
    """Return a copy of a module on the CPU, or what a function makes. Raises SpecError SB961."""
    is_module = hasattr(module, "named_parameters") and not isinstance(module, type)
    try:
        made = copy.deepcopy(module) if is_module else module()
    except Exception as error:  # of the user's code
        what = "copied" if is_module else "made"
        message = f"the module cannot be {what}: {type(error).__name__}: {error}"
        hint = "give a function that makes it: import_module(lambda: Net(), inputs)"
        raise SpecError("SB961", message, hint=hint) from error
    if not hasattr(made, "named_parameters"):
        raise SpecError("SB961", f"this gives {type(made).__name__}, not a torch.nn.Module")
    return made.cpu().float()


class LiveWorker:
    """Runs the jobs of a proof: those on the original here, the emitted file in a process of its own."""

    def __init__(self, original: OriginalModel, process: WorkerProcess):
        self.original, self.process = original, process

    def run_job(self, job: Job) -> None:
        """Run a job. Raises RefusedJob, and WorkerFailure for whatever the user's code raises."""
        if job["do"] == "emitted":
            self.process.run_job(job)
            return
        try:
            result = self.original.run_aside(job)
        except RefusedJob:
            raise
        except Exception as error:  # of the user's code
            raise WorkerFailure(f"{type(error).__name__}: {error}") from error
        if result is not None:
            save_tensors(job["out"], result)
