"""`MultiHeadAttention` as a block: three projections, attention, and the last projection."""

from __future__ import annotations

from typing import Any

from specbuild.importing.keras.handlers.registry import lowers
from specbuild.importing.layouts import merge_dim, require_axis, split_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import (
    BATCH,
    BlockInput,
    Instance,
    NamedValue,
    Published,
    Step,
    Unsupported,
    ValueSource,
)
from specbuild.importing.trace import FunctionCall, ModuleCall

PARTS = {"query": "queries", "key": "keys", "value": "values"}


@lowers("MultiHeadAttention")
def lower_multihead_layer(
    low: Lowerer, call: FunctionCall, query: Any, value: Any = None, key: Any = None, **options: Any
) -> NamedValue:
    s = call.settings
    given = {
        k: v for k, v in options.items() if v is not None and k not in ("training", "return_attention_scores")
    }
    causal = bool(given.pop("use_causal_mask", False))
    if given or options.get("return_attention_scores") or len(low.trace.values[query.number].shape) != 3:
        raise Unsupported("MultiHeadAttention with a mask, with scores as a result, or on more axes than one")
    if s.get("output_shape") or s.get("value_dim") not in (None, s["key_dim"]) or key not in (None, value):
        raise Unsupported("MultiHeadAttention whose keys, values and results differ in width")
    sources = [low.value(x) for x in ([query] if value in (None, query) else [query, value])]
    entries, inside, outside = [], [], []
    for name, x in zip(("x",) if len(sources) == 1 else ("query", "value"), sources, strict=True):
        x, _ = require_axis(low, x, 1, "T")
        x, _ = require_axis(low, x, -1, "C")
        entries.append(BlockInput(name, dict(x.axes)))
        inside.append(NamedValue(ValueSource(entries[-1]), dict(x.axes), x.dims))
        outside.append(x)
    with low.inside(call.path, {}) as steps:
        result = add_heads(low, call, inside, causal)
    names = tuple(entry.name for entry in entries)
    class_name = "MultiHeadAttention" if len(sources) == 1 else "MultiHeadCrossAttention"
    constructor = {"num_heads": s["num_heads"], "key_dim": s["key_dim"]}
    module = ModuleCall(call.path, class_name, (), {}, (), None, names, constructor, has_weights=True)
    step = Step(
        class_name,
        sources=[x.source for x in outside],
        roles=names if len(names) > 1 else (),
        name=low.relative_path(call.path),
        axes=dict(outside[0].axes),
        instance=Instance(module, class_name, entries, steps, [result.source]),
    )
    return low.add_step(step, outside[0].dims)


def add_heads(low: Lowerer, call: FunctionCall, inside: list[NamedValue], causal: bool) -> NamedValue:
    """Add the steps of the block; `inside` are the values of its inputs."""
    s = call.settings
    heads = []
    for name in PARTS:
        source = inside[0 if name == "query" else -1]
        projected = add_projection(low, call, source, name, s["num_heads"] * s["key_dim"])
        split, _ = split_axis(low, projected, "C", [s["num_heads"], s["key_dim"]])
        if isinstance(split.source.step, Step):
            split.source.step.hint = PARTS[name]
        heads.append(split.with_dims([(BATCH,), ("heads",), ("T",), ("C",)]))
    attributes: dict[str, Any] = {"causal": True} if causal else {}
    if s["dropout"]:
        attributes["dropout"] = s["dropout"]
    attended = low.emit("attention", heads, attributes, roles=("query", "key", "value"))
    merged = merge_dim(low, attended.with_dims([(BATCH,), ("T",), ("heads", "C")]), 2)
    return add_projection(low, call, merged, "attention_output", inside[0].axes["C"])


def add_projection(low: Lowerer, call: FunctionCall, x: NamedValue, name: str, width: int) -> NamedValue:
    held = call.settings["weights"]
    weights = {k: Published(held[f"{name}/{k}"]) for k in ("kernel", "bias") if f"{name}/{k}" in held}
    attributes = {"features": width} | ({} if "bias" in weights else {"bias": False})
    return low.emit("linear", [x], attributes, sizes={"C": width}, name=name, weights=weights)
