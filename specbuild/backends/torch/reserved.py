"""Names that a spec cannot use because of PyTorch and the code emitted for it."""

from specbuild.backends.parts import ReservedNames
from specbuild.frontend.names import TORCH_NAMES

RESERVED_NAMES = ReservedNames(attributes=TORCH_NAMES)
