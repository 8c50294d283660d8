"""Who uses the folder of a sweep: files of a run that has not written its manifest yet look like those of an earlier one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

# Windows has no such locks
fcntl: Any = import_module("fcntl") if os.name == "posix" else None


@contextmanager
def use_folder(folder: Path) -> Iterator[int]:
    """Mark a folder as used by a run, for as long as the context is open; yield its descriptor, -1 without locks."""
    if fcntl is None:
        yield -1
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network folders have no locks
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield descriptor
    finally:
        os.close(descriptor)


def is_only_user(descriptor: int) -> bool | None:
    """Return whether no other run uses the folder, and keep others out until it is released; None if that is unknown."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
