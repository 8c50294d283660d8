"""One package for each framework. None of them imports its framework."""

from specbuild.backends.registry import BACKEND_NAMES, all_backend_names, load_backend

__all__ = ["BACKEND_NAMES", "all_backend_names", "load_backend"]
