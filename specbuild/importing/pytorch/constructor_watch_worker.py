"""What the constructors of modules are given, by name."""

from __future__ import annotations

import sys
from typing import Any

from torch import nn


class ConstructorWatch:
    """While it is open, every module that is made remembers what its constructor was given, by name."""

    def __init__(self) -> None:
        self.arguments: dict[Any, dict[str, Any]] = {}  # by module

    def __enter__(self) -> ConstructorWatch:
        self.original = original = nn.Module.__init__
        arguments = self.arguments

        def remember(module: Any, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            given = find_constructor_arguments(module)
            if given is not None:
                arguments[module] = given

        nn.Module.__init__ = remember
        return self

    def __exit__(self, *error: object) -> None:
        nn.Module.__init__ = self.original


def find_constructor_arguments(module: Any) -> dict[str, Any] | None:
    """Return the arguments of the outermost `__init__` of this module that is running."""
    frame, found = sys._getframe(2), None
    while frame is not None and frame.f_code.co_name == "__init__":
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        if names and frame.f_locals.get(names[0]) is module:
            found = {name: frame.f_locals.get(name) for name in names[1:]}
        frame = frame.f_back  # type: ignore[assignment]
    return found
