"""One package for each framework; none of them imports its framework."""

from __future__ import annotations

from importlib import import_module

from specbuild.backends.base import Backend

BACKEND_NAMES = ("torch", "keras")


def load_backend(name: str) -> Backend:
    """The backend of this name."""
    found: Backend = import_module(f"specbuild.backends.{name}.backend").backend
    return found
