"""PyTorch: channels after the batch for maps, last for sequences."""

from specbuild.backends.torch import activation, merge, mix, norm, pool, reduce, shape, table
from specbuild.backends.torch.base import backend

__all__ = ["activation", "backend", "merge", "mix", "norm", "pool", "reduce", "shape", "table"]
