"""A module that cannot be imported, as a block with the right inputs and outputs that is to be finished by hand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from msgspec import Struct

from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BATCH, BlockInput, Instance, NamedValue, Step, ValueSource
from specbuild.importing.trace import ModuleCall, ValueRef


class Refusal(Struct, frozen=True):
    """Why a call cannot be imported, and where it is: the module, and the line of the user's source."""

    code: str
    message: str
    hint: str
    path: str
    line: str

    def describe(self) -> str:
        """Return the reason as it is written in a spec: without folders of this machine."""
        where = os.path.basename(self.line)
        return self.message + (f" ({where})" if where else "")


def leave_unfinished(
    low: Lowerer,
    call: ModuleCall,
    inputs: list[BlockInput],
    results: Sequence[ValueRef],
    reason: str,
    usual_axes: Mapping[int, tuple[str, ...]],
) -> tuple[Instance, list[NamedValue]] | None:
    """Return a block whose steps are missing, and its results; None if a result has no batch or too many axes."""
    steps, outputs = [], []
    for ref in results:
        traced = low.trace.values[ref.number]
        names = usual_axes.get(len(traced.shape) - 1)
        names = next((tuple(x.axes) for x in inputs if len(x.axes) == len(traced.shape) - 1), names)
        if names is None or not traced.shape or traced.shape[0] != low.batch:
            return None
        sizes = dict(zip(names, traced.shape[1:], strict=True))
        attributes = {"axes": dict(sizes), "reason": reason}
        if traced.dtype != "float":
            attributes["dtype"] = traced.dtype
        step = Step("unfinished", attributes, [ValueSource(x) for x in inputs], axes=sizes, line=call.line)
        dims = ((BATCH,), *((axis,) for axis in names))
        steps.append(step)
        outputs.append(NamedValue(ValueSource(step), sizes, dims, traced.dtype))
    return Instance(call, call.class_name, inputs, steps, [x.source for x in outputs]), outputs
