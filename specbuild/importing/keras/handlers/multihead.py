"""`MultiHeadAttention` as a block: three projections, attention, and the last projection."""

from __future__ import annotations

from typing import Any

from specbuild.importing.attention_blocks import add_attention_block
from specbuild.importing.keras.handlers.registry import lowers
from specbuild.importing.layouts import merge_dim, require_axis, split_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import (
    BATCH,
    NamedValue,
    Published,
    Step,
    Unsupported,
)
from specbuild.importing.trace import FunctionCall

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
    inputs = {}
    for name, x in zip(("x",) if len(sources) == 1 else ("query", "value"), sources, strict=True):
        x, _ = require_axis(low, x, 1, "T")
        inputs[name], _ = require_axis(low, x, -1, "C")
    class_name = "MultiHeadAttention" if len(sources) == 1 else "MultiHeadCrossAttention"
    settings = {"num_heads": s["num_heads"], "key_dim": s["key_dim"]}
    return add_attention_block(
        low, call, class_name, settings, inputs, lambda inside: add_heads(low, call, inside, causal)
    )


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
