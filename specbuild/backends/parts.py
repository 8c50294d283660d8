"""The parts of a backend that are plain data: kinds of weight files, and runtimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from specbuild.runtimes.switches import Switch


@dataclass(frozen=True)
class FileKind:
    """A kind of weight file that the framework itself writes."""

    name: str  # in jobs, reports and errors: "h5"
    endings: tuple[str, ...]  # of file names, longest first: (".weights.h5",)
    modules: tuple[str, ...] = ()  # that must be installed to read or write it
    needs_program: bool = (
        False  # whether the worker builds the emitted model to know the names of its weights
    )


@dataclass(frozen=True)
class Runtime:
    """A way to run emitted files: a framework, or one of the engines below it."""

    name: str  # on the command line and in reports: "tensorflow"
    title: str  # in texts: "Keras on TensorFlow"
    modules: tuple[str, ...]  # that must be installed
    worker: str  # the module that runs parity jobs in its own process
    switches: tuple[Switch, ...] = ()  # settings of the framework that parity controls
    variables: Mapping[str, str] = field(default_factory=dict)  # environment of the worker process
