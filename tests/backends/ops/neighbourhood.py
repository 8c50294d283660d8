"""Padding, unfolding and folding: name -> (inputs, steps)."""

MAP = "{x: {C: 3, H: 6, W: 5}}"
SEQUENCE = "{x: {T: 9, C: 4}}"
VOLUME = "{x: {C: 2, D: 3, H: 4, W: 5}}"
FRAMES = "{x: {T: 3, C: 2, H: 4, W: 5}}"
PAIR = "{x: {C: 3, H: 6, W: 5}, y: {C: 2, H: 7, W: 9}}"

PADS = {
    "all": (MAP, "padding: 2"),
    "sides": (MAP, "padding: {H: [0, 2], W: 1}"),
    "row": (MAP, "padding: {W: [3, 0]}"),
    "sequence": (SEQUENCE, "padding: {T: [2, 1]}"),
    "volume": (VOLUME, "padding: [1, [0, 2], 2]"),
    "frames": (FRAMES, "padding: 1"),
    "channels": (MAP, "padding: {C: [0, 2]}"),
    "alone": ("{x: {H: 4, W: 5}}", "padding: {H: 2, W: [1, 0]}"),
    "alone_1d": ("{x: {T: 9}}", "padding: {T: [2, 1]}"),
    "outer": (FRAMES, "padding: {T: [2, 0], W: 1}"),
}
CASES = {
    f"pad_{mode}_{name}": (inputs, f"- pad: {{mode: {mode}, {how}}}")
    for mode in ("constant", "reflect", "replicate", "circular")
    for name, (inputs, how) in PADS.items()
}
CASES |= {
    "pad_value": (MAP, "- pad: {padding: {C: 1, W: [0, 1]}, value: -1.5}"),
    "pad_table": (
        MAP,
        "- weight: {axes: {C: 3, W: 4}}\n- pad: {padding: {W: [0, 1]}, mode: circular}\n- multiply: [x, prev]",
    ),
    "pad_then_conv": (MAP, "- pad: {padding: 1, mode: reflect}\n- conv: {channels: 2, padding: valid}"),
    "pad_folded_frames": (FRAMES, "- conv: {channels: 2}\n- pad: {padding: {T: 1}}\n- conv: {channels: 3}"),
    "unfold": (MAP, "- unfold: {kernel: 3, into: K}"),
    "unfold_same": (MAP, "- unfold: {kernel: 3, into: K, padding: same}\n- softmax: {over: K}"),
    "unfold_s2_dilated": (
        MAP,
        "- unfold: {kernel: [2, 3], into: K, padding: 2, stride: [2, 1], dilation: 2}",
    ),
    "unfold_1d": (SEQUENCE, "- unfold: {kernel: 3, into: K, padding: causal}\n- linear: {features: 2}"),
    "unfold_1d_sides": (SEQUENCE, "- unfold: {kernel: 3, into: K, padding: {T: [1, 2]}, stride: 2}"),
    "unfold_3d": (VOLUME, "- unfold: {kernel: 2, into: K}\n- max: {over: K}"),
    "unfold_frames": (
        FRAMES,
        "- conv: {channels: 3}\n- unfold: {kernel: 3, into: K, padding: 1}\n- mean: {over: [K, T]}",
    ),
    "unfold_without_channels": (
        "{x: {A: 2, H: 6, W: 5}}",
        "- unfold: {kernel: 3, into: K, padding: [[1, 0], 2]}",
    ),
    "unfold_involution": (
        "{x: {C: 4, H: 6, W: 5}}",
        "- conv: {channels: 9, kernel: 1}\n  as: weights_of\n- rename: {axes: {C: K}}\n  as: kernel_of\n"
        "- unfold: {kernel: 3, into: K, padding: same}\n  from: x\n- multiply: [prev, kernel_of]\n- sum: {over: K}",
    ),
    "fold": ("{x: {C: 2, K: 9, H: 4, W: 5}}", "- fold: {kernel: 3, axis: K}"),
    "fold_same": ("{x: {C: 2, K: 9, H: 4, W: 5}}", "- fold: {kernel: 3, axis: K, padding: same}"),
    "fold_s2": (
        "{x: {C: 2, K: 6, H: 4, W: 5}}",
        "- fold: {kernel: [2, 3], axis: K, stride: [3, 2], padding: [0, 1]}",
    ),
    "fold_dilated": ("{x: {C: 2, K: 4, H: 4, W: 5}}", "- fold: {kernel: 2, axis: K, dilation: [2, 3]}"),
    "fold_size": (
        "{x: {C: 2, K: 9, H: 3, W: 3}}",
        "- fold: {kernel: 3, axis: K, padding: 1, stride: 2, size: [6, 5]}",
    ),
    "fold_like": (
        PAIR,
        "- unfold: {kernel: 3, into: K, padding: 1, stride: 2}\n- fold: {kernel: 3, axis: K, padding: 1, stride: 2, like: x}",
    ),
    "fold_1d": ("{x: {T: 5, K: 3, C: 2}}", "- fold: {kernel: 3, axis: K, stride: 2, padding: 1}"),
    "fold_1d_like": (
        "{x: {T: 8, C: 2}}",
        "- unfold: {kernel: 3, into: K, stride: 2}\n- relu\n- fold: {kernel: 3, axis: K, stride: 2, like: x}",
    ),
    "fold_heads": (
        "{x: {heads: 2, C: 3, K: 9, H: 4, W: 5}}",
        "- fold: {kernel: 3, axis: K, padding: 1}\n- flatten: {axes: [heads, C], into: C}\n- conv: {channels: 2}",
    ),
    "fold_without_channels": (
        "{x: {heads: 2, K: 9, H: 4, W: 5}}",
        "- fold: {kernel: 3, axis: K, padding: 1}",
    ),
}
