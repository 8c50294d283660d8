"""The files that an import writes: the spec, and the weights under its own names."""

from __future__ import annotations

import tempfile
from pathlib import Path

from specbuild.compiler.output_files import create_file, replace_file, report_os_errors, write_error
from specbuild.compiler.weight_locations import from_framework
from specbuild.importing.importer import ImportedModel
from specbuild.runtimes.worker_jobs import load_tensors
from specbuild.runtimes.worker_process import WorkerProcess
from specbuild.weights.safetensors_files import origin_metadata, write_safetensors


def write_text_file(path: Path, text: str, force: bool) -> None:
    """Write a file; an existing one only with `force`."""
    if force:
        replace_file(path, text)
    else:
        create_file(path, text)


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


def carry_own_weights(imported: ImportedModel, worker: WorkerProcess, path: Path) -> None:
    """Write the weights that the original has, under the names of the spec, for every framework."""
    with tempfile.TemporaryDirectory(prefix="specbuild-") as folder:
        out = str(Path(folder) / "weights.safetensors")
        worker.run_job({"do": "weights", "out": out})
        published = load_tensors(out)
    own = imported.carry_weights(published)
    canonical = from_framework(imported.locations, own)
    write_safetensors(path, canonical, origin_metadata(imported.model.graph.name))
