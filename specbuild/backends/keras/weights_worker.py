"""The worker that reads and writes Keras weight files.

In a `.weights.h5` file, and in the one inside a `.keras` archive, Keras stores a variable under a path made of
class and attribute names, which changes between Keras releases. So the emitted file is executed, and the path
of each variable is found by saving the model with every variable filled with its own index.

A file to be read is opened with h5py only: its configuration is ignored, and no code in it is executed.
"""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from specbuild.runtimes.emitted_file import execute_source
from specbuild.runtimes.hdf5_files import extract_member, iterate_datasets, load_array
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, Tensors, Worker, load_tensors

WEIGHTS_MEMBER = "model.weights.h5"  # in a .keras archive
# What `model.compile` and training add to a file.
TRAINING_PREFIXES = ("optimizer/", "metrics/", "_metrics/", "loss/", "compile_metrics/")
SEED_STATE = "seed_generator"  # the random state of a dropout layer, which is not a weight


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
        path = extract_member(path, WEIGHTS_MEMBER, folder)
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


def read_legacy_file(file: Any) -> dict[str, Any]:
    """Return the arrays of a file in the older Keras format, by variable name."""
    return {
        name.removesuffix(":0"): load_array(name, data)
        for layer in file
        for name, data in iterate_datasets(file[layer])
        if not name.startswith(TRAINING_PREFIXES) and SEED_STATE not in name
    }


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
