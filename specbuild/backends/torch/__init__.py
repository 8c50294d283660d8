"""PyTorch: channels after the batch for maps, last for sequences."""

from specbuild.backends.torch import activation, arrange, attention, contraction, index, dropout, logic, math, merge, mix, neighbourhood, norm, pool, recurrent, reduce, resize, shape, table
from specbuild.backends.torch.base import backend

__all__ = ["activation", "arrange", "attention", "backend", "contraction", "index", "dropout", "logic", "math", "merge", "mix", "neighbourhood", "norm", "pool", "recurrent", "reduce", "resize", "shape", "table"]
