"""Named neural networks in YAML, compiled to native PyTorch and Keras source."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from specbuild.version import __version__

if TYPE_CHECKING:
    from specbuild.api import Model, compile, load
    from specbuild.diagnostics.errors import SpecError, SpecErrors

__all__ = ["Model", "SpecError", "SpecErrors", "__version__", "compile", "load"]

_MODULES = {"SpecError": "specbuild.diagnostics.errors", "SpecErrors": "specbuild.diagnostics.errors"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_MODULES.get(name, "specbuild.api")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
