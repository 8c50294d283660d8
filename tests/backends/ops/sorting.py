"""Values in order: name -> (inputs, steps)."""

SEQUENCE = "{x: {T: 7, C: 6}}"
MAP = "{x: {C: 5, H: 4, W: 3}}"

CASES = {
    "sort": (SEQUENCE, "- sort: {over: T}\n  as: s\n- multiply: [x, s.values]"),
    "sort_indices": (
        SEQUENCE,
        "- sort: {over: C, descending: true}\n  as: s\n- scale: {by: 2}\n  from: s.indices",
    ),
    "sort_channels": (
        MAP,
        "- sort: {over: C, descending: true}\n  as: s\n- conv: {channels: 2}\n  from: s.values",
    ),
    "sort_ties": (
        "{x: {axes: {T: 9}, dtype: int32}}",
        "- scale: {by: -1}\n- power: {exponent: 2}\n- clip: {max: 3}\n- sort: {over: T, descending: true}\n  as: s\n"
        "- concat: {of: [s.values, s.indices], over: T}",
    ),
    "top_k": (SEQUENCE, "- top_k: {over: C, k: 2}\n  as: best\n- linear: {features: 3}\n  from: best.values"),
    "top_k_smallest": (
        "{clip: {T: 3, C: 4, H: 5, W: 6}}",
        "- conv: {channels: 3}\n- top_k: {over: H, k: 2, largest: false}\n  as: best\n- conv: {channels: 2}\n  from: best.values",
    ),
    "top_k_gathered": (
        SEQUENCE,
        "- mean: {over: C}\n- top_k: {over: T, k: 3}\n  as: best\n- rename: {axes: {T: K}}\n  from: best.indices\n"
        "  as: places\n- gather: {index: places, over: T}\n  from: x",
    ),
    "top_k_ties": (
        SEQUENCE,
        "- relu\n- compare: {test: greater, value: 0.3}\n- cast: {dtype: int32}\n- top_k: {over: T, k: 4}\n  as: best\n"
        "- concat: {of: [best.values, best.indices], over: C}",
    ),
}
