"""Temporary files beside output files. A file that a killed process left is removed by the next one that writes there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

# Windows has no such locks: what a killed process leaves there stays.
fcntl: Any = import_module("fcntl") if os.name == "posix" else None

PREFIX, SUFFIX = ".specbuild-", ".tmp"


@contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """Yield a new empty file in the folder, locked while this context is open; removed if it is still there.

    First removes the temporary files of processes that have ended: the system has released their locks.
    """
    remove_abandoned(folder)
    descriptor, name = create_locked(folder)
    try:
        if fcntl is None:
            os.close(descriptor)  # an open file can be neither moved nor removed on Windows
        yield Path(name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
        if fcntl is not None:
            os.close(descriptor)


def create_locked(folder: Path) -> tuple[int, str]:
    """Create a temporary file and lock it; return its descriptor and its path."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=PREFIX, suffix=SUFFIX)
        if fcntl is None:
            return descriptor, name
        with suppress(OSError):  # some network folders have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor, name
        os.close(descriptor)  # another process removed it before it was locked


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files in a folder that no process has locked."""
    if fcntl is None:
        return
    with suppress(OSError):
        for path in folder.glob(f"{PREFIX}*{SUFFIX}"):
            with suppress(OSError):  # it is locked, gone, or belongs to somebody else
                descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()
                finally:
                    os.close(descriptor)
