"""Transposed convolutions: name -> (inputs, steps)."""

MAP = "{x: {C: 4, H: 5, W: 6}}"
SEQUENCE = "{x: {T: 7, C: 4}}"
VOLUME = "{x: {C: 4, D: 2, H: 3, W: 4}}"
FRAMES = "{x: {T: 2, C: 4, H: 3, W: 4}}"

MAPS = {
    "k2_s2": "kernel: 2, stride: 2",
    "k3": "kernel: 3",
    "k3_same": "kernel: 3, padding: same",
    "k4_s2_p1": "kernel: 4, stride: 2, padding: 1",
    "k3_s2_p1_op1": "kernel: 3, stride: 2, padding: 1, output_padding: 1",
    "k3_s2_p1": "kernel: 3, stride: 2, padding: 1, bias: false",
    "k5_s3_p2_op1": "kernel: 5, stride: 3, padding: 2, output_padding: 1",
    "k2_s3": "kernel: 2, stride: 3",
    "k2_s3_op1": "kernel: 2, stride: 3, output_padding: 1",
    "k1_s2_op1": "kernel: 1, stride: 2, output_padding: [1, 0]",
    "oblong": "kernel: [3, 2], stride: {H: 1, W: 2}, padding: [1, 0], output_padding: {H: 0, W: 1}",
    "sides": "kernel: 3, stride: 2, padding: [[1, 0], [0, 2]]",
    "tf_same_k3_s2": "kernel: 3, stride: 2, padding: tf_same",
    "tf_same_k2_s3": "kernel: 2, stride: 3, padding: tf_same",
    "tf_same_k4": "kernel: 4, padding: tf_same",
    "dilated": "kernel: 3, padding: 1, dilation: 2",
    "dilated_s2": "kernel: 3, stride: 2, dilation: [2, 3], padding: 2, output_padding: 1",
    "groups": "kernel: 3, stride: 2, groups: 2, padding: 1, output_padding: 1",
    "groups_dilated": "kernel: [2, 3], groups: 2, dilation: 2, stride: [1, 3]",
    "groups_tf_same": "kernel: 2, stride: 3, groups: 2, padding: tf_same",
    "groups_sides": "kernel: 3, groups: 2, stride: 2, padding: [[2, 0], [0, 1]]",
}
CASES = {
    f"conv_transpose_{name}": (MAP, f"- conv_transpose: {{channels: 6, {how}}}") for name, how in MAPS.items()
}
CASES |= {
    "conv_transpose_depthwise": (
        MAP,
        "- conv_transpose: {channels: 4, kernel: 4, stride: 2, groups: 4, padding: 1, bias: false}",
    ),
    "conv_transpose_1d": (
        SEQUENCE,
        "- conv_transpose: {channels: 3, kernel: 3, stride: 2, padding: 1}\n- linear: {features: 2}",
    ),
    "conv_transpose_1d_groups": (
        SEQUENCE,
        "- conv_transpose: {channels: 8, kernel: 3, stride: 2, groups: 4, dilation: 2}",
    ),
    "conv_transpose_3d": (
        VOLUME,
        "- conv_transpose: {channels: 3, kernel: [1, 2, 3], stride: [1, 2, 2], padding: [0, 0, 1]}",
    ),
    "conv_transpose_3d_groups": (VOLUME, "- conv_transpose: {channels: 6, kernel: 2, stride: 2, groups: 2}"),
    "conv_transpose_frames": (
        FRAMES,
        "- conv_transpose: {channels: 3, kernel: 2, stride: 2}\n- conv: {channels: 2}\n- mean: {over: T}",
    ),
}
