"""The table of handlers of one framework: what becomes of a call of a function, or of a layer.

A handler of a function gets the arguments of the call as they are; that of a layer gets the call first, with
the settings of the layer. It returns the result, or the results as a list. It raises Unsupported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar

from msgspec import Struct, field

from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import Instance, NamedValue, Unsupported
from specbuild.importing.trace import FunctionCall

Results: TypeAlias = "NamedValue | list[NamedValue | None]"
Handler: TypeAlias = Callable[..., Results]
AnyHandler = TypeVar("AnyHandler", bound=Handler)


class HandlerTable(Struct):
    """The handlers of a framework by name, and the patterns of several steps that become one.

    `find_name` gives the name under which the handler of a traced function is registered, and `name_weight` that of
    the step for a weight by itself.
    """

    find_name: Callable[[str], str] = str
    patterns: Sequence[Callable[[Instance], None]] = ()
    name_weight: Callable[[str], str] = str
    handlers: dict[str, Handler] = field(default_factory=dict)
    has_channels_last: bool = False  # in maps; a spec writes them first

    def register(self, *functions: str) -> Callable[[AnyHandler], AnyHandler]:
        """Register a handler for functions, by the last part of their names, or for layers, such as `nn.Conv2d`."""

        def add_handler(handler: AnyHandler) -> AnyHandler:
            self.handlers.update(dict.fromkeys(functions, handler))
            return handler

        return add_handler

    def has_handler(self, function: str) -> bool:
        return self.find_name(function) in self.handlers

    def lower_call(self, low: Lowerer, call: FunctionCall) -> Results:
        """Lower one call by its handler. Raises Unsupported if there is none, or if it cannot say it."""
        handler = self.handlers.get(self.find_name(call.function))
        if handler is None:
            raise Unsupported(f"{call.function} has no counterpart")
        first = (call,) if call.path else ()
        try:
            return handler(low, *first, *call.arguments, **call.keywords)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError, ZeroDivisionError) as error:
            raise Unsupported(f"{call.function} is called in a way that is not known: {error}") from error


def one_or_list(values: Any, count: int) -> Any:
    """Return a number for each axis as the language writes it: one number if all are equal."""
    numbers = list(values) if isinstance(values, list | tuple) else [values] * count
    return numbers[0] if len(set(numbers)) == 1 else numbers


def per_axis(values: Any, count: int) -> list[Any]:
    return list(values) if isinstance(values, list | tuple) else [values] * count


def unusual_values(defaults: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Return the attributes that differ from their default."""
    return {name: value for name, value in values.items() if value != defaults.get(name)}
