"""Read HDF5 files that a stranger may have made: no links, no cycles, and no array larger than what is stored."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from specbuild.runtimes.archive_limits import ARCHIVE_ERRORS, MAX_TENSORS, TOO_MANY, is_oversized
from specbuild.runtimes.worker_jobs import RefusedJob

MAX_DEPTH = 64


def extract_member(path: Path, member: str, folder: Path) -> Path:
    """Extract one file of a zip archive into a folder, and return its path."""
    with zipfile.ZipFile(path) as archive:
        if member not in archive.namelist():
            raise RefusedJob(f"the archive contains no {member}")
        try:
            return Path(archive.extract(member, folder))
        except ARCHIVE_ERRORS as error:
            raise RefusedJob(f"{member} cannot be unpacked: {error}") from None


def iterate_datasets(group: Any) -> Iterator[tuple[str, Any]]:
    """Yield all datasets of a file by path; raises RefusedJob at links to other files, at cycles and after too many."""
    for count, found in enumerate(iterate_members(group), 1):
        if count > MAX_TENSORS:
            raise RefusedJob(TOO_MANY)
        yield found


def iterate_members(
    group: Any, prefix: str = "", parents: frozenset[int] = frozenset()
) -> Iterator[tuple[str, Any]]:
    """Yield all datasets of a group by path, as `iterate_datasets` does, but without a limit."""
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
            yield from iterate_members(member, f"{prefix}{name}/", parents | {address})


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
