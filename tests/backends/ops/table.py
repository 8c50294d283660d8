"""Weights without a layer, and tables: name -> (inputs, steps)."""

SEQUENCE = "{x: {T: 6, C: 8}}"


def table(
    axes: str, value: str, dtype: str = "float", inputs: str = SEQUENCE, then: str = "multiply: [x, t]"
) -> tuple[str, str]:
    quoted = value.replace("'", "''")
    return inputs, f"- const: {{axes: {axes}, value: '{quoted}', dtype: {dtype}}}\n  as: t\n- {then}"


SQUARE = "{x: {T: 6, S: 6}}"
CASES = {
    "weight_token": (
        SEQUENCE,
        "- weight: {axes: {T: 1, C: 8}}\n  as: token\n- concat: {of: [token, x], over: T}",
    ),
    "weight_scale": (
        SEQUENCE,
        "- weight: {axes: {C: x.C}, init: constant(0.1)}\n  as: scale\n- multiply: [x, scale]",
    ),
    "weight_number": (SEQUENCE, "- weight: {axes: {}, init: zeros}\n  as: gate\n- multiply: [x, gate]"),
    "weight_fixed": (
        SEQUENCE,
        "- weight: {axes: {C: 8}, init: ones, trained: false}\n  as: scale\n- multiply: [x, scale]",
    ),
    "weight_map": (
        "{x: {C: 3, H: 4, W: 5}}",
        "- weight: {axes: {H: 4, W: 5, C: 3}}\n  as: position\n- add: [x, position]\n- conv: {channels: 2}",
    ),
    "const_number": table("{}", "0.5"),
    "const_whole_number": table("{}", "3"),
    "const_filled": table("{T: 6}", "2"),
    "const_index": table("{C: 8}", "C"),
    "const_repeated_axis": table("{T: 6, C: 8}", "C - 1"),
    "const_last_axis_alone": table("{T: 6, C: 8}", "T + 1"),
    "const_ramp": table("{T: 6}", "T / 5 - 0.5"),
    "const_sine": table(
        "{T: 6, C: 8}",
        "where(C % 2 == 0, sin(T / 10000 ** (C // 2 * 2 / 8)), cos(T / 10000 ** (C // 2 * 2 / 8)))",
    ),
    "const_slopes": table("{C: 8}", "2 ** (-8 * (C + 1) / 8)"),
    "const_slopes_whole": table("{C: 8}", "2 ** -(C + 1)"),
    "const_power": table("{C: 8}", "(C - 3) ** 2"),
    "const_distance": table("{T: 6, S: 6}", "-abs(T - S)", inputs=SQUARE),
    "const_window": table(
        "{T: 6, S: 6}", "where(T // 3 == S // 3, 0, -100)", inputs=SQUARE, then="add: [x, t]"
    ),
    "const_window_number": table(
        "{T: 6, S: 6}", "0 if T // 3 == S // 3 else -T", inputs=SQUARE, then="add: [x, t]"
    ),
    "const_causal": table(
        "{T: 6, S: 6}", "T >= S", "bool", SQUARE, "where: {condition: t, then: x, value: 0}"
    ),
    "const_band": table(
        "{T: 6, S: 6}",
        "0 <= T - S < 3 or not (S > 1)",
        "bool",
        SQUARE,
        "where: {condition: t, then: x, value: 0}",
    ),
    "const_functions": table(
        "{T: 6, C: 8}", "sqrt(T + 1) + log(C + 1) * exp(-T) + sign(T - 2) + floor(C / 3) + abs(C - 4)"
    ),
    "const_extremes": table(
        "{T: 6, C: 8}", "minimum(T, 3) + maximum(T, C) + maximum(2, C) - minimum(sqrt(9), T)"
    ),
    "const_math": table("{T: 6}", "sqrt(2) * T + exp(1) - minimum(3, 4) + floor(2.5)"),
    "const_integers": table(
        "{T: 4}", "T * 2 % 5", "int32", "{x: {R: 6, C: 3}}", "gather: {index: t, over: R}\n  from: x"
    ),
    "const_buckets": table(
        "{T: 6}",
        "floor(log(T + 1) / log(2))",
        "int32",
        "{x: {R: 6, C: 3}}",
        "gather: {index: t, over: R}\n  from: x",
    ),
    "const_twice": (
        SEQUENCE,
        "- const: {axes: {T: 6, C: 8}, value: T * C - T + C}\n  as: a\n- const: {axes: {T: 6, C: 8}, value: T + C + T * C}\n  as: c\n- multiply: [x, a, c]",
    ),
}
