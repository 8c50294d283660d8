"""The JSON Schema of a spec."""

from __future__ import annotations

from specbuild.source import Source


def validate(source: Source) -> None:
    return None
