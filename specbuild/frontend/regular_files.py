"""Read files of a user without waiting: a pipe, a device, or a file of the kernel may never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

NOT_REGULAR = "it is not a regular file"
OWN_PIPES = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")


def read_regular_file(path: str | os.PathLike[str], limit: int) -> bytes:
    """Return at most `limit` bytes of a file. Raises OSError, also for what is not a regular file."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # to open a device may have an effect
        raise OSError(NOT_REGULAR)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb", buffering=0) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(NOT_REGULAR)
        parts, size = list[bytes](), 0
        while size < limit:
            part = stream.read(limit - size)
            if part is None:  # such as /proc/kmsg, which waits for the next message
                raise OSError(NOT_REGULAR)
            if not part:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)


def is_own_pipe(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a pipe that the caller gave this process: `/dev/stdin`, or `<(command)` of a shell."""
    name = os.fspath(path)
    return name.startswith(OWN_PIPES) and Path(name).is_fifo()
