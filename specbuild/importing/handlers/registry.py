"""The table of handlers: what becomes of a call of a function, or of a layer of torch.nn.

A handler of a function gets the arguments of the call as they are; that of a layer gets the call first, with
the settings of the layer. It returns the result, or the results as a list. It raises Unsupported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import NamedValue, Published, Unsupported
from specbuild.importing.trace import FunctionCall, ValueRef

Results: TypeAlias = "NamedValue | list[NamedValue | None]"
Handler: TypeAlias = Callable[..., Results]
AnyHandler = TypeVar("AnyHandler", bound=Handler)

HANDLERS: dict[str, Handler] = {}


def lowers(*functions: str) -> Callable[[AnyHandler], AnyHandler]:
    """Register a handler for functions, by the last part of their names, or for layers: `nn.Conv2d`."""

    def register(handler: AnyHandler) -> AnyHandler:
        HANDLERS.update(dict.fromkeys(functions, handler))
        return handler

    return register


def handler_name(function: str) -> str:
    """Return the name under which the handler of a function is registered: `add` for `torch.Tensor.__iadd__`."""
    if function.startswith("nn."):
        return function
    name = function.rpartition(".")[2]
    if match := re.fullmatch(r"__i?(\w+?)__", name):
        return match[1]
    return name.rstrip("_")


def lower_function(low: Lowerer, call: FunctionCall) -> Results:
    """Lower one call by its handler. Raises Unsupported if there is none, or if it cannot say it."""
    handler = HANDLERS.get(handler_name(call.function))
    if handler is None:
        raise Unsupported(f"{call.function} has no counterpart")
    first = (call,) if call.path else ()
    try:
        return handler(low, *first, *call.arguments, **call.keywords)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, ZeroDivisionError) as error:
        raise Unsupported(f"{call.function} is called in a way that is not known: {error}") from error


def layer_weights(call: FunctionCall, *slots: str) -> dict[str, Published]:
    """Return the weights of a layer in these slots, those that it does not have left out."""
    held = call.settings["weights"]
    return {slot: Published(held[slot]) for slot in slots if slot in held}


def held_weights(low: Lowerer, **slots: Any) -> tuple[str, dict[str, Published]]:
    """Return the name of a step for the weights that a function is given, and the weights by slot.

    Raises Unsupported SB966 for one that is computed.
    """
    weights = {}
    for slot, argument in slots.items():
        if argument is None:
            continue
        traced = low.trace.values[argument.number] if isinstance(argument, ValueRef) else None
        if traced is None or traced.origin not in ("weight", "buffer"):
            raise Unsupported(
                "a layer whose weights are computed",
                "fold what computes them into the weights first",
                "SB966",
            )
        weights[slot] = Published(traced.name)
    if not weights:
        return "", {}
    module, _, leaf = next(iter(weights.values())).name.rpartition(".")
    at = low.relative_path(module) if module != low.path else ""
    if at and leaf in ("weight", "running_mean"):
        return at, weights
    return ".".join(filter(None, [at, leaf.removesuffix("weight").strip("_") or "main"])), weights


def one_or_list(values: Any, count: int) -> Any:
    """Return a number for each axis as the language writes it: one number if all are equal."""
    numbers = list(values) if isinstance(values, list | tuple) else [values] * count
    return numbers[0] if len(set(numbers)) == 1 else numbers


def per_axis(values: Any, count: int) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values] * count


def unusual_values(defaults: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return the attributes that are not as by default."""
    return {name: value for name, value in values.items() if value != defaults.get(name)}
