"""Keras 3: channels last for maps and sequences alike."""

from specbuild.backends.keras import activation, arrange, contraction, dropout, index, logic, math, merge, mix, neighbourhood, norm, pool, reduce, resize, shape, table
from specbuild.backends.keras.base import backend

__all__ = ["activation", "arrange", "backend", "contraction", "dropout", "index", "logic", "math", "merge", "mix", "neighbourhood", "norm", "pool", "reduce", "resize", "shape", "table"]
