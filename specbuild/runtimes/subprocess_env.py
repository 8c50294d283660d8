"""Start Python subprocesses that never import modules from the current folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of specbuild.

    `-P` keeps the current folder off the import path.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def env_with_import_path(env: Mapping[str, str]) -> dict[str, str]:
    """Copy environment variables, with specbuild on the import path.

    Empty entries of PYTHONPATH are removed, because they mean the current folder.
    """
    entries = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    package_folder = str(Path(__file__).parents[2])
    return {**env, "PYTHONPATH": os.pathsep.join([package_folder, *entries])}
