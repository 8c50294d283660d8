"""The parts of a backend that are plain data: kinds of weight files."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileKind:
    """A kind of weight file that the framework itself writes."""

    name: str  # in jobs, reports and errors: "h5"
    endings: tuple[str, ...]  # of file names, longest first: (".weights.h5",)
    modules: tuple[str, ...] = ()  # that must be installed to read or write it
    needs_program: bool = (
        False  # whether the worker builds the emitted model to know the names of its weights
    )
