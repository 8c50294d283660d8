"""PyTorch: channels after the batch for maps, last for sequences."""

from specbuild.backends.torch import activation, arrange, contraction, dropout, index, logic, math, merge, mix, neighbourhood, norm, pool, reduce, resize, shape, table
from specbuild.backends.torch.base import backend

__all__ = ["activation", "arrange", "backend", "contraction", "dropout", "index", "logic", "math", "merge", "mix", "neighbourhood", "norm", "pool", "reduce", "resize", "shape", "table"]
