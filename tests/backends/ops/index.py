"""Places and classes by number: name -> (inputs, steps)."""

TOKENS = "{x: {axes: {T: 6}, dtype: int32}}"
EDGES = "{x: {E: 6, C: 3}, places: {axes: {E: 6}, dtype: int32}}"
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
    "gather_one": (
        "{x: {T: 4, C: 3}, place: {axes: {}, dtype: int32}}",
        "- gather: {index: place, over: T}\n  from: x",
    ),
    "gather_one_of_each_place": (
        "{x: {R: 7, T: 3, C: 4}, places: {axes: {T: 3}, dtype: int32}}",
        "- gather: {index: places, over: R}\n  from: x\n- linear: {features: 2}",
    ),
    "gather_one_of_a_map": (
        "{x: {C: 4, H: 5, W: 6}, places: {axes: {W: 6}, dtype: int32}}",
        "- conv: {channels: 3}\n  from: x\n- gather: {index: places, over: H}\n- mean: {over: W}",
    ),
    "gather_one_of_a_table": (
        "{x: {axes: {T: 6}, dtype: int32}}",
        "- weight: {axes: {C: 4, R: 9, T: 6}}\n  as: table\n- gather: {index: x, over: R}\n  from: table",
    ),
    "gather_by_a_number": (
        "{place: {axes: {}, dtype: int32}}",
        "- weight: {axes: {R: 9, C: 4}}\n  as: table\n- gather: {index: place, over: R}\n  from: table",
    ),
    "gather_best": (
        "{x: {T: 6, C: 4}}",
        "- argmax: {over: T}\n  as: best\n- gather: {index: best, over: T}\n  from: x",
    ),
    **{
        f"segment_{name}": (
            EDGES,
            f"- segment_reduce: {{index: places, over: E, axis: N, count: 4, reduce: {name}}}\n  from: x\n- linear: {{features: 2}}",
        )
        for name in ("sum", "mean", "max")
    },
    "segment_of_a_table": (
        "{x: {C: 3, E: 6}}",
        "- const: {axes: {E: 6}, value: E * E % 4, dtype: int32}\n  as: places\n"
        "- segment_reduce: {index: places, over: E, axis: N, count: 5}\n  from: x",
    ),
    "segment_of_weights": (
        "{places: {axes: {E: 6}, dtype: int32}}",
        "- weight: {axes: {C: 3, E: 6}, init: normal(1)}\n  as: x\n"
        "- segment_reduce: {index: places, over: E, axis: N, count: 9, reduce: mean}\n  from: x",
    ),
    "segment_of_each_head": (
        "{x: {E: 6, heads: 2, C: 3}, places: {axes: {heads: 2, E: 6}, dtype: int32}}",
        "- segment_reduce: {index: places, over: E, axis: N, count: 4, reduce: max}\n  from: x",
    ),
    "embedding_of_a_number": ("{x: {axes: {}, dtype: int32}}", "- embedding: {count: 9, features: 4}"),
    "one_hot_of_a_number": (
        "{x: {axes: {}, dtype: int32}}",
        "- one_hot: {count: 9}\n- linear: {features: 2}",
    ),
    "one_hot_of_a_table": (
        "{x: {T: 4, C: 5}}",
        "- const: {axes: {T: 4}, value: 3 - T, dtype: int32}\n- one_hot: {count: 5}\n- multiply: [x, prev]",
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
