"""PyTorch: channels after the batch for maps, last for sequences."""

from specbuild.backends.torch import activation, arrange, logic, math, merge, mix, norm, pool, reduce, shape, table
from specbuild.backends.torch.base import backend

__all__ = ["activation", "arrange", "backend", "logic", "math", "merge", "mix", "norm", "pool", "reduce", "shape", "table"]
