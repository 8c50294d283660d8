"""`nn.MultiheadAttention` as a block: three projections of the packed weight, attention, and the last projection."""

from __future__ import annotations

from typing import Any

import numpy as np

from specbuild.importing.attention_blocks import add_attention_block
from specbuild.importing.layouts import merge_dim, require_axis, split_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import (
    BATCH,
    NamedValue,
    Published,
    Step,
    Unsupported,
)
from specbuild.importing.pytorch.handlers.attention import align_mask
from specbuild.importing.pytorch.handlers.registry import layer_weights, lowers
from specbuild.importing.trace import FunctionCall, ValueRef

PARTS = {"query": "queries", "key": "keys", "value": "values"}


# As many parameters as in torch.nn.
@lowers("nn.MultiheadAttention")
def lower_multihead_attention(
    low: Lowerer,
    call: FunctionCall,
    query: Any,
    key: Any = None,
    value: Any = None,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> list[NamedValue | None]:
    s, weights = call.settings, layer_weights(call, "in_proj_weight", "in_proj_bias")
    if key_padding_mask is not None:
        raise Unsupported("MultiheadAttention with a mask of its keys")
    if "in_proj_weight" not in weights or "bias_k" in s["weights"] or key != value:
        raise Unsupported("MultiheadAttention with keys that are no values, of another width, or learned")
    given = [low.value(x) for x in ([query] if query == key else [query, key])]
    inputs = {}
    for name, x in zip(("x",) if len(given) == 1 else ("query", "key"), given, strict=True):
        x, _ = require_axis(low, x, 1 if s["batch_first"] else 0, "T")
        inputs[name], _ = require_axis(low, x, -1, "C")
    class_name = "MultiheadAttention" if len(given) == 1 else "MultiheadCrossAttention"
    result = add_attention_block(
        low,
        call,
        class_name,
        {"num_heads": s["num_heads"]},
        inputs,
        lambda inside: add_heads(low, call, inside, attn_mask),
    )
    return [result, None]


def add_heads(low: Lowerer, call: FunctionCall, inside: list[NamedValue], mask: Any) -> NamedValue:
    """Add the steps of the block; `inside` are the values of its inputs."""
    s, weights = call.settings, layer_weights(call, "in_proj_weight", "in_proj_bias")
    heads = []
    for part, name in enumerate(PARTS):
        own = {slot.removeprefix("in_proj_"): Published(w.name, part, 3) for slot, w in weights.items()}
        source = inside[0 if name == "query" else -1]
        projected = low.emit("linear", [source], linear_attributes(s, own), name=name, weights=own)
        split, _ = split_axis(low, projected, "C", [s["num_heads"], s["head_dim"]])
        if isinstance(split.source.step, Step):
            split.source.step.hint = PARTS[name]
        heads.append(split.with_dims([(BATCH,), ("heads",), ("T",), ("C",)]))
    roles, attributes = ["query", "key", "value"], {}
    if mask is not None and is_causal_mask(low, mask):
        attributes["causal"] = True
    elif mask is not None:
        found, role = read_mask(low, heads[0], heads[1], mask)
        heads.append(found)
        roles.append(role)
    attended = low.emit("attention", heads, attributes, roles=tuple(roles))
    merged = merge_dim(low, attended.with_dims([(BATCH,), ("T",), ("heads", "C")]), 2)
    own = {
        k: Published(f"{call.path}.out_proj.{k}")
        for k in ("weight", "bias")
        if f"out_proj.{k}" in s["weights"]
    }
    return low.emit("linear", [merged], linear_attributes(s, own), name="out_proj", weights=own)


def linear_attributes(settings: dict[str, Any], weights: dict[str, Published]) -> dict[str, Any]:
    return {"features": settings["embed_dim"]} | ({} if "bias" in weights else {"bias": False})


def find_table(low: Lowerer, mask: Any) -> Any:
    """Return the numbers of a mask that is the same for all data. Raises Unsupported for another one."""
    table = low.constants.get(mask.number) if isinstance(mask, ValueRef) else None
    if table is None or table.ndim != 2:
        raise Unsupported("MultiheadAttention with a mask that depends on the data, or has one for each head")
    return table


def is_causal_mask(low: Lowerer, mask: Any) -> bool:
    """Return whether a mask hides from each position what comes after it."""
    table = find_table(low, mask)
    hidden = table if table.dtype == bool else np.isneginf(table)
    is_plain = table.dtype == bool or not np.any(table[~hidden])
    return is_plain and bool(np.array_equal(hidden, np.triu(np.ones_like(hidden), 1)))


def read_mask(low: Lowerer, query: NamedValue, key: NamedValue, mask: Any) -> tuple[NamedValue, str]:
    """Return a mask in the block, and its role: where there is attention, or what is added."""
    value = align_mask(low, query, key, low.value(mask))
    if value.dtype != "bool":
        return value, "bias"
    return low.emit("logical_not", [value]), "mask"
