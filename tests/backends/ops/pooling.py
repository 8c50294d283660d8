"""Pooling: name -> (inputs, steps)."""

MAP = "{x: {C: 3, H: 9, W: 8}}"
SEQUENCE = "{x: {T: 11, C: 4}}"
VOLUME = "{x: {C: 2, D: 5, H: 6, W: 7}}"
FRAMES = "{x: {T: 3, C: 2, H: 8, W: 5}}"

CASES = {
    "max_pool": (MAP, "- max_pool"),
    "max_pool_k3_s2_p1": (MAP, "- max_pool: {kernel: 3, stride: 2, padding: 1}"),
    "max_pool_same_s1": (MAP, "- max_pool: {kernel: 3, stride: 1, padding: same}"),
    "max_pool_ceil": (MAP, "- max_pool: {kernel: 2, ceil_mode: true}"),
    "max_pool_ceil_dropped": (
        "{x: {C: 2, H: 16, W: 17}}",
        "- max_pool: {kernel: 3, stride: 3, padding: 1, ceil_mode: true}",
    ),
    "max_pool_ceil_gaps": (MAP, "- max_pool: {kernel: 1, stride: 3, ceil_mode: true}"),
    "max_pool_oblong": (
        MAP,
        "- max_pool: {kernel: {H: 3, W: 2}, stride: {H: 1, W: 2}, padding: {H: 1, W: 0}}",
    ),
    "max_pool_sides": (MAP, "- max_pool: {kernel: 3, stride: 2, padding: [[0, 1], [2, 0]]}"),
    "max_pool_sides_ceil": (
        MAP,
        "- max_pool: {kernel: 3, stride: 3, padding: [[0, 2], [1, 0]], ceil_mode: true}",
    ),
    "max_pool_tf_same": (MAP, "- max_pool: {kernel: 3, stride: 2, padding: tf_same}"),
    "max_pool_tf_same_ceil": (MAP, "- max_pool: {kernel: 2, stride: 3, padding: tf_same, ceil_mode: true}"),
    "max_pool_dilated": (MAP, "- max_pool: {kernel: 2, stride: 1, dilation: 2}"),
    "max_pool_dilated_s2_p1": (MAP, "- max_pool: {kernel: 3, stride: 2, padding: 2, dilation: [2, 3]}"),
    "max_pool_dilated_ceil": (
        MAP,
        "- max_pool: {kernel: 2, stride: 3, padding: 1, dilation: 3, ceil_mode: true}",
    ),
    "max_pool_1d": (SEQUENCE, "- max_pool: {kernel: 3, stride: 2, padding: same}\n- linear: {features: 2}"),
    "max_pool_1d_ceil": (SEQUENCE, "- max_pool: {kernel: 2, ceil_mode: true}"),
    "max_pool_1d_causal": (SEQUENCE, "- max_pool: {kernel: 3, stride: 1, padding: causal}"),
    "max_pool_1d_dilated": (SEQUENCE, "- max_pool: {kernel: 3, stride: 1, dilation: 2}"),
    "max_pool_3d": (VOLUME, "- max_pool: {kernel: [1, 3, 2], stride: 2, padding: [0, 1, 0]}"),
    "max_pool_3d_ceil": (VOLUME, "- max_pool: {ceil_mode: true}"),
    "max_pool_frames": (FRAMES, "- conv: {channels: 3}\n- max_pool\n- mean: {over: [H, W]}"),
    "max_pool_in_time": (FRAMES, "- max_pool: {over: T, kernel: 3, stride: 1}"),
    "max_pool_without_channels": (
        "{x: {A: 2, H: 6, W: 5}}",
        "- max_pool: {kernel: 3, stride: 1, padding: 1}",
    ),
    "avg_pool": (MAP, "- avg_pool"),
    "avg_pool_k3_s2_p1": (MAP, "- avg_pool: {kernel: 3, stride: 2, padding: 1}"),
    "avg_pool_same_s1": (MAP, "- avg_pool: {kernel: 3, stride: 1, padding: same}"),
    "avg_pool_same_s1_exclude": (
        MAP,
        "- avg_pool: {kernel: 3, stride: 1, padding: same, count_include_pad: false}",
    ),
    "avg_pool_s2_exclude": (MAP, "- avg_pool: {kernel: 3, stride: 2, padding: 1, count_include_pad: false}"),
    "avg_pool_ceil": (MAP, "- avg_pool: {kernel: 2, ceil_mode: true}"),
    "avg_pool_ceil_exclude": (MAP, "- avg_pool: {kernel: 2, ceil_mode: true, count_include_pad: false}"),
    "avg_pool_ceil_p1": (
        "{x: {C: 2, H: 10, W: 9}}",
        "- avg_pool: {kernel: 3, stride: 2, padding: 1, ceil_mode: true}",
    ),
    "avg_pool_ceil_p1_exclude": (
        "{x: {C: 2, H: 10, W: 9}}",
        "- avg_pool: {kernel: 3, stride: 2, padding: 1, ceil_mode: true, count_include_pad: false}",
    ),
    "avg_pool_ceil_dropped": (
        "{x: {C: 2, H: 16, W: 17}}",
        "- avg_pool: {kernel: 3, stride: 3, padding: 1, ceil_mode: true}",
    ),
    "avg_pool_sides": (MAP, "- avg_pool: {kernel: 3, stride: 2, padding: [[0, 1], [2, 0]]}"),
    "avg_pool_sides_exclude": (
        MAP,
        "- avg_pool: {kernel: 3, stride: 2, padding: [[0, 1], [2, 0]], count_include_pad: false}",
    ),
    "avg_pool_sides_ceil": (
        MAP,
        "- avg_pool: {kernel: 3, stride: 3, padding: [[0, 2], [1, 0]], ceil_mode: true}",
    ),
    "avg_pool_sides_ceil_exclude": (
        MAP,
        "- avg_pool: {kernel: 3, stride: 3, padding: [[0, 2], [1, 0]], ceil_mode: true, count_include_pad: false}",
    ),
    "avg_pool_tf_same": (
        MAP,
        "- avg_pool: {kernel: 3, stride: 2, padding: tf_same, count_include_pad: false}",
    ),
    "avg_pool_tf_same_even": (
        MAP,
        "- avg_pool: {kernel: 2, stride: 1, padding: tf_same, count_include_pad: false}",
    ),
    "avg_pool_tf_same_1d": (
        SEQUENCE,
        "- avg_pool: {kernel: 4, stride: 3, padding: tf_same, count_include_pad: false}\n- linear: {features: 2}",
    ),
    "avg_pool_tf_same_3d": (
        VOLUME,
        "- avg_pool: {kernel: 3, stride: 2, padding: tf_same, count_include_pad: false}",
    ),
    "avg_pool_1d": (SEQUENCE, "- avg_pool: {kernel: 3, stride: 1, padding: same}\n- linear: {features: 2}"),
    "avg_pool_1d_causal": (
        SEQUENCE,
        "- avg_pool: {kernel: 3, stride: 1, padding: causal, count_include_pad: false}",
    ),
    "avg_pool_3d": (VOLUME, "- avg_pool: {kernel: 3, stride: 2, padding: 1, count_include_pad: false}"),
    "avg_pool_frames": (FRAMES, "- avg_pool: {kernel: 2, stride: 1, padding: 1}"),
    "adaptive_avg_pool": (MAP, "- adaptive_avg_pool: {size: [3, 2]}"),
    "adaptive_avg_pool_wider": (MAP, "- adaptive_avg_pool: {size: {H: 12, W: 3}}"),
    "adaptive_avg_pool_one": (MAP, "- adaptive_avg_pool\n- conv: {channels: 2, kernel: 1}"),
    "adaptive_avg_pool_columns": (MAP, "- adaptive_avg_pool: {size: {H: 6, W: 1}}"),
    "adaptive_avg_pool_row": (MAP, "- adaptive_avg_pool: {size: [1, 5]}"),
    "adaptive_avg_pool_1d": (SEQUENCE, "- adaptive_avg_pool: {size: 4}\n- linear: {features: 2}"),
    "adaptive_avg_pool_1d_one": (SEQUENCE, "- adaptive_avg_pool\n- linear: {features: 2}"),
    "adaptive_avg_pool_3d": (VOLUME, "- adaptive_avg_pool: {size: [2, 4, 3]}"),
    "adaptive_avg_pool_over_rows": (MAP, "- adaptive_avg_pool: {over: H, size: 4}"),
    "adaptive_avg_pool_frames": (
        FRAMES,
        "- conv: {channels: 3}\n- adaptive_avg_pool: {size: 3}\n- mean: {over: T}",
    ),
    "adaptive_avg_pool_frames_one": (
        FRAMES,
        "- conv: {channels: 3}\n- adaptive_avg_pool\n- mean: {over: [T, H, W]}",
    ),
    "adaptive_max_pool": (MAP, "- adaptive_max_pool: {size: [4, 5]}"),
    "adaptive_max_pool_one": (MAP, "- adaptive_max_pool\n- conv: {channels: 2, kernel: 1}"),
    "adaptive_max_pool_1d": (SEQUENCE, "- adaptive_max_pool: {size: 3}"),
    "adaptive_max_pool_3d": (VOLUME, "- adaptive_max_pool: {size: [2, 4, 3]}"),
}

# TensorFlow's pooling over three axes has no float64 on a CPU
SINGLE = {name for name in CASES if "_3d" in name and "adaptive" not in name}
