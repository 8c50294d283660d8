"""The options of `specbuild compile` that files and packages share."""

from __future__ import annotations

from msgspec import Struct


class OutputOptions(Struct, frozen=True, kw_only=True):
    """How files are written, or compared with those on disk."""

    check: bool = False
    diff: bool = False
    force: bool = False
    as_json: bool = False

    @property
    def is_dry_run(self) -> bool:
        """Whether files are only compared, not written."""
        return self.check or self.diff
