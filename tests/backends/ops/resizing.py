"""Resizing: name -> (inputs, steps)."""

MAP = "{x: {C: 3, H: 7, W: 6}}"
SEQUENCE = "{x: {T: 7, C: 4}}"
VOLUME = "{x: {C: 2, D: 3, H: 4, W: 5}}"
FRAMES = "{x: {T: 3, C: 2, H: 4, W: 5}}"
PAIR = "{x: {C: 3, H: 4, W: 3}, y: {C: 2, H: 9, W: 7}}"

MODES = {
    "nearest": "mode: nearest",
    "nearest_exact": "mode: nearest_exact",
    "bilinear": "mode: bilinear",
    "corners": "mode: bilinear, align_corners: true",
    "bicubic": "mode: bicubic",
    "bicubic_corners": "mode: bicubic, align_corners: true",
}
FORMS = {
    "x2": (MAP, "scale: 2"),
    "x31": (MAP, "scale: {H: 3, W: 1}"),
    "x17": (MAP, "scale: 1.7"),
    "half": (MAP, "scale: 0.5"),
    "up": (MAP, "size: [10, 15]"),
    "down": (MAP, "size: {H: 3, W: 4}"),
    "one": (MAP, "size: 1"),
    "like": (PAIR, "like: y"),
}
CASES = {
    f"resize_{mode}_{form}": (inputs, f"- resize: {{{size}, {how}}}\n  from: {{x: x}}")
    for mode, how in MODES.items()
    for form, (inputs, size) in FORMS.items()
}
CASES |= {
    "resize_1d_nearest": (SEQUENCE, "- resize: {size: 10}\n- linear: {features: 2}"),
    "resize_1d_x2": (SEQUENCE, "- resize: {scale: 2}\n- linear: {features: 2}"),
    "resize_1d_linear": (SEQUENCE, "- resize: {size: 4, mode: bilinear}"),
    "resize_1d_linear_x2": (SEQUENCE, "- resize: {scale: 2, mode: bilinear}"),
    "resize_3d_nearest": (VOLUME, "- resize: {scale: 2}"),
    "resize_3d_linear": (VOLUME, "- resize: {size: [5, 3, 7], mode: bilinear}"),
    "resize_3d_corners": (VOLUME, "- resize: {size: [5, 3, 7], mode: bilinear, align_corners: true}"),
    "resize_rows": (MAP, "- resize: {size: 10, over: H, mode: bilinear}"),
    "resize_frames": (
        FRAMES,
        "- conv: {channels: 3}\n- resize: {scale: 2}\n- conv: {channels: 2}\n- mean: {over: [T, H, W]}",
    ),
    "resize_without_channels": ("{x: {A: 2, H: 4, W: 5}}", "- resize: {size: [6, 7], mode: bicubic}"),
    "resize_table": (
        "{x: {C: 3, H: 5, W: 6}}",
        "- weight: {axes: {C: 3, H: 4, W: 4}}\n  as: table\n- resize: {mode: bicubic}\n  from: {x: table, like: x}\n- add: [x, prev]",
    ),
    "resize_like_sequence": (
        "{x: {T: 4, C: 3}, y: {T: 9, C: 2}}",
        "- resize: {like: y, mode: bilinear}\n  from: {x: x}",
    ),
    "resize_then_add": (
        PAIR,
        "- conv: {channels: 3, kernel: 1}\n  from: y\n- resize: {}\n  from: {x: x, like: y}\n- add: [conv, prev]",
    ),
    "pixel_shuffle": ("{x: {C: 12, H: 3, W: 4}}", "- pixel_shuffle: {factor: 2}"),
    "pixel_shuffle_frames": (
        "{x: {T: 2, C: 9, H: 3, W: 2}}",
        "- pixel_shuffle: {factor: 3}\n- conv: {channels: 2}",
    ),
    "pixel_unshuffle": (
        "{x: {C: 2, H: 6, W: 9}}",
        "- pixel_unshuffle: {factor: 3}\n- conv: {channels: 2, kernel: 1}",
    ),
}
