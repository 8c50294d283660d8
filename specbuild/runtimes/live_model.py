"""Execute an emitted file and instantiate its model, in this process and not in a worker."""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.names import to_snake_case
from specbuild.ir.graph import Block


def instantiate_model(source: str, graph: Block, backend: str) -> Any:
    """Instantiate the model of an emitted file, with the parameters of `graph` where it has no defaults.

    Raises SpecError SB603 if the framework is not installed.
    """
    if find_spec(backend) is None:
        raise missing_package(backend, backend)
    try:
        module = import_source(source, f"{to_snake_case(graph.kind)}_{backend}")
    except ModuleNotFoundError as error:
        raise missing_package(backend, error.name or "a module") from error
    constructor = getattr(module, graph.kind)
    arguments = inspect.signature(constructor).parameters.values()
    required = [a.name for a in arguments if a.default is a.empty and a.name in graph.params]
    return constructor(**{name: graph.params[name] for name in required})


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


def missing_package(backend: str, module: str) -> SpecError:
    """The error SB603 for a module that a backend needs."""
    if module == backend:
        message = f"{backend} is not installed"
        hint = f"in a checkout of specbuild: pip install '.[{backend}]'"
    else:
        message = f"{backend} needs {module}, which is not installed"
        hint = "Keras runs on tensorflow, jax or torch: install one, and set KERAS_BACKEND to its name"
    return SpecError("SB603", message, hint=hint)
