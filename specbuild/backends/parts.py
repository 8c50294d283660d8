"""The kinds of weight files of a framework, which a backend lists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileKind:
    """A kind of weight file that the framework itself writes."""

    name: str  # in jobs, reports and errors: "h5"
    endings: tuple[str, ...]  # of file names, longest first: (".weights.h5",)
    modules: tuple[str, ...] = ()  # that must be installed to read or write it
    needs_program: bool = False  # whether the worker builds the emitted model, to know the names in the file
