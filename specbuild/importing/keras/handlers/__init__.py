"""The handlers of Keras: each module registers its own in the table."""

from specbuild.importing.keras.handlers import (  # noqa: F401  # they register their functions
    convolution,
    elementwise,
    multihead,
    norm,
    pooling,
    recurrent,
    shape,
)
