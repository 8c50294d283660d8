"""Attributes that the code for Keras needs as numbers: TensorFlow has a size that can be any as a tensor."""

from __future__ import annotations

from specbuild.ops.arrange import Slice
from specbuild.ops.base import Op
from specbuild.ops.kernel_values import KernelConv
from specbuild.ops.neighbourhood import Fold, Pad, Unfold
from specbuild.ops.pool import AdaptiveAvgPool, AdaptiveMaxPool, MaxPool

WINDOW = ("kernel", "stride", "padding", "dilation")  # helpers count the points of a window in Python
FIXED_ATTRIBUTES: dict[type[Op], tuple[str, ...]] = {
    Unfold: WINDOW,
    Fold: WINDOW,
    MaxPool: WINDOW,
    AdaptiveAvgPool: ("size",),
    AdaptiveMaxPool: ("size",),
    KernelConv: ("stride", "dilation"),
    Slice: ("step",),
}


def list_fixed_attributes(op: Op) -> tuple[str, ...]:
    """Return the names of the attributes that cannot be computed from a size that can be any."""
    names = FIXED_ATTRIBUTES.get(type(op), ())
    is_copied = isinstance(op, Pad) and op.mode in ("circular", "replicate")
    is_copied |= isinstance(op, KernelConv) and op.padding_mode != "zeros"
    return (*names, "padding") if is_copied else names
