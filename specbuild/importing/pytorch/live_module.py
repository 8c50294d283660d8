"""`specbuild.import_module`: a PyTorch module that exists in this process becomes a spec."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from specbuild.api import Model
from specbuild.diagnostics.errors import SpecError
from specbuild.importing.importer import ImportedModel, as_spec_error, import_trace, start_worker
from specbuild.importing.proof import Proof, prove_import
from specbuild.importing.pytorch.reader import READER
from specbuild.importing.report import describe_import
from specbuild.importing.request import ImportRequest, InputRequest, parse_input
from specbuild.runtimes.worker_jobs import Job, RefusedJob, save_tensors
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess

if TYPE_CHECKING:
    from specbuild.importing.pytorch.capture_worker import OriginalModel
    from specbuild.importing.trace import Trace


@dataclass(frozen=True)
class ModuleImport:
    """An imported module: the `text` of its spec, the loaded `model`, and the lines of the `report`.

    `is_equal` says whether the proof found no difference; `details` has the trace, the key map and the rest.
    """

    text: str
    model: Model
    report: list[str]
    is_equal: bool
    details: ImportedModel


def import_module(
    module: Any, inputs: Mapping[str, Any], *, also: Callable[[], Any] | None = None, prove: bool = True
) -> ModuleImport:
    """Write a spec for a PyTorch module of this process, and prove that both compute the same.

    `module` is an nn.Module, or a function without arguments that makes one: only then the arguments of
    constructors are known, and become parameters. `also` makes the module again with other arguments; what the spec
    says must hold for both. Each of the `inputs`, in the order of `forward`, is an example with a batch (only its
    shape and dtype are looked at), or a text as for `--input`: "3x64x64", "T:16:int32".

        made = specbuild.import_module(lambda: Net(width=16), {"image": "3x64x64"}, also=lambda: Net(width=8))
        print(made.text, *made.report, sep="\\n")

    The module itself stays as it is: a copy runs here, on the CPU, and the emitted code in a process of its own.
    Raises SpecError SB961 to SB967, or SpecErrors, if the module cannot be imported.
    """
    READER.require_packages()
    wanted = {name: read_input(name, example) for name, example in inputs.items()}
    if not wanted:
        raise SpecError("SB961", "the module has no inputs", hint='for example: {"image": "3x64x64"}')
    original, trace, constants = record_copy(module, wanted)
    second = record_copy(also, wanted) if also is not None else None
    axes = {name: x.axes for name, x in wanted.items()}
    kind = type(original.model)
    source = f"{kind.__module__}:{kind.__name__}"
    name = ImportRequest(source).model_name
    imported = import_trace(
        READER, name, trace, constants, axes, source, second[1:] if second is not None else None
    )
    proofs: list[Proof] = []
    if prove:
        with start_worker(READER) as process:
            proofs.append(prove_import(imported, LiveWorker(original, process)))
            if second is not None and imported.second is not None:
                proofs.append(prove_import(imported.second, LiveWorker(second[0], process)))
    is_equal = prove and not imported.unexplained and all(proof.is_equal for proof in proofs)
    report = describe_import(source, imported, proofs)
    return ModuleImport(imported.text, imported.model, report, is_equal, imported)


def read_input(name: str, example: Any) -> InputRequest:
    """Return what is said about an input: by a text, or by an example with a batch."""
    if not isinstance(example, str):
        sizes = "x".join(map(str, tuple(getattr(example, "shape", ()))[1:]))
        dtype = str(getattr(example, "dtype", "float")).rpartition(".")[2]
        word = "int32" if dtype in ("int32", "int64") else "bool" if dtype == "bool" else "float"
        example = f"{sizes}:{word}"
    return parse_input(f"{name}={example}", READER.usual_axes)[1]


def record_copy(
    module: Any, inputs: Mapping[str, InputRequest]
) -> tuple[OriginalModel, Trace, dict[int, Any]]:
    """Record a copy of a module, or what a function makes; return it with its trace and constants. Raises SpecError."""
    from specbuild.importing.pytorch.capture_worker import OriginalModel
    from specbuild.importing.pytorch.recorder_worker import ConstructorWatch

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
