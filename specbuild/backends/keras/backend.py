"""The Keras backend with every op entered in its table."""

from specbuild.backends.keras import ops
from specbuild.backends.keras.layout import backend

__all__ = ["backend", "ops"]
