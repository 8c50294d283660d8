"""How a process of its own is started: nothing in the current folder stands in for a package there."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def module_command(module: str, *arguments: str) -> list[str]:
    """What runs a module of specbuild. `-P` keeps the current folder out of the places to import from."""
    return [sys.executable, "-P", "-m", module, *arguments]


def env_with_import_path(env: Mapping[str, str]) -> dict[str, str]:
    """The variables with specbuild among the places to import from; an empty one would be the current folder."""
    search_path = env.get("PYTHONPATH", "").split(os.pathsep)
    return {
        **env,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, search_path)]),
    }
