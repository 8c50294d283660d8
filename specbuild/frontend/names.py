"""The names that a spec may use, and the names that Python, the frameworks and the emitted code reserve."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass

from specbuild.frontend.source import SourceAddress

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
USED_BY_CODE = "is used by the emitted code"


@dataclass(frozen=True)
class ReservedNames:
    """Names that a spec cannot use, because a framework or the code emitted for it needs them."""

    framework: str = ""  # its name in messages: "PyTorch"
    attributes: frozenset[str] = frozenset()  # of the framework's layer class: a step would overwrite them
    emitted: frozenset[str] = frozenset()  # used by emitted code: modules, helpers, arguments, classes
    builtins: frozenset[str] = frozenset()  # called by emitted constructors: a parameter would hide them


# Reserved in emitted code of every framework.
COMMON_NAMES = ReservedNames(
    emitted=frozenset("self cls kwargs math prev i true false none null False None True".split()),
    builtins=frozenset("abs bool dict float int len max min range round str sum super tuple".split()),
)
_reserved: list[ReservedNames] = [COMMON_NAMES]


def reserve_names(names: ReservedNames) -> None:
    """Reserve the names of a framework in all specs. The compiler calls this for each built-in backend."""
    if names not in _reserved:
        _reserved.append(names)


def find_name_problem(name: object) -> tuple[str, str] | None:
    """Return why something cannot be a name, and a hint; None if it can."""
    if not isinstance(name, str) or not IDENTIFIER.fullmatch(name):
        return "is not a name", "a name is a letter followed by letters, digits and _ (at most 64 characters)"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "is a Python keyword", rename_hint(name)
    owner = next((names.framework for names in _reserved if name in names.attributes), None)
    if owner is not None:
        return f"is reserved by {owner}", rename_hint(name)
    if any(name in names.emitted for names in _reserved):
        return USED_BY_CODE, rename_hint(name)
    return None


def rename_hint(name: str) -> str:
    return f"use another name, such as {name}_1"


def check_name(name: object, at: SourceAddress, role: str) -> None:
    """Raise SB203 if `name` cannot be the name of this role, such as "a step" or "an output"."""
    problem = find_name_problem(name)
    if role == "a parameter" and any(name in names.builtins for names in _reserved):
        problem = USED_BY_CODE, rename_hint(str(name))
    if problem is None or (role == "an output" and problem[0] == USED_BY_CODE):
        return
    reason, hint = problem
    raise at.error("SB203", f"{name!r} cannot be the name of {role}: it {reason}", hint, key=role != "a step")


def to_snake_case(name: str) -> str:
    """Turn `ConvNorm` into `conv_norm`, and `MBConv` into `mb_conv`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
