"""The PyTorch backend with the writers of all ops registered."""

from specbuild.backends.torch import ops
from specbuild.backends.torch.framework import backend

__all__ = ["backend", "ops"]
