"""The files that an import writes: the spec, and the weights under its own names."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from specbuild.compiler.output_files import (
    create_file,
    replace_file,
    replacement_file,
    report_os_errors,
    write_error,
)
from specbuild.compiler.weight_locations import from_framework
from specbuild.diagnostics.errors import SpecError
from specbuild.importing.importer import ImportedModel
from specbuild.importing.proof_runs import ProofWorker
from specbuild.runtimes.worker_jobs import load_tensors
from specbuild.runtimes.worker_process import WorkerFailure
from specbuild.weights.safetensors_files import write_safetensors

if TYPE_CHECKING:
    from specbuild.importing.trace import Array


def write_text_file(path: Path, text: str, force: bool) -> None:
    """Write a file; an existing one only with `force`."""
    if force:
        replace_file(path, text)
    else:
        create_file(path, text)


def write_tables(imported: ImportedModel, spec: str, force: bool) -> None:
    """Write the tables of a spec beside it. Raises SpecError if the spec is not written to a file."""
    tables = imported.tables
    if spec == "-":
        message = f"the spec has tables that belong beside it, in {tables.file}"
        raise SpecError("SB961", message, hint="name a file: -o net.yaml")
    path = Path(spec).parent / tables.file
    with report_os_errors(path):
        if not force and (path.is_symlink() or path.exists()):
            raise write_error(path, "the file exists already", "write over it with --force")
    with replacement_file(path) as temporary:
        write_safetensors(temporary, tables.arrays, {})


def require_targets(spec: str, weights: Path | None, force: bool) -> None:
    """Raise SpecError SB702 if a file cannot be written: before code runs, so that not one of two is written."""
    targets = [Path(spec)] if spec != "-" else []
    if weights is not None:
        if weights.suffix != ".safetensors":
            raise write_error(weights, "it does not end in .safetensors")
        targets.append(weights)
    for path in targets:
        with report_os_errors(path):
            if path.is_dir() or (path.exists() and not path.is_file()):
                raise write_error(path, "it is not a regular file")
            if not force and (path.is_symlink() or path.exists()):
                raise write_error(path, "the file exists already", "write over it with --force")
            if not path.parent.is_dir():
                raise write_error(path, "its folder does not exist")


def read_own_weights(imported: ImportedModel, worker: ProofWorker) -> dict[str, Array]:
    """Return the weights that the original has, under the names of the spec, as they are stored for every framework.

    Raises SpecError SB961 if the process that has the original does not give them.
    """
    with tempfile.TemporaryDirectory(prefix="specbuild-") as folder:
        out = str(Path(folder) / "weights.safetensors")
        try:
            worker.run_job({"do": "weights", "out": out})
            published = load_tensors(out)
        except (WorkerFailure, FileNotFoundError) as failure:
            raise SpecError("SB961", f"the weights of the original cannot be read: {failure}") from None
    own = imported.carry_weights(published)
    return from_framework(imported.locations, own)
