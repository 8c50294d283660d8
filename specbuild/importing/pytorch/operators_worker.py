"""Stand-ins by name for compiled operators of torchvision that are missing: beside a PyTorch that it was not built for.

`import torchvision` fails then, since it registers something for an operator that does not exist. Its networks never
call these operators; one that does ends with an error of PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import torch

MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
Made = TypeVar("Made")

# What this process has defined: PyTorch takes the definitions back when the library is freed.
defined: dict[str, Any] = {}


def call_with_operators(make: Callable[[], Made]) -> Made:
    """Return what a function makes. Where it fails for an operator of torchvision, define it by name and call again."""
    while True:
        try:
            return make()
        except RuntimeError as error:
            match = MISSING.search(str(error))
            if match is None or match[1] in defined:
                raise
        define_operator(match[1])


def define_operator(name: str) -> None:
    """Define an operator that takes nothing and computes nothing."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define(f"{name}(...) -> ...")
    defined[name] = library


def describe_operators() -> list[str]:
    """Return the notes for the report: which operators are defined by name only."""
    if not defined:
        return []
    names = ", ".join(f"torchvision::{name}" for name in defined)
    return [
        f"torchvision was built for another PyTorch than the one that is installed: {names} "
        "are known by name only; a model that calls them cannot be imported"
    ]
