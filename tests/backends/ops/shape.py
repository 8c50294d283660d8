"""Axes merged, split and renamed, on maps, sequences and folded frames: name -> (inputs, steps)."""

MAP = "{x: {C: 4, H: 6, W: 8}}"
SEQUENCE = "{x: {T: 6, C: 8}}"
CLIP = "{x: {T: 3, C: 4, H: 6, W: 5}}"

CASES = {
    "flatten_map": (MAP, "- flatten: {axes: [C, H, W]}\n- linear: {features: 3}"),
    "flatten_map_other_order": (MAP, "- flatten: {axes: [W, C, H]}\n- linear: {features: 3}"),
    "flatten_tokens": (
        MAP,
        "- conv: {channels: 5}\n- flatten: {axes: [H, W], into: T}\n- linear: {features: 3}",
    ),
    "flatten_columns": (MAP, "- flatten: {axes: [W, H], into: T}\n- linear: {features: 3}"),
    "flatten_channels_in_front": (SEQUENCE, "- flatten: {axes: [C, T]}\n- linear: {features: 3}"),
    "flatten_frames": (CLIP, "- conv: {channels: 2}\n- flatten: {axes: [T, C]}\n- conv: {channels: 3}"),
    "flatten_frames_to_tokens": (
        CLIP,
        "- conv: {channels: 2}\n- flatten: {axes: [T, H, W], into: N}\n- linear: {features: 3}",
    ),
    "flatten_one": (SEQUENCE, "- flatten: {axes: [C], into: F}\n- mean: {over: F}"),
    "flatten_weight": (
        SEQUENCE,
        "- weight: {axes: {A: 2, B: 3, C: 8}}\n  as: w\n- flatten: {axes: [A, B], into: T}\n- add: [x, prev]",
    ),
    "unflatten_channels": (SEQUENCE, "- unflatten: {into: {heads: 2, C: -1}}\n- linear: {features: 3}"),
    "unflatten_channels_behind": (
        SEQUENCE,
        "- unflatten: {into: {C: 4, heads: -1}}\n- linear: {features: 3}",
    ),
    "unflatten_map_channels": (
        MAP,
        "- unflatten: {into: {G: 2, C: 2}}\n- max: {over: G}\n- conv: {channels: 3}",
    ),
    "unflatten_windows": (
        MAP,
        "- unflatten: {axis: H, into: {Y: -1, h: 2}}\n- unflatten: {axis: W, into: {X: -1, w: 4}}\n- flatten: {axes: [h, w], into: T}\n"
        "- flatten: {axes: [Y, X], into: N}\n- linear: {features: 3}",
    ),
    "unflatten_windows_and_back": (
        MAP,
        "- unflatten: {axis: H, into: {Y: 3, h: 2}}\n- unflatten: {axis: W, into: {X: -1, w: 4}}\n- flatten: {axes: [h, w], into: T}\n"
        "- linear: {features: 3}\n- unflatten: {axis: T, into: {h: 2, w: 4}}\n- flatten: {axes: [Y, h], into: H}\n"
        "- flatten: {axes: [X, w], into: W}\n- conv: {channels: 2}",
    ),
    "unflatten_pixel_shuffle": (
        MAP,
        "- unflatten: {into: {C: 1, r: 2, s: 2}}\n- flatten: {axes: [H, r], into: H}\n- flatten: {axes: [W, s], into: W}\n- conv: {channels: 2}",
    ),
    "unflatten_shuffle": (
        MAP,
        "- unflatten: {into: {G: 2, C: -1}}\n- flatten: {axes: [C, G]}\n- conv: {channels: 2}",
    ),
    "unflatten_frames": (
        "{x: {T: 6, C: 4, H: 5, W: 3}}",
        "- conv: {channels: 2}\n- unflatten: {axis: T, into: {S: 2, T: 3}}\n- mean: {over: [S, H]}",
    ),
    "unflatten_folded_channels": (
        CLIP,
        "- conv: {channels: 6}\n- unflatten: {into: {K: 2, C: 3}}\n- max: {over: K}\n- conv: {channels: 2}",
    ),
    "unflatten_weight": (
        SEQUENCE,
        "- weight: {axes: {A: 6, C: 8}}\n  as: w\n- unflatten: {axis: A, into: {K: 1, T: 6}}\n- mean: {over: K}\n- add: [x, prev]",
    ),
    "rename_map": (MAP, "- rename: {axes: {H: W, W: H}}\n- conv: {channels: 3}"),
    "rename_channels": (MAP, "- rename: {axes: {C: T, H: C}}\n- linear: {features: 3}"),
    "rename_frames": (
        CLIP,
        "- conv: {channels: 2}\n- rename: {axes: {T: D}}\n- conv: {channels: 2, over: [D, H, W]}",
    ),
    "rename_sequence": (SEQUENCE, "- rename: {axes: {T: S}}\n- linear: {features: 3}"),
}
