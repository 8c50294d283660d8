"""Describes a module: whether it is a layer of torch.nn, a container or a class of the user, and its attributes that are plain data."""

from __future__ import annotations

from typing import Any

from torch import nn

from specbuild.importing.pytorch.computed_weights import is_weight_computing
from specbuild.importing.trace import FunctionCall, ModuleCall

# Layers of other packages that are known by the name of their class.
LAYERS_BY_NAME = {"DropPath": "DropPath", "StochasticDepth": "DropPath"}
NO_LAYERS = ("torch.nn.modules.container", "torch.nn.modules.module", "torch.nn.modules.transformer")
# Methods that a subclass of a layer may have without computing anything else.
HARMLESS_METHODS = frozenset("__init__ __repr__ extra_repr reset_parameters init_weights".split())


def layer_kind(module: Any) -> str | None:
    """Return the name of the class of torch.nn that computes this module; None if its own calls must be recorded."""
    kind = type(module)
    if kind.__name__ in LAYERS_BY_NAME:
        return LAYERS_BY_NAME[kind.__name__]
    if module._forward_hooks or module._forward_pre_hooks or hasattr(module, "parametrizations"):
        return None
    for base in kind.__mro__:
        if base.__module__.startswith("torch.nn.modules"):
            return None if base.__module__ in NO_LAYERS else base.__name__
        if any(callable(v) and name not in HARMLESS_METHODS for name, v in vars(base).items()):
            return None
    return None


def is_plain(value: Any) -> bool:
    """Return whether a value is a number, a text, None, or a short list of them."""
    if isinstance(value, list | tuple):
        return len(value) <= 64 and all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def plain_items(values: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in values.items() if not k.startswith("_") and k != "training" and is_plain(v)}


def is_container(module: Any, path: str, body: list[FunctionCall | ModuleCall], given: Any) -> bool:
    """Return whether a module only calls its members: a Sequential, or one that passes several values on (HRNet's).

    What computes a weight belongs to its layer, too.
    """
    if type(module) is nn.Sequential or is_weight_computing(module):
        return True
    is_other = isinstance(module, nn.Sequential) and type(module).forward is not nn.Sequential.forward
    return is_other and not given and all(call.path.startswith(f"{path}.") for call in body)


def describe_layer(module: Any, path: str) -> dict[str, Any]:
    """Return the attributes of a layer that are plain data, and the published names of its weights by slot."""
    own = [*module._parameters.items(), *module._buffers.items()]
    weights = {name: f"{path}.{name}" if path else name for name, tensor in own if tensor is not None}
    inner = {name: f"{path}.{name}" for name, _ in module.named_parameters() if "." in name}
    return {**plain_items(vars(module)), "weights": {**weights, **inner}}
