"""Names that a spec cannot use because of Keras and the code emitted for it."""

from specbuild.backends.parts import ReservedNames
from specbuild.frontend.names import KERAS_NAMES

RESERVED_NAMES = ReservedNames(attributes=KERAS_NAMES)
