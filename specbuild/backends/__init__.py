"""One package for each framework. None of them imports its framework."""

from __future__ import annotations

from importlib import import_module

from specbuild.backends.base import Backend

BACKEND_NAMES = ("torch", "keras")


def load_backend(name: str) -> Backend:
    """Return the backend with this name, with the emitters of all ops registered."""
    backend: Backend = import_module(f"specbuild.backends.{name}.backend").backend
    return backend
