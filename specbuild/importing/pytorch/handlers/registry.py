"""The table of handlers of PyTorch, which their modules fill: functions by the last part of their names, layers as `nn.Conv2d`."""

from __future__ import annotations

import re
from typing import Any

from specbuild.importing.handler_table import HandlerTable
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import Published, Unsupported
from specbuild.importing.pytorch.attention_pattern import unite_attention
from specbuild.importing.pytorch.computed_weights import name_weight_step
from specbuild.importing.trace import FunctionCall, ValueRef


def find_handler_name(function: str) -> str:
    """Return the name under which the handler of a function is registered: `add` for `torch.Tensor.__iadd__`."""
    if function.startswith("nn."):
        return function
    name = function.rpartition(".")[2]
    if match := re.fullmatch(r"__i?(\w+?)__", name):
        return match[1]
    return name.strip("_")


HANDLERS = HandlerTable(find_handler_name, [unite_attention], name_weight_step)
lowers = HANDLERS.register


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
