"""Dropout, which does nothing outside of training: name -> (inputs, steps)."""

SEQUENCE = "{x: {T: 7, C: 6}}"
MAP = "{x: {C: 6, H: 5, W: 4}}"
FRAMES = "{clip: {T: 3, C: 4, H: 5, W: 6}}"

CASES = {
    "dropout": (SEQUENCE, "- linear: {features: 4}\n- dropout: {rate: 0.3}\n- linear: {features: 3}"),
    "dropout_nothing": (SEQUENCE, "- do: [{linear: {features: 4}}, {dropout: {rate: 0}}, relu]"),
    "dropout_of_a_weight": (
        SEQUENCE,
        "- weight: {axes: {T: x.T, C: x.C}}\n  as: w\n- dropout: {rate: 0.3, over: T}\n- add: [x, prev]",
    ),
    "dropout_maps": (
        MAP,
        "- conv: {channels: 4}\n- dropout: {rate: 0.3, over: [W, H]}\n- conv: {channels: 3}",
    ),
    "dropout_sequence": (SEQUENCE, "- dropout: {over: T}\n- linear: {features: 3}"),
    "dropout_volume": ("{x: {C: 2, D: 3, H: 4, W: 2}}", "- dropout: {over: [D, H, W]}"),
    "dropout_channels": (MAP, "- dropout: {over: C}"),
    "dropout_rows": (MAP, "- dropout: {over: [C, W]}"),
    "dropout_frames": (FRAMES, "- conv: {channels: 3}\n- dropout: {over: [H, W]}\n- conv: {channels: 2}"),
    "dropout_clip": (FRAMES, "- conv: {channels: 3}\n- dropout: {over: [T, H, W]}\n- conv: {channels: 2}"),
    "drop_path": (MAP, "- conv: {channels: 6}\n- drop_path: {rate: 0.3}\n- add: [x, prev]"),
    "drop_path_nothing": (MAP, "- conv: {channels: 6}\n- drop_path: {rate: 0}\n- add: [x, prev]"),
    "drop_path_frames": (FRAMES, "- conv: {channels: 4}\n- drop_path: {rate: 0.3}\n- add: [clip, prev]"),
    "dropout_row": (
        MAP,
        "- do: [{conv: {channels: 4}}, dropout, {drop_path: {rate: 0.1}}, {dropout: {over: [H, W]}}]",
    ),
}
