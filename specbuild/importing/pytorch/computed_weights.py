"""Layers whose weights are computed before they run: weight norm, spectral norm, and any other parametrization."""

from __future__ import annotations

import re
from typing import Any

IN_TORCH = ("torch.nn.utils.parametrizations", "torch.nn.utils.parametrize")
HOOKS = ("WeightNorm", "SpectralNorm")  # the older way: a hook that runs before the layer
FIXED = "SpectralNorm"  # it changes its vectors in training
# The names of parametrized tensors as the older way has them.
PARAMETRIZED = re.compile(r"parametrizations\.(\w+)\.(?:(original\d?)|\d+\.(\w+))$")
ORIGINALS = {"original": "orig", "original0": "g", "original1": "v"}


def find_weight_kinds(module: Any) -> list[str]:
    """Return the names of what computes the weights of a layer, such as `SpectralNorm`."""
    hooks = [type(hook).__name__ for hook in module._forward_pre_hooks.values()]
    found = [name for name in hooks if name in HOOKS]
    for computing in getattr(module, "parametrizations", {}).values():
        found += [type(one).__name__.strip("_") for one in computing]
    return found


def name_class(module: Any) -> str:
    """Return the name of a module's class, beginning with what computes its weights."""
    name = type(module).__name__
    kinds = "".join(dict.fromkeys(find_weight_kinds(module)))
    return f"{kinds}{name.removeprefix('Parametrized')}" if kinds else name


def is_weight_computing(module: Any) -> bool:
    """Return whether a module of torch computes a weight: it belongs to its layer."""
    return type(module).__module__.startswith(IN_TORCH) and not hasattr(module, "parametrizations")


def name_weight_step(name: str) -> str:
    """Return the name of the step for a tensor: `weight_g` for `parametrizations.weight.original0`."""
    match = PARAMETRIZED.search(name)
    if match is None:
        return name
    weight, original, own = match.groups()
    return f"{name[: match.start()]}{weight}_{ORIGINALS.get(original) or (own or original).strip('_')}"


def explain_training(model: Any) -> str:
    """Return why the training of a model cannot be compared; empty if it can."""
    is_fixed = any(FIXED in find_weight_kinds(module) for module in model.modules())
    return "the vectors of spectral norm are fixed, as in evaluation" if is_fixed else ""
