"""Frameworks that are imported when a test runs.

Every process of the test run reads all test files. If the files imported all frameworks, each process would take
15 seconds longer to start, also for tests that need none.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest


class LazyModule:
    """Stands for a module, and imports it when one of its attributes is read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):  # pytest looks for its own in every value of a test file
            raise AttributeError(attribute)
        return getattr(import_module(self._name), attribute)


def lazy_module(name: str) -> Any:
    """Return a stand-in for a module; where it is not installed, the tests of the calling file are skipped."""
    if find_spec(name.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed", allow_module_level=True)
    return LazyModule(name)
