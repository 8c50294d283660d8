"""`specbuild.import_module`: a PyTorch module or Keras model that exists in this process becomes a spec."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from specbuild.api import Model
from specbuild.diagnostics.errors import SpecError
from specbuild.importing.importer import ImportedModel, import_request, import_trace, start_worker
from specbuild.importing.keras import reader as keras
from specbuild.importing.proof import Proof, prove_import
from specbuild.importing.pytorch import reader as pytorch
from specbuild.importing.pytorch.live_module import LiveWorker, record_copy
from specbuild.importing.reader import ModelReader
from specbuild.importing.report import describe_import
from specbuild.importing.request import ImportRequest, InputRequest, parse_input


class ModuleImport(Struct, frozen=True):
    """An imported module: the `text` of its spec, the loaded `model`, and the lines of the `report`.

    `is_equal` says whether the proof found no difference; `details` has the trace, the key map and the rest.
    """

    text: str
    model: Model
    report: list[str]
    is_equal: bool
    details: ImportedModel


def import_module(
    module: Any,
    inputs: Mapping[str, Any] | None = None,
    *,
    also: Callable[[], Any] | None = None,
    prove: bool = True,
) -> ModuleImport:
    """Write a spec for a PyTorch module or Keras model of this process, and prove that both compute the same.

    `module` is an nn.Module, or a function without arguments that makes one: only then the arguments of
    constructors are known, and become parameters. `also` makes the module again with other arguments; what the spec
    says must hold for both. Each of the `inputs`, in the order of `forward`, is an example with a batch (only its
    shape and dtype are looked at), or a text as for `--input`: "3x64x64", "T:16:int32".

        made = specbuild.import_module(lambda: Net(width=16), {"image": "3x64x64"}, also=lambda: Net(width=8))
        print(made.text, *made.report, sep="\\n")

    The module itself stays as it is: a copy runs here, on the CPU, and the emitted code in a process of its own.

    `module` can also be a Functional or Sequential model of Keras, whose inputs are known already. It is imported
    as from a .keras file: by its configuration, in a process of its own.

    Raises SpecError SB961 to SB967, or SpecErrors, if the module cannot be imported.
    """
    if is_keras_model(module):
        return import_keras_model(module, inputs or {}, prove)
    reader = pytorch.READER
    reader.require_packages()
    wanted = {name: read_input(name, example, reader) for name, example in (inputs or {}).items()}
    if not wanted:
        raise SpecError("SB961", "the module has no inputs", hint='for example: {"image": "3x64x64"}')
    original, trace, constants = record_copy(module, wanted)
    second = record_copy(also, wanted) if also is not None else None
    axes = {name: x.axes for name, x in wanted.items()}
    kind = type(original.model)
    source = f"{kind.__module__}:{kind.__name__}"
    name = ImportRequest(source).model_name
    others = second[1:] if second is not None else None
    imported = import_trace(reader, name, trace, constants, axes, source, others)
    proofs: list[Proof] = []
    if prove:
        with start_worker(reader) as process:
            proofs.append(prove_import(imported, LiveWorker(original, process)))
            if second is not None and imported.second is not None:
                proofs.append(prove_import(imported.second, LiveWorker(second[0], process)))
    return collect_results(source, imported, proofs)


def is_keras_model(module: Any) -> bool:
    """Return whether this is a model of Keras, which is not imported for it."""
    bases = [] if isinstance(module, type) else type(module).__mro__
    return any(base.__name__ == "Model" and base.__module__.startswith("keras.") for base in bases)


def import_keras_model(model: Any, inputs: Mapping[str, Any], prove: bool) -> ModuleImport:
    """Save a Keras model to a file, and import that. Raises SpecError SB961."""
    reader = keras.READER
    reader.require_packages()
    wanted = {name: read_input(name, example, reader) for name, example in inputs.items()}
    name = re.sub(r"\W", "_", str(model.name))
    with tempfile.TemporaryDirectory(prefix="specbuild-") as folder, start_worker(reader) as worker:
        path = Path(folder) / f"{name}.keras"
        try:
            model.save(path)
        except Exception as error:  # of the user's code
            message = f"the model cannot be saved: {type(error).__name__}: {error}"
            raise SpecError("SB961", message) from error
        imported = import_request(ImportRequest(str(path), inputs=wanted), worker)
        proofs = [prove_import(imported, worker)] if prove else []
    return collect_results(name, imported, proofs)


def collect_results(source: str, imported: ImportedModel, proofs: list[Proof]) -> ModuleImport:
    is_equal = bool(proofs) and not imported.unexplained and all(proof.is_equal for proof in proofs)
    report = describe_import(source, imported, proofs)
    return ModuleImport(imported.text, imported.model, report, is_equal, imported)


def read_input(name: str, example: Any, reader: ModelReader) -> InputRequest:
    """Return the description of an input, from a text or from an example with a batch."""
    if not isinstance(example, str):
        sizes = "x".join(map(str, tuple(getattr(example, "shape", ()))[1:]))
        dtype = str(getattr(example, "dtype", "float")).rpartition(".")[2]
        word = "int32" if dtype in ("int32", "int64") else "bool" if dtype == "bool" else "float"
        example = f"{sizes}:{word}"
    return parse_input(f"{name}={example}", reader.usual_axes)[1]
