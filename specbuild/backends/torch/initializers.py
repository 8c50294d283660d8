"""Initializers in PyTorch."""

from __future__ import annotations

from specbuild.codegen.tree import Call, Expr, Literal, Name
from specbuild.ops.attribute_kinds import Init

# kind -> the function in `nn.init`, and the names of its arguments
INITIALIZER_FUNCTIONS = {
    "zeros": ("zeros_", ()),
    "ones": ("ones_", ()),
    "constant": ("constant_", ("val",)),
    "normal": ("normal_", ("std",)),
    "truncated_normal": ("trunc_normal_", ("std", "a", "b")),
    "uniform": ("uniform_", ("a", "b")),
    "xavier_uniform": ("xavier_uniform_", ()),
    "xavier_normal": ("xavier_normal_", ()),
    "kaiming_uniform": ("kaiming_uniform_", ()),
    "kaiming_normal": ("kaiming_normal_", ()),
    "orthogonal": ("orthogonal_", ()),
}


def emit_initializer(weight: Expr, init: Init) -> Call:
    """Return the call that initializes a weight in place."""
    name, keywords = INITIALIZER_FUNCTIONS[init.kind]
    args = init.args
    if init.kind == "uniform" and len(args) == 1:
        args = (-args[0], args[0])
    if init.kind == "truncated_normal":
        std = args[0] if args else 1.0
        # by default PyTorch cuts at -2 and 2, whatever the standard deviation is
        args = (std, -2 * std, 2 * std) if std != 1.0 else ()
    function = Name(f"nn.init.{name}")
    if init.mode != "fan_in":
        return Call(function, (weight,), (("mode", Literal(init.mode)),))
    if init.kind == "constant":
        return Call(function, (weight, Literal(args[0])))
    return Call(function, (weight,), tuple((k, Literal(v)) for k, v in zip(keywords, args, strict=False)))
