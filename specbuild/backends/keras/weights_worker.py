"""The worker that reads and writes Keras weight files.

In a `.weights.h5` file, and in the one inside a `.keras` archive, Keras stores a variable under a path made of
class and attribute names, which changes between Keras releases. So the emitted file is executed, and the path
of each variable is found by saving the model with every variable filled with its own index.

A file to be read is opened with h5py only: its configuration is ignored, and no code in it is executed.
"""

from __future__ import annotations

import inspect
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from specbuild.runtimes.archive_limits import is_oversized
from specbuild.runtimes.emitted_file import execute_source
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, Tensors, Worker, load_tensors

WEIGHTS_MEMBER = "model.weights.h5"  # in a .keras archive
# What `model.compile` and training add to a file.
TRAINING_PREFIXES = ("optimizer/", "metrics/", "_metrics/", "loss/", "compile_metrics/")
SEED_STATE = "seed_generator"  # the random state of a dropout layer, which is not a weight
MAX_DEPTH = 64


def open_weights_worker(options: WorkerOptions) -> Worker:
    return Worker(run_job)


def run_job(job: Job) -> Tensors | None:
    """Return the variables in the file of a job, or write that file."""
    if job["do"] == "read":
        return read_variables(job, Path(job["out"]).parent)
    write_variables(job)
    return None


# -------------------------------------------------------------------------------------------------- the model


def instantiate_model_file(job: Job) -> Any:
    """Execute the emitted file of a job, and instantiate its model in float32."""
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.disable_traceback_filtering()
    source = Path(job["file"]).read_text(encoding="utf-8")
    constructor = execute_source(source, job, {})[job["model"]]
    required = [p.name for p in inspect.signature(constructor).parameters.values() if p.default is p.empty]
    return constructor(**{name: job["arguments"][name] for name in required})


def map_variable_paths(model: Any) -> dict[str, str]:
    """Return the path of each variable of the model, by its path in a saved file.

    Overwrites the model's weights.
    """
    for number, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, number, variable.dtype))
    with tempfile.TemporaryDirectory() as folder:
        model.save_weights(Path(folder) / "model.weights.h5")
        with h5py.File(Path(folder) / "model.weights.h5", "r") as file:
            numbers = {path: int(data[()].flat[0]) for path, data in iterate_datasets(file)}
    paths = {path: model.weights[number].path for path, number in numbers.items()}
    if len(paths) != len(model.weights):
        raise RuntimeError(f"{len(paths)} arrays were saved for {len(model.weights)} variables")
    return paths


# ---------------------------------------------------------------------------------------------------- reading


def read_variables(job: Job, folder: Path) -> Tensors:
    """Return the arrays of a file, by the path of the model's variable, or by the file's path without a model."""
    path = Path(job["path"])
    if job["kind"] == "keras":
        path = extract_weights(path, folder)
    try:
        with h5py.File(path, "r") as file:
            if "layer_names" in file.attrs:
                return read_legacy_file(file)
            variable_paths = map_variable_paths(instantiate_model_file(job)) if job.get("model") else {}
            return {
                variable_paths.get(name, name): load_array(name, data)
                for name, data in iterate_datasets(file)
                if not name.startswith(TRAINING_PREFIXES) and SEED_STATE not in variable_paths.get(name, name)
            }
    except (OSError, KeyError, ValueError, TypeError, UnicodeError) as error:
        raise RefusedJob(f"it cannot be read as HDF5: {str(error).splitlines()[0]}") from None


def extract_weights(path: Path, folder: Path) -> Path:
    """Extract the weight file of a `.keras` archive into a folder, and return its path."""
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS_MEMBER not in archive.namelist():
            raise RefusedJob(f"the archive contains no {WEIGHTS_MEMBER}")
        try:
            return Path(archive.extract(WEIGHTS_MEMBER, folder))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise RefusedJob(f"{WEIGHTS_MEMBER} cannot be unpacked: {error}") from None


def iterate_datasets(
    group: Any, prefix: str = "", parents: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Any]]:
    """Yield all datasets of a file by path; raises RefusedJob at links to other files and at cycles."""
    if len(parents) > MAX_DEPTH:
        raise RefusedJob(f"its groups are nested more than {MAX_DEPTH} deep")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise RefusedJob(f"{prefix}{name} is a soft or external link")
        member = group[name]
        if isinstance(member, h5py.Dataset):
            yield f"{prefix}{name}", member
        elif isinstance(member, h5py.Group):
            address = h5py.h5o.get_info(member.id).addr
            if address in parents:
                raise RefusedJob(f"{prefix}{name} contains itself")
            yield from iterate_datasets(member, f"{prefix}{name}/", parents | {address})


def read_legacy_file(file: Any) -> dict[str, Any]:
    """Return the arrays of a file in the older Keras format, by variable name."""
    return {
        name.removesuffix(":0"): load_array(name, data)
        for layer in file
        for name, data in iterate_datasets(file[layer])
        if not name.startswith(TRAINING_PREFIXES) and SEED_STATE not in name
    }


def load_array(name: str, data: Any) -> Any:
    """Load a dataset; raises RefusedJob if it is not numeric, or declares far more than the file stores."""
    if data.dtype.kind not in "fiub" or data.dtype.itemsize > 8:
        raise RefusedJob(f"{name} does not contain numbers")
    if data.external or data.is_virtual:
        raise RefusedJob(f"{name} is stored in another file")
    if data.shape is None or is_oversized(data.nbytes, data.id.get_storage_size()):
        raise RefusedJob(f"{name} of shape {data.shape} is far larger than the data stored for it")
    value = np.array(data[()], order="C")
    if value.dtype == np.float16:
        return value.astype("float32")
    return value.astype(value.dtype.newbyteorder("="))


# ---------------------------------------------------------------------------------------------------- writing


def write_variables(job: Job) -> None:
    """Build the model of a job, assign the weights, and save it in the job's format."""
    values, model = load_tensors(job["arrays"]), instantiate_model_file(job)
    variables = {v.path: v for v in model.weights if SEED_STATE not in v.path}
    if set(variables) != set(values):
        raise RuntimeError(f"variables and weights differ: {sorted(set(variables) ^ set(values))[:5]}")
    for path, variable in variables.items():
        variable.assign(values[path])
    if job["kind"] == "keras":
        model.save(job["path"])
    else:
        model.save_weights(job["path"])
