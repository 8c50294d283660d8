"""The inputs that a block declares: one value each, a list of values (`maps: {each: [C, H, W]}`), or a value that
a call may leave out (`mask: {axes: [T], optional: true}`). With `dtype: bool`, values of this kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from specbuild.frontend.source import SourceAddress

DTYPES = ("float", "int32", "bool")


def is_list_input(raw: Any) -> bool:
    """Return whether an input takes a list of values. A model gives sizes instead, also for an axis `each`."""
    return isinstance(raw, Mapping) and "each" in raw and not isinstance(raw["each"], int | str)


def is_optional_input(raw: Any) -> bool:
    """Return whether a call of the block may leave an input out."""
    return isinstance(raw, Mapping) and raw.get("optional") is True


def list_optional(declared: Mapping[str, Any]) -> list[str]:
    """Return the names of the inputs that a call may leave out; they come last."""
    return [name for name, raw in declared.items() if is_optional_input(raw)]


def declared_axes(raw: Any) -> list[str] | None:
    """Return the axes that an input declares, also `...` for more of them; None for any axes."""
    if is_list_input(raw):
        raw = raw["each"]
    elif isinstance(raw, Mapping):
        raw = raw.get("axes", None if is_typed_input(raw) else raw)
    return None if raw is None else list(raw)


def is_typed_input(raw: Any) -> bool:
    """Return whether an input declares what its values are. A model can have an axis `dtype`, with a size."""
    return isinstance(raw, Mapping) and raw.get("dtype") in DTYPES


def declared_dtype(raw: Any) -> str | None:
    """Return the dtype that an input declares: that of each value of a list; None for any dtype."""
    return raw["dtype"] if is_typed_input(raw) else None


def find_list_input(declared: Mapping[str, Any]) -> str | None:
    """Return the name of the input that takes a list; a block has at most one."""
    return next((name for name, raw in declared.items() if is_list_input(raw)), None)


def flatten_names(declared: Mapping[str, Any], count: int) -> list[str]:
    """Return the names of `count` values for these inputs: those of a list are `maps.0`, `maps.1` and so on.

    Each optional input counts, whether it is given or not.
    """
    length, names = count - (len(declared) - 1), list[str]()
    for name, raw in declared.items():
        names += [f"{name}.{i}" for i in range(length)] if is_list_input(raw) else [name]
    return names


def check_declared_inputs(declared: Mapping[str, Any], at: SourceAddress) -> None:
    """Raise SB105 for two inputs that take lists, because nothing in a call shows where one ends.

    The same for an input that a call may leave out before one that it needs.
    """
    names, optional = list(declared), list_optional(declared)
    if (optional and names[-len(optional) :] != optional) or names == optional != []:
        message = f"a call can leave {optional[0]} out, so an input that it needs must come before"
        hint = "put the optional inputs last, after at least one other"
        raise at.child(optional[0]).error("SB105", message, hint, key=True)
    lists = [name for name, raw in declared.items() if is_list_input(raw)]
    if len(lists) > 1:
        message = f"{lists[0]} takes a list already, and a block has one input that takes a list"
        hint = "if the items belong together, join them first, or make two blocks"
        raise at.child(lists[1]).error("SB105", message, hint, key=True)
    for name in declared if lists else ():
        if name.startswith(f"{lists[0]}_") and name[len(lists[0]) + 1 :].isdigit():
            message = f"{name!r} is the name of a value of {lists[0]} in emitted code"
            raise at.child(name).error("SB204", message, "use another name", key=True)
