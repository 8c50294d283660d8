"""The weight files of NumPy: `.npz` archives."""

from __future__ import annotations

from collections.abc import Collection

from specbuild.backends.file_kind import FileKind


def is_numpy_archive(members: Collection[str]) -> bool:
    return bool(members) and all(name.endswith(".npy") for name in members)


WEIGHT_FILES = (
    FileKind(
        name="npz",
        backend="numpy",
        title="NumPy",
        endings=(".npz",),
        worker="specbuild_example.numpy_backend.weights_worker:open_weights_worker",
        description="archives of numpy.savez (.npz)",
        is_own_archive=is_numpy_archive,
    ),
)
