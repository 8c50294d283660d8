"""Keras 3: channels last for maps and sequences alike."""

from specbuild.backends.keras import activation, arrange, logic, math, merge, mix, norm, pool, reduce, shape, table
from specbuild.backends.keras.base import backend

__all__ = ["activation", "arrange", "backend", "logic", "math", "merge", "mix", "norm", "pool", "reduce", "shape", "table"]
