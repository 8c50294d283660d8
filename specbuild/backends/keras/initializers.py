"""Initializers in Keras, with the same distributions as in PyTorch."""

from __future__ import annotations

from typing import Any

from specbuild.codegen.tree import Call, Expr, Literal, Name
from specbuild.ops.initializers import MATRIX_INITS, Init

INITIALIZER_CLASSES = {
    "constant": ("Constant", ("value",)),
    "normal": ("RandomNormal", ("stddev",)),
    "truncated_normal": ("TruncatedNormal", ("stddev",)),
    "uniform": ("RandomUniform", ("minval", "maxval")),
    "orthogonal": ("Orthogonal", ()),
}
INITIALIZER_NAMES = {"zeros": "zeros", "ones": "ones", "xavier_uniform": "glorot_uniform"}

# kind -> scale and distribution. Unlike PyTorch's, Keras' HeNormal and GlorotNormal are truncated.
VARIANCE_SCALING = {
    "kaiming_uniform": (2.0, "uniform"),
    "xavier_normal": (1.0, "untruncated_normal"),
}


def emit_initializer(init: Init | None, default: str) -> Expr:
    """Return an initializer argument; `default` if the spec gives none."""
    if init is None:
        return Literal(default)
    if init.kind in INITIALIZER_NAMES:
        return Literal(INITIALIZER_NAMES[init.kind])
    if init == Init("kaiming_uniform"):
        return Literal("he_uniform")
    if init.kind == "kaiming_normal":
        return Call(Name("kaiming_normal"), () if init.mode == "fan_in" else (Literal(init.mode),))
    if init.kind in VARIANCE_SCALING:
        scale, distribution = VARIANCE_SCALING[init.kind]
        mode = "fan_avg" if init.kind == "xavier_normal" else init.mode
        arguments: dict[str, Any] = {"scale": scale, "mode": mode, "distribution": distribution}
        return Call(
            Name("keras.initializers.VarianceScaling"),
            (),
            tuple((k, Literal(v)) for k, v in arguments.items()),
        )
    name, keywords = INITIALIZER_CLASSES[init.kind]
    args = init.args
    if init.kind in ("normal", "truncated_normal") and not args:
        args = (1.0,)  # Keras' default is 0.05
    if init.kind == "uniform" and len(args) == 1:
        args = (-args[0], args[0])
    return Call(
        Name(f"keras.initializers.{name}"),
        (),
        tuple((k, Literal(v)) for k, v in zip(keywords, args, strict=True)),
    )


def emit_wrapped_initializer(wrapper: str, init: Init | None, default: str) -> Expr:
    """Return an initializer argument for a weight whose inputs and outputs Keras cannot read from its shape.

    If the values depend on these, the initializer is wrapped into the helper class `wrapper`.
    """
    initializer = emit_initializer(init, default)
    is_wrapped = init is not None and init.kind in MATRIX_INITS
    return Call(Name(wrapper), (initializer,)) if is_wrapped else initializer
