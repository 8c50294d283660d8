"""A layer for attention with several heads as a block of the spec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import BlockInput, Instance, NamedValue, Step, ValueSource
from specbuild.importing.trace import FunctionCall, ModuleCall


def add_attention_block(
    low: Lowerer,
    call: FunctionCall,
    class_name: str,
    settings: Mapping[str, Any],
    inputs: Mapping[str, NamedValue],
    add_heads: Callable[[list[NamedValue]], NamedValue],
) -> NamedValue:
    """Add a step that applies a block, and return its value.

    `inputs` are the values that the layer reads, by the names of the block's inputs. `settings` are the arguments
    of the layer. `add_heads` gets these values inside the block, adds its steps, and returns the result.
    """
    entries = [BlockInput(name, dict(x.axes)) for name, x in inputs.items()]
    inside = [
        NamedValue(ValueSource(entry), dict(x.axes), x.dims)
        for entry, x in zip(entries, inputs.values(), strict=True)
    ]
    with low.inside(call.path, {}) as steps:
        result = add_heads(inside)
    names = tuple(inputs)
    module = ModuleCall(call.path, class_name, (), {}, (), None, names, dict(settings), has_weights=True)
    first = next(iter(inputs.values()))
    step = Step(
        class_name,
        sources=[x.source for x in inputs.values()],
        roles=names if len(names) > 1 else (),
        name=low.relative_path(call.path),
        axes=dict(first.axes),
        instance=Instance(module, class_name, entries, steps, [result.source]),
    )
    return low.add_step(step, first.dims)
