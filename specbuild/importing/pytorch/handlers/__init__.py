"""The handlers of PyTorch: each module registers its own in the table."""

from specbuild.importing.pytorch.handlers import (  # noqa: F401  # they register their functions
    assigning,
    attention,
    convolution,
    distances,
    elementwise,
    indexing,
    multihead,
    neighbourhood,
    norm,
    pooling,
    recurrent,
    reduction,
    sampling,
    selection,
    shape,
)
