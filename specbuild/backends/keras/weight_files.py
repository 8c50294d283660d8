"""The weight files of Keras: `.weights.h5` files, and `.keras` archives that contain one."""

from __future__ import annotations

import os
from collections.abc import Collection
from importlib.util import find_spec

from msgspec.structs import replace

from specbuild.backends.file_kind import FileKind
from specbuild.backends.keras.runtimes import RUNTIMES
from specbuild.runtimes.live_model import missing_package
from specbuild.runtimes.runtime import Runtime

FASTEST_FIRST = ("jax", "tensorflow", "torch")  # to start
ENGINE_HINT = "Keras runs on tensorflow, jax or torch: install one, and set KERAS_BACKEND to its name"


def select_runtime() -> Runtime:
    """Return the runtime that KERAS_BACKEND names, else the first that is installed."""
    wanted = os.environ.get("KERAS_BACKEND", "")
    names = (wanted,) if wanted in FASTEST_FIRST else FASTEST_FIRST
    for name in names:
        if find_spec(name) is not None:
            return next(runtime for runtime in RUNTIMES if runtime.name == name)
    missing = wanted if wanted in names else "one of tensorflow, jax and torch"
    raise missing_package("keras", missing, ENGINE_HINT)


def is_keras_archive(members: Collection[str]) -> bool:
    return "config.json" in members


WEIGHTS_H5 = FileKind(
    name="h5",
    backend="keras",
    title="Keras",
    endings=(".weights.h5",),
    worker="specbuild.backends.keras.weights_worker:open_weights_worker",
    find_runtime=select_runtime,
    description=".weights.h5",
    modules=("h5py",),
    needs_program=True,
    program_modules=("keras",),
    first_bytes=b"\x89HDF\r\n\x1a\n",
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
