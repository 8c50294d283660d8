"""Read and write Keras weight files: `python -m specbuild.backends.keras.weights_worker FOLDER`.

FOLDER contains `job.json`. In a `.weights.h5` file, and in the one inside a `.keras` archive, Keras stores a
variable under a path made of class and attribute names, which changes between Keras releases. So the emitted
file is executed, and the path of each variable is found by saving the model with every variable filled with
its own index.

A file to be read is opened with h5py only: its configuration is ignored, and no code in it is executed.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import load_file, save_file

from specbuild.runtimes.archive_limits import is_oversized

WEIGHTS_MEMBER = "model.weights.h5"  # in a .keras archive
# What `model.compile` and training add to a file.
TRAINING_PREFIXES = ("optimizer/", "metrics/", "_metrics/", "loss/", "compile_metrics/")
SEED_STATE = "seed_generator"  # the random state of a dropout layer, which is not a weight
MAX_DEPTH = 64


class RefusedFile(Exception):
    """A file that is not read; the message says why."""


def run_weights_job(folder: Path) -> None:
    """Run the job of a folder, and write `result.json`: empty, or an error."""
    job = json.loads((folder / "job.json").read_text())
    try:
        if job["do"] == "read":
            save_file(read_variables(job, folder), folder / "out.safetensors")
        else:
            write_variables(job, folder)
        result = {}
    except RefusedFile as error:
        result = {"error": str(error)}
    (folder / "result.json").write_text(json.dumps(result))


# -------------------------------------------------------------------------------------------------- the model


def build_model(job: dict[str, Any]) -> Any:
    """Execute the emitted file of a job, and instantiate its model in float32."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    keras.config.disable_traceback_filtering()
    source = Path(job["source"])
    scope: dict[str, Any] = {"__name__": source.stem}
    exec(compile(source.read_text(encoding="utf-8"), source.name, "exec"), scope)
    constructor = scope[job["model"]]
    required = [p.name for p in inspect.signature(constructor).parameters.values() if p.default is p.empty]
    return constructor(**{name: job["arguments"][name] for name in required})


def map_variable_paths(model: Any) -> dict[str, str]:
    """The path of each variable of the model, by its path in a saved file. Overwrites the model's weights."""
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


def read_variables(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The arrays of a file, by the path of the model's variable, or by the file's path without a model."""
    path = Path(job["file"])
    if job["kind"] == "keras":
        path = extract_weights(path, folder)
    try:
        with h5py.File(path, "r") as file:
            if "layer_names" in file.attrs:
                return read_legacy_file(file)
            variable_paths = map_variable_paths(build_model(job)) if job.get("model") else {}
            return {
                variable_paths.get(name, name): load_array(name, data)
                for name, data in iterate_datasets(file)
                if not name.startswith(TRAINING_PREFIXES) and SEED_STATE not in variable_paths.get(name, name)
            }
    except (OSError, KeyError, ValueError, TypeError, UnicodeError) as error:
        raise RefusedFile(f"it cannot be read as HDF5: {str(error).splitlines()[0]}") from None


def extract_weights(path: Path, folder: Path) -> Path:
    """Extract the weight file of a `.keras` archive into a folder, and return its path."""
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS_MEMBER not in archive.namelist():
            raise RefusedFile(f"the archive contains no {WEIGHTS_MEMBER}")
        try:
            return Path(archive.extract(WEIGHTS_MEMBER, folder))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise RefusedFile(f"{WEIGHTS_MEMBER} cannot be unpacked: {error}") from None


def iterate_datasets(
    group: Any, prefix: str = "", parents: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Any]]:
    """All datasets of a file by path; raises RefusedFile at links to other files and at cycles."""
    if len(parents) > MAX_DEPTH:
        raise RefusedFile(f"its groups are nested more than {MAX_DEPTH} deep")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise RefusedFile(f"{prefix}{name} is a soft or external link")
        member = group[name]
        if isinstance(member, h5py.Dataset):
            yield f"{prefix}{name}", member
        elif isinstance(member, h5py.Group):
            address = h5py.h5o.get_info(member.id).addr
            if address in parents:
                raise RefusedFile(f"{prefix}{name} contains itself")
            yield from iterate_datasets(member, f"{prefix}{name}/", parents | {address})


def read_legacy_file(file: Any) -> dict[str, Any]:
    """The arrays of a file in the older Keras format, by variable name."""
    return {
        name.removesuffix(":0"): load_array(name, data)
        for layer in file
        for name, data in iterate_datasets(file[layer])
        if not name.startswith(TRAINING_PREFIXES) and SEED_STATE not in name
    }


def load_array(name: str, data: Any) -> Any:
    """Load a dataset; raises RefusedFile if it is not numeric, or declares far more than the file stores."""
    if data.dtype.kind not in "fiub" or data.dtype.itemsize > 8:
        raise RefusedFile(f"{name} does not contain numbers")
    if data.external or data.is_virtual:
        raise RefusedFile(f"{name} is stored in another file")
    if data.shape is None or is_oversized(data.nbytes, data.id.get_storage_size()):
        raise RefusedFile(f"{name} of shape {data.shape} is far larger than the data stored for it")
    value = np.array(data[()], order="C")
    if value.dtype == np.float16:
        return value.astype("float32")
    return value.astype(value.dtype.newbyteorder("="))


# ---------------------------------------------------------------------------------------------------- writing


def write_variables(job: dict[str, Any], folder: Path) -> None:
    """Build the model of a job, assign the weights, and save it in the job's format."""
    values, model = load_file(folder / "in.safetensors"), build_model(job)
    variables = {v.path: v for v in model.weights if SEED_STATE not in v.path}
    if set(variables) != set(values):
        raise RuntimeError(f"variables and weights differ: {sorted(set(variables) ^ set(values))[:5]}")
    for path, variable in variables.items():
        variable.assign(values[path])
    target = folder / job["name"]
    if job["kind"] == "keras":
        model.save(target)
    else:
        model.save_weights(target)


if __name__ == "__main__":
    run_weights_job(Path(sys.argv[1]))
