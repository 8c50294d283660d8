"""Emitted source as a live model: the one place beside `parity` where a framework is imported."""

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
    """The model that this source makes, with the parameters that it was compiled for."""
    if find_spec(backend) is None:
        raise missing_package(backend, backend)
    try:
        module = import_source(source, f"{to_snake_case(graph.kind)}_{backend}")
    except ModuleNotFoundError as error:
        raise missing_package(backend, error.name or "a module") from error
    constructor = getattr(module, graph.kind)
    arguments = inspect.signature(constructor).parameters.values()
    return constructor(
        **{a.name: graph.params[a.name] for a in arguments if a.default is a.empty and a.name in graph.params}
    )


def import_source(source: str, name: str) -> ModuleType:
    """The source as a module, made once: classes can be inspected, traced and pickled in this process."""
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
    if module == backend:
        message, hint = (
            f"{backend} is not installed",
            f"in a checkout of specbuild: pip install '.[{backend}]'",
        )
    else:
        message = f"{backend} needs {module}, which is not installed"
        hint = "Keras runs on tensorflow, jax or torch: install one, and name it in KERAS_BACKEND"
    return SpecError("SB603", message, hint=hint)
