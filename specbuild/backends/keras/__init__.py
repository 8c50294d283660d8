"""Keras 3: channels last for maps and sequences alike."""

from specbuild.backends.keras import activation, merge, mix, norm, pool, reduce, shape, table
from specbuild.backends.keras.base import backend

__all__ = ["activation", "backend", "merge", "mix", "norm", "pool", "reduce", "shape", "table"]
