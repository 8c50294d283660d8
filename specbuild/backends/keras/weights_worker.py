"""Reads and writes weights of Keras: `python -m specbuild.backends.keras.weights_worker FOLDER`, which holds job.json.

In a `.weights.h5`, and in the `.keras` archive that holds one, a variable stands under a path that Keras makes of
classes and attributes, which is another in another release. So the emitted file is run, the model made, and the
path of each variable learned from the model itself: it is saved with each variable full of its own number.
A file that is read is opened by h5py alone: no configuration in it is looked at, nothing in it can run.
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
TRAINING_PREFIXES = (
    "optimizer/",
    "metrics/",
    "_metrics/",
    "loss/",
    "compile_metrics/",
)  # what compiling adds
SEED_STATE = "seed_generator"  # the states of dropout, which are no weights
MAX_DEPTH = 64


class RefusedFile(Exception):
    """A file that is not read, and why."""


def run_weights_job(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text())
    try:
        if job["do"] == "read":
            save_file(read_variables(job, folder), folder / "out.safetensors")
        else:
            write_variables(job, folder)
        result = {}
    except RefusedFile as error:
        result = {"fault": str(error)}
    (folder / "result.json").write_text(json.dumps(result))


# ------------------------------------------------------------------------------------------------------- the model


def build_model(job: dict[str, Any]) -> Any:
    """The model of the emitted file, in float32."""
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
    needed = [p.name for p in inspect.signature(constructor).parameters.values() if p.default is p.empty]
    return constructor(**{name: job["arguments"][name] for name in needed})


def map_variable_paths(model: Any) -> dict[str, str]:
    """Where Keras keeps each variable in a file: the variable's own path, by its path there.

    The model's numbers are lost by it.
    """
    for number, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, number, variable.dtype))
    with tempfile.TemporaryDirectory() as folder:
        model.save_weights(Path(folder) / "model.weights.h5")
        with h5py.File(Path(folder) / "model.weights.h5", "r") as opened:
            numbers = {path: int(data[()].flat[0]) for path, data in iterate_datasets(opened)}
    found = {path: model.weights[number].path for path, number in numbers.items()}
    if len(found) != len(model.weights):
        raise RuntimeError(f"{len(found)} places for {len(model.weights)} variables")
    return found


# --------------------------------------------------------------------------------------------------------- reading


def read_variables(job: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Every number of a file, under the path of the variable that it belongs to, or else under its own."""
    path = Path(job["file"])
    if job["kind"] == "keras":
        path = extract_weights(path, folder)
    try:
        with h5py.File(path, "r") as opened:
            if "layer_names" in opened.attrs:
                return read_legacy_file(opened, path)
            places = map_variable_paths(build_model(job)) if job.get("model") else {}
            return {
                places.get(name, name): load_array(name, data, path)
                for name, data in iterate_datasets(opened)
                if not name.startswith(TRAINING_PREFIXES) and SEED_STATE not in places.get(name, name)
            }
    except (OSError, KeyError, ValueError, TypeError, UnicodeError) as error:
        raise RefusedFile(f"it cannot be read as HDF5: {str(error).splitlines()[0]}") from None


def extract_weights(path: Path, folder: Path) -> Path:
    """The file of weights in an archive of Keras."""
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS_MEMBER not in archive.namelist():
            raise RefusedFile(f"the archive holds no {WEIGHTS_MEMBER}")
        try:
            return Path(archive.extract(WEIGHTS_MEMBER, folder))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
            raise RefusedFile(f"{WEIGHTS_MEMBER} cannot be unpacked: {error}") from None


def iterate_datasets(
    group: Any, prefix: str = "", parents: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Any]]:
    """Every array in a file, by its path. What leads to another file, or in a circle, is refused."""
    if len(parents) > MAX_DEPTH:
        raise RefusedFile(f"its groups are more than {MAX_DEPTH} deep")
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise RefusedFile(f"{prefix}{name} is a link to somewhere else")
        here = group[name]
        if isinstance(here, h5py.Dataset):
            yield f"{prefix}{name}", here
        elif isinstance(here, h5py.Group):
            address = h5py.h5o.get_info(here.id).addr
            if address in parents:
                raise RefusedFile(f"{prefix}{name} holds itself")
            yield from iterate_datasets(here, f"{prefix}{name}/", parents | {address})


def read_legacy_file(opened: Any, path: Path) -> dict[str, Any]:
    """The arrays of a file in Keras' older form, in which each variable stands under its name."""
    return {
        name.removesuffix(":0"): load_array(name, data, path)
        for layer in opened
        for name, data in iterate_datasets(opened[layer])
        if not name.startswith(TRAINING_PREFIXES) and SEED_STATE not in name
    }


def load_array(name: str, data: Any, path: Path) -> Any:
    """An array, in memory, if it holds numbers and no more of them than are stored."""
    if data.dtype.kind not in "fiub" or data.dtype.itemsize > 8:
        raise RefusedFile(f"{name} holds no numbers")
    if data.external or data.is_virtual:
        raise RefusedFile(f"{name} lies in another file")
    if data.shape is None or is_oversized(data.nbytes, data.id.get_storage_size()):
        raise RefusedFile(f"{name} of shape {data.shape} is far larger than what is stored of it")
    value = np.array(data[()], order="C")
    return (
        value.astype(value.dtype.newbyteorder("=")) if value.dtype != np.float16 else value.astype("float32")
    )


# --------------------------------------------------------------------------------------------------------- writing


def write_variables(job: dict[str, Any], folder: Path) -> None:
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
