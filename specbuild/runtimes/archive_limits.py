"""The limit on compressed files from strangers: a small file may not unpack to an enormous one."""

from __future__ import annotations

# A member that is larger than this, and than so many times its stored size, cannot be a file of weights.
SIZE_LIMIT = 1 << 28  # bytes
RATIO_LIMIT = 100


def is_oversized(declared_size: int, stored_size: int) -> bool:
    """Whether `declared` bytes are too many for the `stored` bytes that they are unpacked from."""
    return declared_size > SIZE_LIMIT and declared_size > RATIO_LIMIT * stored_size
