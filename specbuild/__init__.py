"""Named neural networks in YAML, compiled to native PyTorch and Keras source."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from specbuild.errors import SpecError, SpecErrors
    from specbuild.model import Model, compile, load

__version__ = "0.1.0"
__all__ = ["Model", "SpecError", "SpecErrors", "compile", "load"]

_HOMES = {"SpecError": "specbuild.errors", "SpecErrors": "specbuild.errors"}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(_HOMES.get(name, "specbuild.model")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
