"""Reductions: name -> (inputs, steps)."""

SEQUENCE = "{x: {T: 7, C: 6}}"
MAP = "{x: {C: 3, H: 5, W: 4}}"
VECTOR = "{x: {C: 6}}"
FRAMES = "{clip: {T: 3, C: 4, H: 5, W: 6}}"
ALL = ("sum", "mean", "max", "min", "prod", "logsumexp", "l2_norm", "variance", "std")

CASES = {
    **{f"{name}_places": (MAP, f"- {name}: {{over: [H, W]}}") for name in ALL},
    **{
        f"{name}_channels": (MAP, f"- conv: {{channels: 5}}\n- {name}: {{over: C, keep: true}}")
        for name in ALL
    },
    **{
        f"{name}_apart": (MAP, f"- {name}: {{over: [W, C], keep: true}}\n- conv: {{channels: 2}}")
        for name in ALL
    },
    **{f"{name}_everything": (MAP, f"- {name}: {{over: [C, H, W]}}") for name in ALL},
    **{f"{name}_time": (SEQUENCE, f"- {name}: {{over: T}}") for name in ALL},
    **{f"{name}_vector": (VECTOR, f"- {name}: {{over: C, keep: true}}") for name in ALL},
    **{
        f"{name}_frames": (FRAMES, f"- conv: {{channels: 3}}\n- {name}: {{over: T}}\n- conv: {{channels: 2}}")
        for name in ALL
    },
    **{
        f"{name}_of_each_frame": (
            FRAMES,
            f"- conv: {{channels: 3}}\n- {name}: {{over: [H, W], keep: true}}\n- conv: {{channels: 2}}",
        )
        for name in ALL
    },
    "variance_whole": (MAP, "- variance: {over: [H, W], correction: 0}"),
    "std_whole": (SEQUENCE, "- std: {over: C, correction: 0, keep: true}"),
    "variance_two": (SEQUENCE, "- variance: {over: [T, C], correction: 2}"),
    "sum_of_weight": (
        SEQUENCE,
        "- weight: {axes: {S: 4, C: 6}, init: normal(1)}\n- sum: {over: S}\n- multiply: [x, prev]",
    ),
    "sum_integers": ("{x: {axes: {T: 5, S: 3}, dtype: int32}}", "- sum: {over: T}"),
    "sum_mask": ("{x: {axes: {T: 5, S: 3}, dtype: bool}}", "- sum: {over: [T, S]}"),
    "max_integers": ("{x: {axes: {T: 5, S: 3}, dtype: int32}}", "- max: {over: T}"),
    "argmax": (SEQUENCE, "- argmax: {over: C}"),
    "argmax_keep": (MAP, "- argmax: {over: C, keep: true}"),
    "argmax_frames": (FRAMES, "- conv: {channels: 3}\n- argmax: {over: T}"),
    "cumsum_time": (SEQUENCE, "- cumsum: {over: T}"),
    "cumsum_channels": (MAP, "- cumsum: {over: C}"),
    "cumsum_frames": (FRAMES, "- conv: {channels: 3}\n- cumsum: {over: T}\n- conv: {channels: 2}"),
    "cumsum_mask": ("{x: {axes: {T: 5, S: 3}, dtype: bool}}", "- cumsum: {over: S}"),
    "normalize": (SEQUENCE, "- normalize: {}"),
    "normalize_map": (MAP, "- normalize: {epsilon: 2.5}"),
    "normalize_places": (MAP, "- normalize: {over: [W, H]}"),
    "normalize_small": (SEQUENCE, "- scale: {by: 1e-8}\n- normalize: {over: T}"),
    "normalize_frames": (FRAMES, "- conv: {channels: 3}\n- normalize: {over: [T, C]}\n- conv: {channels: 2}"),
}
