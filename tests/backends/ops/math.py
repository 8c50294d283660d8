"""Arithmetic on one value: name -> (inputs, steps)."""

MAP = "{x: {C: 3, H: 5, W: 4}}"
SEQUENCE = "{x: {T: 7, C: 6}}"
INTEGERS = "{x: {axes: {T: 5}, dtype: int32}}"
POSITIVE = "- square\n- scale: {plus: 0.1}\n"

CASES = {
    **{
        name: (MAP, f"- {name}")
        for name in ("neg", "abs", "sign", "square", "exp", "sin", "cos", "erf", "floor")
    },
    "trunc": (MAP, "- scale: {by: 3}\n- trunc"),
    "cast_down": (SEQUENCE, "- scale: {by: 3}\n- cast: {dtype: int32}\n- scale: {by: 2}"),
    "cast_up": (INTEGERS, "- cast: {dtype: float}\n- scale: {by: 0.25}"),
    "cast_table": (
        SEQUENCE,
        "- const: {axes: {T: 7}, value: 6 - T, dtype: int32}\n- cast: {dtype: float}\n- multiply: [x, prev]",
    ),
    "cast_mask": (
        "{m: {axes: {T: 5, C: 3}, dtype: bool}, y: {axes: {T: 5}, dtype: int32}}",
        "- cast: {dtype: bool}\n  from: y\n  as: b\n- cast: {dtype: int32}\n  from: m\n- cast: {dtype: float}\n"
        "- linear: {features: 2}\n- where: {then: prev, condition: b, value: 3}",
    ),
    "cast_nothing": (SEQUENCE, "- cast: {dtype: float}\n- square"),
    "cast_frames": (
        "{clip: {T: 3, C: 4, H: 5, W: 6}}",
        "- conv: {channels: 3}\n- compare: {test: greater, value: 0.1}\n- cast: {dtype: float}\n- conv: {channels: 2}",
    ),
    **{name: (MAP, f"{POSITIVE}- {name}") for name in ("sqrt", "rsqrt", "log", "reciprocal")},
    "stop_gradient": (MAP, "- square:\n  as: a\n- stop_gradient\n- multiply: [a, prev]"),
    "scale": (SEQUENCE, "- scale: {by: 0.3, plus: -2}"),
    "scale_by": (SEQUENCE, "- scale: {by: -1.5}"),
    "scale_plus": (SEQUENCE, "- scale: {plus: 1}"),
    "scale_flip": (SEQUENCE, "- scale: {by: -1, plus: 1}"),
    "scale_turn": (SEQUENCE, "- scale: {by: -1}"),
    "scale_nothing": (SEQUENCE, "- scale: {}"),
    "scale_words": (SEQUENCE, "- scale: {by: x.C ** -0.5, plus: x.C // 2}"),
    "scale_integers": (INTEGERS, "- scale: {by: 3, plus: -2}\n- one_hot: {count: 9}\n  from: x"),
    "scale_places": (
        INTEGERS,
        "- scale: {by: -1, plus: 8}\n- power: {exponent: 2}\n- clip: {max: 5}\n- embedding: {count: 6, features: 3}",
    ),
    "power": (SEQUENCE, "- power: {exponent: 3}"),
    "power_half": (SEQUENCE, f"{POSITIVE}- power: {{exponent: 0.5}}"),
    "power_negative": (SEQUENCE, f"{POSITIVE}- power: {{exponent: -2}}"),
    "power_learned": (
        MAP,
        f"{POSITIVE}- weight: {{axes: {{C: 3}}, init: constant(3)}}\n  as: p\n"
        f"- power: {{to: p}}\n  from: scale",
    ),
    "clip": (SEQUENCE, "- clip: {min: -0.5, max: 0.8}"),
    "clip_below": (SEQUENCE, "- clip: {min: -0.5}"),
    "clip_above": (SEQUENCE, "- clip: {max: 0.5}"),
    "math_chain": (MAP, "- conv: {channels: 4}\n- abs\n- scale: {plus: 1}\n- log\n- neg\n- exp"),
    "math_frames": (
        "{clip: {T: 3, C: 4, H: 5, W: 6}}",
        "- conv: {channels: 4}\n- scale: {by: 2}\n- sin\n- conv: {channels: 2}",
    ),
    "power_learned_frames": (
        "{clip: {T: 3, C: 4, H: 5, W: 6}}",
        "- conv: {channels: 3}\n- square:\n  as: s\n- weight: {axes: {T: 3, C: 3}}\n  as: p\n"
        "- power: {to: p}\n  from: s\n- conv: {channels: 2}",
    ),
}
