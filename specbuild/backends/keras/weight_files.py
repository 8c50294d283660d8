"""The weight files of Keras: `.weights.h5` files, and `.keras` archives that contain one."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from importlib.util import find_spec

from specbuild.backends.file_kind import FileKind
from specbuild.runtimes.live_model import missing_package

RUNTIMES = ("jax", "tensorflow", "torch")  # the fastest to start first


def find_environment() -> dict[str, str]:
    """The variables of the worker: the runtime of KERAS_BACKEND, else the first that is installed."""
    wanted = os.environ.get("KERAS_BACKEND")
    if wanted in RUNTIMES:
        if find_spec(wanted) is None:
            raise missing_package("keras", wanted)
        return worker_variables(wanted)
    for name in RUNTIMES:
        if find_spec(name) is not None:
            return worker_variables(name)
    raise missing_package("keras", "one of tensorflow, jax and torch")


def worker_variables(runtime: str) -> dict[str, str]:
    return {"KERAS_BACKEND": runtime, "TF_CPP_MIN_LOG_LEVEL": "3"}


def is_keras_archive(members: Collection[str]) -> bool:
    return "config.json" in members


WEIGHTS_H5 = FileKind(
    name="h5",
    backend="keras",
    title="Keras",
    endings=(".weights.h5",),
    worker="specbuild.backends.keras.weights_worker",
    description=".weights.h5",
    modules=("h5py",),
    needs_program=True,
    program_modules=("keras",),
    first_bytes=b"\x89HDF\r\n\x1a\n",
    find_environment=find_environment,
)
KERAS_ARCHIVE = replace(
    WEIGHTS_H5,
    name="keras",
    endings=(".keras",),
    description=".keras",
    first_bytes=b"",
    is_own_archive=is_keras_archive,
)
WEIGHT_FILES = (WEIGHTS_H5, KERAS_ARCHIVE)
