"""The framework whose models an import reads: its backend, and the worker that makes and records them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from specbuild.backends.registry import load_backend

if TYPE_CHECKING:
    from specbuild.backends.base import Backend
    from specbuild.importing.handler_table import HandlerTable
    from specbuild.runtimes.runtime import Runtime


@dataclass(frozen=True)
class ModelReader:
    """What reads the models of one framework, for which there must be a backend: the proof runs its code."""

    backend_name: str
    worker: str  # MODULE:FUNCTION that opens the worker which makes, records and runs a model
    handlers: str  # the module that has the table of handlers, HANDLERS
    usual_axes: Mapping[int, tuple[str, ...]]  # names of axes by their number, after the batch
    exchange_modules: tuple[str, ...] = (
        "numpy",
        "safetensors",
    )  # that arrays of the worker are exchanged with

    @property
    def backend(self) -> Backend:
        return load_backend(self.backend_name)

    @property
    def runtime(self) -> Runtime:
        """The runtime of the worker; emitted files run on it, too."""
        return self.backend.runtimes[0]

    @property
    def handler_table(self) -> HandlerTable:
        table: HandlerTable = import_module(self.handlers).HANDLERS
        return table

    def require_packages(self) -> None:
        """Raise SpecError SB603 unless the framework is installed, with what arrays are exchanged with."""
        for module in (*self.runtime.modules, *self.exchange_modules):
            if find_spec(module) is None:
                raise self.backend.missing_package(module)
