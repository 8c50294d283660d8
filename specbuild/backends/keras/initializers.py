"""Initialisers in Keras, with PyTorch's numbers."""

from __future__ import annotations

from typing import Any

from specbuild.codegen.tree import Call, Expr, Literal, Name
from specbuild.ops.attribute_kinds import Init

INITIALIZER_CLASSES = {
    "constant": ("Constant", ("value",)),
    "normal": ("RandomNormal", ("stddev",)),
    "truncated_normal": ("TruncatedNormal", ("stddev",)),
    "uniform": ("RandomUniform", ("minval", "maxval")),
    "orthogonal": ("Orthogonal", ()),
}
INITIALIZER_NAMES = {"zeros": "zeros", "ones": "ones", "xavier_uniform": "glorot_uniform"}

# Keras' HeNormal and GlorotNormal are cut at two standard deviations; PyTorch's are not.
VARIANCE_SCALING = {
    "kaiming_uniform": (2.0, "uniform"),
    "kaiming_normal": (2.0, "untruncated_normal"),
    "xavier_normal": (1.0, "untruncated_normal"),
}


def emit_initializer(begin: Init | None, default: str) -> Expr:
    """How a weight begins, as an argument; `default` where the spec does not say."""
    if begin is None:
        return Literal(default)
    if begin.kind in INITIALIZER_NAMES:
        return Literal(INITIALIZER_NAMES[begin.kind])
    if begin == Init("kaiming_uniform"):
        return Literal("he_uniform")
    if begin.kind in VARIANCE_SCALING:
        scale, distribution = VARIANCE_SCALING[begin.kind]
        mode = "fan_avg" if begin.kind == "xavier_normal" else begin.mode
        given: dict[str, Any] = {"scale": scale, "mode": mode, "distribution": distribution}
        return Call(
            Name("keras.initializers.VarianceScaling"), (), tuple((k, Literal(v)) for k, v in given.items())
        )
    name, keywords = INITIALIZER_CLASSES[begin.kind]
    args = begin.args
    if begin.kind in ("normal", "truncated_normal") and not args:
        args = (1.0,)  # Keras' own default is 0.05
    if begin.kind == "uniform" and len(args) == 1:
        args = (-args[0], args[0])
    return Call(
        Name(f"keras.initializers.{name}"),
        (),
        tuple((k, Literal(v)) for k, v in zip(keywords, args, strict=True)),
    )
