"""Execute an emitted file and instantiate its model, in this process and not in a worker."""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.names import to_snake_case
from specbuild.ir.graph import Block


def instantiate_model(source: str, graph: Block, backend: str, arguments: Mapping[str, Any]) -> Any:
    """Instantiate the model of an emitted file, with the parameters of `graph` where it has no defaults.

    `arguments` are those that the constructor takes besides.
    """
    module = import_source(source, f"{to_snake_case(graph.name)}_{backend}")
    constructor = getattr(module, graph.name)
    parameters = inspect.signature(constructor).parameters.values()
    required = [a.name for a in parameters if a.default is a.empty and a.name in graph.params]
    return constructor(**{name: graph.params[name] for name in required}, **arguments)


def import_source(source: str, name: str) -> ModuleType:
    """Import a source text as a module; the same text gives the same module.

    The module is in `sys.modules` and its source in `linecache`, so classes can be pickled, traced and
    inspected.
    """
    name = f"specbuild_{name}_{hashlib.sha256(source.encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    file_name = f"<{name}>"
    module = ModuleType(name)
    module.__file__ = file_name
    linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
    sys.modules[name] = module
    try:
        exec(compile(source, file_name, "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name], linecache.cache[file_name]
        raise
    return module


def missing_package(backend: str, module: str, hint: str) -> SpecError:
    """Return the error SB603 for a module that a backend needs."""
    is_itself = module == backend
    message = (
        f"{backend} is not installed" if is_itself else f"{backend} needs {module}, which is not installed"
    )
    return SpecError("SB603", message, hint=hint)
