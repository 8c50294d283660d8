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
    "weight_order": (
        "{x: {C: 3, H: 4, W: 5}}",
        "- weight: {axes: {C: 3, W: 5, H: 4}}\n  as: position\n- add: [x, position]\n- conv: {channels: 2}",
    ),
    "weight_depth": (
        SEQUENCE,
        "- weight: {axes: {E: 2, D: 3, C: 8}}\n  as: experts\n- sum: {over: D}\n- slice: {over: E, at: 1}\n- multiply: [x, prev]",
    ),
    "weight_map": (
        "{x: {C: 3, H: 4, W: 5}}",
        "- weight: {axes: {H: 4, W: 5, C: 3}}\n  as: position\n- add: [x, position]\n- conv: {channels: 2}",
    ),
    "const_functions_of_a_size": (
        SEQUENCE
        + "\nblocks: {Part: {inputs: {x: [T, C]}, steps: [{const: {axes: {T: x.T}, value: 'sin(T / sqrt(x.T)) * log(x.T)'}}, "
        "{multiply: [x, prev]}]}}",
        "- Part:",
    ),
    "const_values": (
        "{x: {C: 2, H: 3, W: 4}}",
        "- const: {axes: {H: 3, C: 2}, values: [[1, 2], [0.5, -3], [1e-3, 4]]}\n  as: t\n- multiply: [x, t]",
    ),
    "const_values_infinite": (
        "{x: {C: 2, H: 3, W: 4}}",
        "- const: {axes: {H: 3, C: 2}, values: [[0, -.inf], [0, 0], [-.inf, 0]]}\n  as: t\n- add: {of: [x, t], broadcast: true}\n"
        "- softmax: {over: C}",
    ),
    "const_values_bool": (
        SEQUENCE,
        "- const: {axes: {C: 8}, values: [true, false, true, true, false, false, true, true], dtype: bool}\n"
        "  as: t\n- where: {condition: t, then: x, value: 0}",
    ),
    "const_values_index": (
        SEQUENCE,
        "- const: {axes: {K: 3}, values: [4, 0, 4], dtype: int32}\n  as: t\n"
        "- gather: {index: t, over: T}\n  from: x",
    ),
    "const_random": (
        SEQUENCE,
        "- const: {axes: {T: 6, C: 8}, random: normal(0.5), seed: 3}\n  as: t\n- multiply: [x, t]",
    ),
    "const_random_long": (
        SEQUENCE,
        "- const: {axes: {C: 8, K: 200}, random: 'uniform(-1, 1)', seed: 3}\n  as: t\n"
        "- contract: {of: [x, t], over: C}",
    ),
    "const_random_index": (
        "{x: {T: 4, C: 1100}}",  # a count sketch (Charikar et al. 2002)
        "- const: {axes: {C: 1100}, random: integers(16), seed: 1, dtype: int32}\n  as: place\n"
        "- const: {axes: {C: 1100}, random: signs, seed: 2}\n  as: sign\n"
        "- multiply: [x, sign]\n- segment_reduce: {index: place, over: C, axis: K, count: 16}",
    ),
    "const_number": table("{}", "0.5"),
    "const_whole_number": table("{}", "3"),
    "const_filled": table("{T: 6}", "2"),
    "const_index": table("{C: 8}", "C"),
    "const_repeated_axis": table("{T: 6, C: 8}", "C - 1"),
    "const_last_axis_alone": table("{T: 6, C: 8}", "T + 1"),
    "const_compared_with_a_float": table("{C: 8}", "where(C < 8 / 2, 1.0, 0.0)"),
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
    "const_relative_buckets": table(
        "{T: 6, S: 6}",
        "where(T > S, 4, 0) + where(abs(T - S) < 2, abs(T - S), floor(minimum(3, 2 + log(abs(T - S) + 1))))",
        "int32",
        "{x: {R: 8, C: 3}}",
        "gather: {index: t, over: R}\n  from: x",
    ),
    "const_infinite": table(
        "{T: 6, S: 6}", "where(T >= S, 0, -.inf)", inputs=SQUARE, then="add: [x, t]\n- softmax: {over: S}"
    ),
    "const_integer_branches": table(
        "{T: 6}",
        "where(sqrt(T) > 1.5, T, 0)",
        "int32",
        "{x: {R: 6, C: 3}}",
        "gather: {index: t, over: R}\n  from: x",
    ),
    "const_mixed_branches": table(
        "{T: 6}", "(1 if T > 2 else 0) + (0.5 if T > 3 else T) * where(T == 1, 2, 3)"
    ),
    "const_twice": (
        SEQUENCE,
        "- const: {axes: {T: 6, C: 8}, value: T * C - T + C}\n  as: a\n- const: {axes: {T: 6, C: 8}, value: T + C + T * C}\n  as: c\n- multiply: [x, a, c]",
    ),
}
