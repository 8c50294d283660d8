"""Named neural networks in YAML, compiled to native PyTorch and Keras source."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from specbuild.version import __version__

if TYPE_CHECKING:
    from specbuild.api import Model, compile, load
    from specbuild.diagnostics.errors import SpecError, SpecErrors
    from specbuild.importing.live_module import import_module

__all__ = ["Model", "SpecError", "SpecErrors", "__version__", "compile", "import_module", "load"]

_MODULES = {
    "SpecError": "specbuild.diagnostics.errors",
    "SpecErrors": "specbuild.diagnostics.errors",
    "import_module": "specbuild.importing.live_module",
}


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(_MODULES.get(name, "specbuild.api")), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
