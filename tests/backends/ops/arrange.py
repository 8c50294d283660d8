"""Places picked, joined and repeated: name -> (inputs, steps)."""

MAP = "{x: {C: 4, H: 7, W: 6}}"
SEQUENCE = "{x: {T: 6, C: 8}}"
CLIP = "{x: {T: 3, C: 4, H: 6, W: 5}}"

CASES = {
    "slice_start": (SEQUENCE, "- slice: {over: T, start: 2}"),
    "slice_stop": (SEQUENCE, "- slice: {over: C, stop: 3}"),
    "slice_step": (MAP, "- slice: {over: H, step: 2}\n- slice: {over: W, start: 1, step: 2}"),
    "slice_behind": (SEQUENCE, "- slice: {over: T, start: -4, stop: -1}"),
    "slice_at": (SEQUENCE, "- slice: {over: T, at: 0}"),
    "slice_at_last": (MAP, "- slice: {over: W, at: -1}\n- slice: {over: C, at: 2}"),
    "slice_channels": (
        MAP,
        "- conv: {channels: 5}\n- slice: {over: C, start: 1, stop: 4}\n- conv: {channels: 3, kernel: 1}",
    ),
    "stack_weights": (
        SEQUENCE,
        "- weight: {axes: {C: 8}}\n  as: a\n- weight: {axes: {C: 8}}\n  as: w\n- stack: {of: [a, w, a], axis: K}\n"
        "- mean: {over: K}\n- multiply: [x, prev]",
    ),
    "slice_table": (
        SEQUENCE,
        "- weight: {axes: {T: 12, C: x.C}}\n  as: table\n- slice: {over: T, stop: x.T}\n- add: [x, prev]",
    ),
    "slice_weight": (
        SEQUENCE,
        "- weight: {axes: {C: 12}}\n  as: w\n- slice: {over: C, start: 1, stop: x.C + 1}\n- multiply: [x, prev]",
    ),
    "slice_weight_at": (
        SEQUENCE,
        "- weight: {axes: {T: 2, C: x.C}}\n  as: w\n- slice: {over: T, at: 1}\n- multiply: [x, prev]",
    ),
    "slice_frames": (CLIP, "- conv: {channels: 4}\n- slice: {over: T, start: 1}\n- mean: {over: T}"),
    "split_equal": (SEQUENCE, "- split: {over: C, into: [a, b]}\n  as: halves\n- add: [halves.a, halves.b]"),
    "split_sizes": (
        MAP,
        "- split: {over: C, into: {a: 1, b: -1}}\n  as: cut\n- conv: {channels: 1}\n  from: cut.b\n- multiply: [prev, cut.a]",
    ),
    "split_three": (
        SEQUENCE,
        "- split: {over: T, into: {a: 1, b: 2, c: 3}}\n  as: cut\n- mean: {over: T}\n  from: cut.c",
    ),
    "split_unused": (MAP, "- split: {over: H, into: {a: 3, b: 4}}\n  as: cut\n- relu:\n  from: cut.a"),
    "split_apart": (
        "{x: {T: 5, K: 3, C: 4}}",
        "- split: {over: K, into: [a, b, c], keep: false}\n  as: p\n- subtract: [p.c, p.a]",
    ),
    "split_apart_channels": (
        "{x: {C: 2, H: 4, W: 3}}",
        "- split: {into: {a: 1, b: -1}, keep: false}\n  as: p\n- subtract: [p.b, p.a]",
    ),
    "split_apart_frames": (
        "{clip: {T: 2, C: 4, H: 5, W: 6}}",
        "- conv: {channels: 3}\n- split: {over: T, into: [a, b], keep: false}\n  as: p\n- divide: [p.a, p.b]\n- conv: {channels: 2}",
    ),
    "stack": (SEQUENCE, "- linear: {features: 8}\n  as: a\n- stack: {of: [x, a], axis: K}\n- max: {over: K}"),
    "stack_maps": (
        MAP,
        "- conv: {channels: 4}\n  as: a\n- stack: {of: [x, a, x], axis: K}\n- mean: {over: [H, W]}",
    ),
    "stack_channels": (
        MAP,
        "- mean: {over: C}\n  as: a\n- max: {over: C}\n  as: b\n  from: x\n- stack: {of: [a, b], axis: C}\n- conv: {channels: 1, kernel: 3}",
    ),
    "stack_weight": (
        SEQUENCE,
        "- weight: {axes: {T: 6, C: 8}, init: ones}\n  as: w\n- stack: {of: [w, x], axis: K}",
    ),
    "expand": (SEQUENCE, "- expand: {axes: {K: 3}}\n- linear: {features: 2}"),
    "expand_map": ("{x: {C: 4}}", "- expand: {axes: {H: 3, W: 5}}\n- conv: {channels: 2}"),
    "expand_one": (SEQUENCE, "- expand: {axes: {K: 1}}\n- squeeze: {over: K}"),
    "expand_weight": (
        SEQUENCE,
        "- weight: {axes: {C: 8}}\n  as: w\n- expand: {axes: {T: 6}}\n- add: [prev, x]\n  as: y",
    ),
    "squeeze": (MAP, "- mean: {over: [H, W], keep: true}\n- squeeze: {over: [H, W]}"),
    "squeeze_channel": (MAP, "- conv: {channels: 1}\n- squeeze: {over: C}"),
    "roll": (MAP, "- roll: {shift: {H: -3, W: 2}}"),
    "roll_one": (SEQUENCE, "- roll: {shift: {T: 1}}"),
    "flip": (MAP, "- flip: {over: [W, C]}"),
    "flip_one": (SEQUENCE, "- flip: {over: T}"),
    "tile": (SEQUENCE, "- tile: {over: T, times: 3}\n- linear: {features: 2}"),
    "tile_channels": (MAP, "- tile: {over: C, times: 2}\n- conv: {channels: 2, groups: 2}"),
    "repeat_interleave": (SEQUENCE, "- repeat_interleave: {over: C, times: 2}"),
    "repeat_interleave_map": (
        MAP,
        "- repeat_interleave: {over: C, times: 3}\n- conv: {channels: 4, groups: 4}",
    ),
}
