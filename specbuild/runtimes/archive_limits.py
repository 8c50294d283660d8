"""A limit for compressed files from untrusted sources, against small files that unpack to enormous ones."""

from __future__ import annotations

# A member of an archive is refused if it exceeds both limits; no real file of weights does.
SIZE_LIMIT = 1 << 28  # bytes
RATIO_LIMIT = 100  # unpacked size / stored size


def is_oversized(declared_size: int, stored_size: int) -> bool:
    """Return whether the unpacked size that an archive declares is implausible for its stored size, in bytes."""
    return declared_size > SIZE_LIMIT and declared_size > RATIO_LIMIT * stored_size
