"""The names that a spec may use, and the names that frameworks and emitted code need for themselves.

A name of a spec that an emitted class cannot have is written with an underscore at its end: see `write_alias`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Sequence

from msgspec import Struct

from specbuild.frontend.source import SourceAddress

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
# What these words mean in a spec: the value before, the index of a repeat, constants, no block.
LANGUAGE_WORDS = frozenset("prev i true false none null".split())
FREE_SIZE = "any"  # in the sizes of an input, where a parameter of this name could not be read


class ReservedNames(Struct, frozen=True):
    """Names that a framework, or the code emitted for it, needs for itself."""

    framework: str = ""  # its name in messages: "PyTorch"
    attributes: frozenset[str] = frozenset()  # of the framework's layer class: a step would overwrite them
    members: frozenset[str] = frozenset()  # besides `attributes`, of containers of layers
    emitted: frozenset[str] = frozenset()  # used by emitted code: modules, functions
    arguments: frozenset[str] = frozenset()  # of the constructor of every class
    call_arguments: frozenset[str] = frozenset()  # of the method that calls a layer
    builtins: frozenset[str] = frozenset()  # called by emitted code: a parameter would hide them
    helpers: frozenset[str] = frozenset()  # classes and functions that a file may carry with it


NO_NAMES = ReservedNames()
# Needed by emitted code of every framework.
COMMON_NAMES = ReservedNames(
    arguments=frozenset({"self"}),
    call_arguments=frozenset({"self"}),
    builtins=frozenset("abs bool dict float int len max min range round str sum super tuple".split()),
)
# Names that emitted code may look up, and that begin with a capital letter, as names of classes do.
BUILTIN_CLASSES = frozenset("AttributeError IndexError KeyError RuntimeError TypeError ValueError".split())


def write_alias(name: str, reserved: Collection[str]) -> str:
    """Return the name that code has for a name of a spec: `layers_` if `layers` is reserved.

    Different names have different aliases: where `layers` is reserved, `layers_` becomes `layers__`.
    """
    return name + alias_ending(name, reserved)


def read_alias(alias: str, reserved: Collection[str]) -> str:
    """Return the name of the spec for which code has this name."""
    return alias.removesuffix(alias_ending(alias, reserved))


def alias_ending(name: str, reserved: Collection[str]) -> str:
    """Return the suffix that makes the alias of a name unique among reserved names and other aliases."""
    stem = name.rstrip("_")
    if f"{stem}_" in reserved:  # such as `requires_grad_`
        return "__"
    return "_" if stem in reserved else ""


def is_number_name(name: str) -> bool:
    """Return whether a name is the number of a member, such as that of a step in a `do`: `0`, `12`, not `01`."""
    return name.isascii() and name.isdigit() and name == str(int(name))


def find_name_problem(name: object, reserved: Sequence[ReservedNames] = ()) -> tuple[str, str] | None:
    """Return why something cannot be a name, and a hint; None if it can.

    `reserved` are the names that a backend without aliases needs.
    """
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        return "is not a name", "a name is a letter followed by letters, digits and _ (at most 64 characters)"
    if keyword.iskeyword(name):
        return "is a Python keyword", rename_hint(name)
    if name in LANGUAGE_WORDS:
        return "has a meaning of its own in a spec", rename_hint(name)
    owner = next((names.framework for names in reserved if name in names.attributes), None)
    if owner is not None:
        return f"is reserved by {owner}", rename_hint(name)
    if any(name in names.emitted for names in reserved):
        return "is used by the emitted code", rename_hint(name)
    return None


def rename_hint(name: str) -> str:
    return f"use another name, such as {name}_1"


def check_name(name: object, at: SourceAddress, role: str, reserved: Sequence[ReservedNames] = ()) -> None:
    """Raise SB203 if `name` cannot be the name of this role, such as "a step" or "an output"."""
    problem = find_name_problem(name, reserved)
    if role == "a parameter" and name == FREE_SIZE:
        problem = "has a meaning of its own in a spec", rename_hint(FREE_SIZE)
    if role == "a parameter" and any(name in names.builtins for names in reserved):
        problem = "is used by the emitted code", rename_hint(str(name))
    if problem is None or (role == "an output" and name in LANGUAGE_WORDS):
        return
    reason, hint = problem
    raise at.error("SB203", f"{name!r} cannot be the name of {role}: it {reason}", hint, key=role != "a step")


def check_expression_name(name: str, at: SourceAddress) -> None:
    """Raise SB203 if no expression can read `name`. It never becomes a name in emitted code."""
    if keyword.iskeyword(name) or name in LANGUAGE_WORDS:
        reason = "has another meaning in expressions"
        raise at.error("SB203", f"{name!r} cannot be a `let`: it {reason}", rename_hint(name), key=True)


def check_class_name(name: str, at: SourceAddress, role: str, reserved: Sequence[ReservedNames] = ()) -> None:
    """Raise SB203 if `name` cannot be the name of a model or of a block.

    `reserved` are the names that the built-in backends need: every spec can be compiled for them.
    The class of a block may get a number, but the function or class of a model is called as the model is.
    """
    key = role == "a block"
    if keyword.iskeyword(name):
        message = f"{name!r} cannot be the name of {role}: it is a Python keyword"
        raise at.error("SB203", message, rename_hint(name), key=key)
    if role == "a model" and any(name in BUILTIN_CLASSES | n.emitted | n.helpers for n in reserved):
        message = f"{name!r} cannot be the name of {role}: emitted files use it for something else"
        raise at.error("SB203", message, f"use another name, such as {name}Model", key=key)


def to_snake_case(name: str) -> str:
    """Turn `ConvNorm` into `conv_norm`, and `MBConv` into `mb_conv`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def is_list_reference(text: object) -> bool:
    """Return whether a text names several values: `stack.*`, or the same value in each of them, `stack.*.skip`."""
    return isinstance(text, str) and (text.endswith(".*") or ".*." in text)
