"""What the constructors of modules are given, by name. Copies, such as the layers of `nn.TransformerEncoder`, have it too."""

from __future__ import annotations

import dis
import inspect
import re
import sys
from itertools import count
from typing import Any

from torch import nn

# Arguments that hold the sizes of a whole model by name, such as a dataclass `GptConfig`.
SETTINGS = re.compile(
    "^(config|conf|cfg|cnf|args|opts?|options|settings|hparams|hps|params)$|_(config|cfg|args)$"
)
MARK = "_specbuild_constructor"  # an attribute of modules: the number of their constructor's call
NUMBERS = count()  # never used twice: a module may have been made while another watch was open


class ConstructorWatch:
    """While it is open, every module that is made remembers what its constructor was given, by name."""

    def __init__(self) -> None:
        self.arguments: dict[int, dict[str, Any]] = {}  # by the number that the modules are marked with
        self.builders: dict[int, str] = {}  # the functions that returned plain containers, by the same number

    def find_arguments(self, module: Any) -> dict[str, Any] | None:
        """Return the arguments of the constructor of a module, or of the one that it is a copy of."""
        return self.arguments.get(vars(module).get(MARK, -1))

    def find_builder(self, module: Any) -> str:
        """Return the name of the function that returned a plain `nn.Sequential`; empty if none did."""
        return self.builders.get(vars(module).get(MARK, -1), "")

    def __enter__(self) -> ConstructorWatch:
        self.original = original = nn.Module.__init__
        arguments, builders = self.arguments, self.builders

        def remember(module: Any, *args: Any, **kwargs: Any) -> None:
            original(module, *args, **kwargs)
            built = find_builder(sys._getframe(1)) if type(module) is nn.Sequential else None
            given = find_constructor_arguments(module) if built is None else built[1]
            if given is not None:
                given = spread_settings(given)
                number = vars(module)[MARK] = next(NUMBERS)
                arguments[number] = given
                if built is not None:
                    builders[number] = built[0]

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


def find_defaults(module: Any) -> dict[str, Any]:
    """Return the defaults of the constructor of a module, by name."""
    parameters = inspect.signature(type(module).__init__).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def find_builder(frame: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the function that returns the container which is being made, with its arguments; None if none does.

    `frame` is that of the container's `__init__`. A function that does something else with it is none.
    """
    caller = frame.f_back
    if caller is None or caller.f_code.co_name.startswith(("<", "__")):
        return None
    following = (i for i in dis.get_instructions(caller.f_code) if i.offset > caller.f_lasti)
    if next(following).opname != "RETURN_VALUE":
        return None
    code = caller.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return code.co_name, {name: caller.f_locals.get(name) for name in names if name not in ("self", "cls")}


def spread_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with the entries of those that hold settings beside them, where nothing else has their name."""
    spread: dict[str, Any] = {}
    for name, value in given.items():
        if SETTINGS.search(name) and not isinstance(value, nn.Module):
            entries = value if isinstance(value, dict) else getattr(value, "__dict__", {})
            spread |= {key: entry for key, entry in entries.items() if isinstance(key, str)}
    return {**spread, **given}
