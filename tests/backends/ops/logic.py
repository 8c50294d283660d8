"""Comparisons and masks: name -> (inputs, steps)."""

MAPS = "{a: {C: 3, H: 5, W: 4}, b: {C: 3, H: 5, W: 4}}"
TOKENS = "{a: {T: 5, C: 3}, tokens: {axes: {T: 5}, dtype: int32}}"
MASKS = "{a: {T: 5, C: 3}, m: {axes: {T: 5}, dtype: bool}, n: {axes: {T: 5}, dtype: bool}}"

CASES = {
    **{
        f"compare_{test}": (MAPS, f"- compare: {{test: {test}, other: b}}\n  from: a")
        for test in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal")
    },
    "compare_value": (MAPS, "- compare: {test: greater, value: 0.25}\n  from: a"),
    "compare_tokens": (
        TOKENS,
        "- compare: {test: not_equal, value: 0}\n  from: tokens\n"
        "- where: {then: a, condition: prev, value: -9}",
    ),
    "compare_by_name": (
        MAPS,
        "- mean: {over: [H, W]}\n  from: b\n  as: m\n- compare: {test: less, other: m}\n  from: a",
    ),
    "where": (
        MAPS,
        "- compare: {test: less, value: 0}\n  from: a\n  as: m\n"
        "- where: {condition: m, otherwise: b}\n  from: a",
    ),
    "where_infinite": (
        "{a: {T: 4, S: 4}}",
        "- const: {axes: {T: 4, S: 4}, value: T >= S, dtype: bool}\n  as: m\n"
        "- where: {condition: m, value: -.inf}\n  from: a\n- softmax: {over: S}",
    ),
    "where_mask": (MASKS, "- logical_and: [m, n]\n- where: {then: m, condition: prev, value: 0}"),
    "where_by_name": (
        MASKS,
        "- scale: {by: 2}\n  from: a\n  as: c\n- where: {condition: m, otherwise: c}\n  from: a",
    ),
    "where_smaller": (
        MASKS,
        "- mean: {over: T}\n  from: a\n  as: c\n- where: {condition: m, otherwise: c}\n  from: a",
    ),
    "where_layouts": (
        "{x: {C: 3, H: 5, W: 4}}",
        "- conv: {channels: 3}\n  as: a\n- compare: {test: greater, value: 0}\n  from: x\n  as: m\n"
        "- where: {condition: m, otherwise: x}\n  from: a\n- conv: {channels: 2}",
    ),
    "where_frames": (
        "{clip: {T: 3, C: 4, H: 5, W: 6}, m: {axes: {T: 3}, dtype: bool}}",
        "- conv: {channels: 4}\n  from: clip\n- where: {condition: m, value: 0}\n- conv: {channels: 2}",
    ),
    "logical": (
        MASKS,
        "- logical_and: [m, n]\n  as: both\n- logical_or: [m, n]\n  as: any\n- logical_not\n"
        "- logical_or: [both, prev]\n- where: {then: a, condition: prev, value: 0}",
    ),
    "logical_by_name": (
        "{m: {axes: {T: 5}, dtype: bool}, n: {axes: {S: 4}, dtype: bool}}",
        "- logical_and: [m, n]",
    ),
}
