"""Float64 for all of a model: where its code asks for float32 by name, as for the sums of an attention, it gets float64."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

ROUNDING = ("float", "to", "type", "half", "bfloat16")
LOWER = (torch.float32, torch.float16, torch.bfloat16)


class FullPrecision(TorchFunctionMode):  # type: ignore[misc]
    """While it is active, values in float64 stay in it. Other dtypes and devices are as asked for."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__name__", "") in ROUNDING and is_double(args):
            result = function(*args, **kwargs)
            is_rounded = isinstance(result, torch.Tensor) and result.dtype in LOWER
            return args[0] if is_rounded else result
        return function(*args, **kwargs)


def is_double(args: Any) -> bool:
    return bool(args) and isinstance(args[0], torch.Tensor) and args[0].dtype == torch.float64
