"""Initializers in PyTorch."""

from __future__ import annotations

from specbuild.codegen.constructions import InitialValue
from specbuild.codegen.tree import Call, Expr, Infix, Literal, Name, Prefix

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


def emit_initializer(weight: Expr, init: InitialValue) -> Call:
    """Return the call that initializes a weight in place."""
    name, keywords = INITIALIZER_FUNCTIONS[init.kind]
    args = tuple(argument.value for argument in init.arguments)
    if init.kind == "uniform" and len(args) == 1:
        args = (multiply_number(-1, args[0]), args[0])
    if init.kind == "truncated_normal" and args not in ((), (Literal(1.0),)):
        # by default PyTorch cuts at -2 and 2, whatever the standard deviation is
        args = (args[0], multiply_number(-2, args[0]), multiply_number(2, args[0]))
    function = Name(f"nn.init.{name}")
    if init.mode != "fan_in":
        return Call(function, (weight,), (("mode", Literal(init.mode)),))
    if init.kind == "constant":
        return Call(function, (weight, *args))
    return Call(function, (weight,), tuple(zip(keywords, args, strict=False)))


def multiply_number(factor: int, value: Expr) -> Expr:
    """Return the code of a number times a factor."""
    if isinstance(value, Literal) and isinstance(value.value, int | float):
        return Literal(factor * value.value)
    return Prefix("-", value) if factor == -1 else Infix("*", Literal(factor), value)
