"""The Keras backend with the writers of all ops registered."""

from specbuild.backends.keras import ops
from specbuild.backends.keras.framework import backend

__all__ = ["backend", "ops"]
