"""Limits for files from untrusted sources: small ones that unpack to enormous ones, and ones of very many tensors."""

from __future__ import annotations

import zipfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python without it reads no such archives
    LZMAError = zlib.error  # type: ignore[assignment, misc]

# What reading a damaged zip archive can raise.
ARCHIVE_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, LZMAError, EOFError),
    *(OSError, ValueError, NotImplementedError, RuntimeError),
)
# A member of an archive is refused if it exceeds both limits; no real file of weights does.
SIZE_LIMIT = 1 << 28  # bytes
RATIO_LIMIT = 100  # unpacked size / stored size
MAX_TENSORS = 50_000  # of one file of weights; each takes time by itself, however small it is
MAX_INDEX = (
    1 << 24
)  # bytes of the part of a file that lists its tensors; 50,000 with long names take 10 million
TOO_LONG = f"the list of its tensors has more than {MAX_INDEX >> 20} MiB"
TOO_MANY = f"it has more than {MAX_TENSORS:,} tensors"


def is_oversized(declared_size: int, stored_size: int) -> bool:
    """Return whether the unpacked size that an archive declares is implausible for its stored size, in bytes."""
    return declared_size > SIZE_LIMIT and declared_size > RATIO_LIMIT * stored_size
