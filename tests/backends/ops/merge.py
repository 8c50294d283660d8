"""Values that meet by name: name -> (inputs, steps)."""

MAPS = "{a: {C: 3, H: 5, W: 4}, b: {C: 3, H: 5, W: 4}}"
MIXED = "{a: {C: 6, H: 5, W: 4}, b: {T: 7, C: 6}}"
ALIKE = ("add", "subtract", "minimum", "maximum", "average", "multiply")
POSITIVE = "- square:\n  from: b\n- scale: {plus: 0.5}\n  as: c\n"

CASES = {
    **{f"{name}_maps": (MAPS, f"- {name}: [a, b]") for name in ALIKE},
    **{
        f"{name}_three": (MAPS, f"- scale: {{by: 2, plus: 0.1}}\n  from: b\n  as: c\n- {name}: [a, b, c]")
        for name in ALIKE
        if name != "subtract"
    },
    "atan2": (MAPS, "- atan2: [a, b]"),
    "atan2_of_a_column": (
        MIXED,
        "- slice: {over: T, at: 2}\n  from: b\n  as: c\n- atan2: {of: [a, c], broadcast: true}\n- conv: {channels: 2}",
    ),
    **{
        f"{name}_broadcast": (
            MAPS,
            f"- mean: {{over: [H, W]}}\n  from: b\n  as: m\n- {name}: {{of: [a, m], broadcast: true}}",
        )
        for name in ALIKE
        if name != "multiply"
    },
    **{
        f"{name}_layouts": (
            MIXED,
            f"- conv: {{channels: 6}}\n  from: a\n- flatten: {{axes: [H, W], into: T}}\n  as: s\n"
            f"- conv: {{channels: 6, kernel: 7, over: T, padding: [[9, 10]]}}\n  from: b\n  as: t\n"
            f"- {name}: [s, t]\n- linear: {{features: 2}}",
        )
        for name in ALIKE
    },
    **{
        f"{name}_frames": (
            "{clip: {T: 3, C: 4, H: 5, W: 6}}",
            f"- conv: {{channels: 4}}\n  as: a\n- conv: {{channels: 4}}\n  as: b\n- {name}: [a, b]\n"
            f"- conv: {{channels: 2}}",
        )
        for name in ALIKE
    },
    "subtract_keep": (
        MAPS,
        "- mean: {over: [H, W], keep: true}\n  from: a\n  as: m\n- subtract: {of: [a, m], broadcast: true}",
    ),
    "divide": (MAPS, f"{POSITIVE}- divide: [a, c]"),
    "divide_by_name": (MAPS, f"{POSITIVE}- mean: {{over: [C, H]}}\n- divide: [a, prev]"),
    "divide_of_smaller": (MAPS, f"{POSITIVE}- mean: {{over: [C, H]}}\n  from: a\n- divide: [prev, c]"),
    "divide_frames": (
        "{clip: {T: 3, C: 4, H: 5, W: 6}}",
        "- conv: {channels: 4}\n  as: a\n- exp\n- sum: {over: T}\n- divide: [a, prev]\n- conv: {channels: 2}",
    ),
    "outer_product": ("{a: {C: 4}, b: {T: 5}}", "- multiply: [a, b]"),
    "outer_difference": ("{a: {C: 4}, b: {T: 5}}", "- subtract: {of: [a, b], broadcast: true}"),
    "multiply_mask": ("{a: {T: 4, C: 3}, mask: {axes: {T: 4}, dtype: bool}}", "- multiply: [a, mask]"),
    "masked_mean": (
        "{a: {T: 4, C: 3}, mask: {axes: {T: 4}, dtype: bool}}",
        "- multiply: [mask, a]\n- sum: {over: T}\n  as: s\n- sum: {over: T}\n  from: mask\n"
        "- divide: [s, prev]",
    ),
    "maximum_weight": (
        "{a: {T: 4, C: 3}}",
        "- weight: {axes: {C: 3}}\n  as: floor\n- maximum: {of: [a, floor], broadcast: true}",
    ),
}
