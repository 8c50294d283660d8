"""The PyTorch backend with every op entered in its table."""

from specbuild.backends.torch import ops
from specbuild.backends.torch.layout import backend

__all__ = ["backend", "ops"]
