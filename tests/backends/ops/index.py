"""Places and classes by number: name -> (inputs, steps)."""

TOKENS = "{x: {axes: {T: 6}, dtype: int32}}"
PICKED = "{x: {R: 7, T: 3, C: 4}, places: {axes: {K: 5}, dtype: int32}}"

CASES = {
    "gather_bias_table": (
        "{x: {heads: 2, T: 4, S: 4}}",
        "- weight: {axes: {R: 7, heads: 2}}\n  as: bias\n- const: {axes: {T: 4, S: 4}, value: T - S + 3, dtype: int32}\n  as: places\n"
        "- gather: {index: places, over: R}\n  from: bias\n- add: [x, prev]",
    ),
    "gather_second_axis": (
        "{x: {T: 4, heads: 2}}",
        "- weight: {axes: {heads: 2, R: 7}}\n  as: bias\n- const: {axes: {T: 4}, value: 6 - T, dtype: int32}\n  as: places\n"
        "- gather: {index: places, over: R}\n  from: bias\n- add: [x, prev]",
    ),
    "gather_places": (
        "{x: {C: 4, H: 5, W: 6}}",
        "- const: {axes: {W: 3}, value: 5 - 2 * W, dtype: int32}\n  as: places\n- gather: {index: places, over: W}\n  from: x\n- conv: {channels: 2}",
    ),
    "gather_by_input": (
        "{x: {axes: {T: 6}, dtype: int32}}",
        "- weight: {axes: {C: 4, R: 9}}\n  as: table\n- gather: {index: x, over: R}\n  from: table\n- linear: {features: 2}",
    ),
    "gather_each_sample": (PICKED, "- gather: {index: places, over: R}\n  from: x"),
    "gather_each_place": (
        "{x: {R: 7, T: 3, C: 4}, places: {axes: {T: 3, K: 5}, dtype: int32}}",
        "- gather: {index: places, over: R}\n  from: x",
    ),
    "gather_from_map": (
        "{x: {C: 4, H: 5, W: 6}, places: {axes: {H: 5, K: 2}, dtype: int32}}",
        "- conv: {channels: 3}\n  from: x\n- gather: {index: places, over: W}",
    ),
    "gather_shared_table": (
        "{x: {axes: {T: 6}, dtype: int32}, y: {T: 6, C: 4}}",
        "- weight: {axes: {T: 6, R: 9, C: 4}}\n  as: table\n- unflatten: {axis: T, into: {T: 6, K: 1}}\n  from: x\n  as: places\n"
        "- gather: {index: places, over: R}\n  from: table\n- squeeze: {over: K}\n- add: [prev, y]",
    ),
    "one_hot": (TOKENS, "- one_hot: {count: 5}\n- linear: {features: 3}"),
    "one_hot_axis": (TOKENS, "- one_hot: {count: 6, axis: K}\n- sum: {over: T}"),
    "embedding": (TOKENS, "- embedding: {count: 9, features: 4}\n- linear: {features: 2}"),
    "embedding_init": (TOKENS, "- embedding: {count: 9, features: 4, init: normal(0.02)}\n- mean: {over: T}"),
    "embedding_sentences": (
        "{x: {axes: {N: 3, T: 6}, dtype: int32}}",
        "- embedding: {count: 9, features: 4}\n- mean: {over: T}",
    ),
}
