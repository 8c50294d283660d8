"""What the constructors of modules are given, by name. Copies, such as the layers of `nn.TransformerEncoder`, have it too."""

from __future__ import annotations

import sys
from itertools import count
from typing import Any

from torch import nn

MARK = "_specbuild_constructor"  # an attribute of modules: the number of their constructor's call
NUMBERS = count()  # never used twice: a module may have been made while another watch was open


class ConstructorWatch:
    """While it is open, every module that is made remembers what its constructor was given, by name."""

    def __init__(self) -> None:
        self.arguments: dict[int, dict[str, Any]] = {}  # by the number that the modules are marked with

    def find_arguments(self, module: Any) -> dict[str, Any] | None:
        """Return the arguments of the constructor of a module, or of the one that it is a copy of."""
        return self.arguments.get(vars(module).get(MARK, -1))

    def __enter__(self) -> ConstructorWatch:
        self.original = original = nn.Module.__init__
        arguments = self.arguments

        def remember(module: Any, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            given = find_constructor_arguments(module)
            if given is not None:
                number = vars(module)[MARK] = next(NUMBERS)
                arguments[number] = given

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
