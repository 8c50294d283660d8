"""Temporary files and folders beside output files. What a killed process left, the next one that writes there removes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
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
    descriptor, name = create_locked(folder, create_temporary_file)
    try:
        if fcntl is None:
            os.close(descriptor)  # an open file can be neither moved nor removed on Windows
        yield Path(name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)
        if fcntl is not None:
            os.close(descriptor)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a new folder for files that belong together; removed with what is still in it. See `temporary_file`."""
    remove_abandoned(parent)
    descriptor, name = create_locked(parent, create_temporary_folder)
    try:
        yield Path(name)
    finally:
        with suppress(OSError):
            remove_flat_folder(Path(name))
        if descriptor >= 0:
            os.close(descriptor)


def create_temporary_file(folder: Path) -> tuple[int, str]:
    return tempfile.mkstemp(dir=folder, prefix=PREFIX, suffix=SUFFIX)


def create_temporary_folder(parent: Path) -> tuple[int, str]:
    """Create a folder; its descriptor is -1 on Windows, where folders cannot be opened."""
    while True:
        name = tempfile.mkdtemp(dir=parent, prefix=PREFIX, suffix=SUFFIX)
        with suppress(FileNotFoundError):  # another process removed it before it was locked
            return (-1 if fcntl is None else os.open(name, os.O_RDONLY)), name


def remove_flat_folder(folder: Path) -> None:
    """Remove a folder with the files in it; raises OSError if there is another folder in it."""
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def create_locked(folder: Path, create: Callable[[Path], tuple[int, str]]) -> tuple[int, str]:
    """Create a temporary file or folder and lock it; return its descriptor and its path."""
    while True:
        descriptor, name = create(folder)
        if fcntl is None:
            return descriptor, name
        with suppress(OSError):  # some network folders have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor, name
        os.close(descriptor)  # another process removed it before it was locked


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders in a folder that no process has locked."""
    if fcntl is None:
        return
    with suppress(OSError):
        for path in folder.glob(f"{PREFIX}*{SUFFIX}"):
            with suppress(OSError):  # it is locked, gone, or belongs to somebody else
                remove_unlocked(path)


def remove_unlocked(path: Path) -> None:
    """Remove a temporary file or folder; raises OSError if it is locked."""
    is_folder = path.is_dir() and not path.is_symlink()
    descriptor = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if is_folder:
            remove_flat_folder(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)
