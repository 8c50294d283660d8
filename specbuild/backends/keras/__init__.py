"""Keras 3: channels last for maps and sequences alike."""

from specbuild.backends.keras import activation, arrange, attention, contraction, index, dropout, logic, math, merge, mix, neighbourhood, norm, pool, recurrent, reduce, resize, shape, table
from specbuild.backends.keras.base import backend

__all__ = ["activation", "arrange", "attention", "backend", "contraction", "index", "dropout", "logic", "math", "merge", "mix", "neighbourhood", "norm", "pool", "recurrent", "reduce", "resize", "shape", "table"]
