"""Constants that a model computes on the way, such as angles of rotary positions, in float64.

A model in float32 computes them to seven digits. The original computes them anew in whatever it runs in, so a table
of the spec that has only seven digits would differ from it in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from specbuild.importing.pytorch.recorder_worker import copy_values
from specbuild.importing.trace import Trace

MIN_NUMBERS = 64  # shorter tables are written out, with the digits that they have
ROUNDING = 1e-4  # of tables that float32 computes in several steps


def refine_constants(
    model: Any, inputs: dict[str, Any], trace: Trace, constants: dict[int, Any]
) -> dict[int, Any]:
    """Return the constants of a trace, with those that were made on the way in float64. The model stays as it is."""
    wanted = [
        number
        for number, array in constants.items()
        if array.dtype == np.float32
        and array.size > MIN_NUMBERS
        and trace.values[number].origin == "constant"
    ]
    tensors = [*model.parameters(), *model.buffers()]
    if not wanted or any(t.is_floating_point() and t.dtype != torch.float32 for t in tensors):
        return constants
    dtype = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        doubled = {n: x.double() if x.is_floating_point() else x for n, x in inputs.items()}
        copies = copy_values(model.double(), doubled, wanted)
    except Exception:  # of the user's code, which may not run in float64: the proof says so
        return constants
    finally:
        torch.set_default_dtype(dtype)
        model.float()
    return constants | {n: array for n, array in copies.items() if is_refined(constants[n], array)}


def is_refined(rounded: Any, array: Any) -> bool:
    """Return whether an array has the numbers of another in float64."""
    is_alike = array.dtype == np.float64 and array.shape == rounded.shape
    return is_alike and np.allclose(rounded, array, rtol=ROUNDING, atol=ROUNDING)
