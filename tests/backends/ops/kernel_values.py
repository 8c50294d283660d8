"""Convolutions and linear maps with kernels that are values: name -> (inputs, steps)."""

MAP = "{x: {C: 4, H: 6, W: 5}}"
WEIGHT = "- weight: {axes: {O: 6, I: 4, H: 3, W: 3}, init: normal(1)}\n  as: w\n"
GROUPED = "- weight: {axes: {O: 6, I: 2, H: 3, W: 2}, init: normal(1)}\n  as: w\n"
BIAS = "- weight: {axes: {O: 6}, init: normal(1)}\n  as: b\n"
# a kernel for each sample: the mean of the map chooses among two
MIXED = (
    "- mean: {over: [H, W]}\n- linear: {features: 2}\n- softmax:\n- rename: {axes: {C: K}}\n  as: share\n"
    "- weight: {axes: {K: 2, O: 6, I: %d, H: 3, W: 3}, init: normal(1)}\n  as: each\n"
    "- contract: {of: [share, each], over: K}\n  as: w\n"
)
SAMPLE = "- linear: {features: 6}\n  from: q\n- rename: {axes: {C: O}}\n  as: b\n"


def convolved(attributes: str = "", before: str = WEIGHT) -> tuple[str, str]:
    return MAP, f"{before}- conv: {{weight: w{attributes}}}\n  from: x\n- conv: {{channels: 2}}"


CASES = {
    "kernel_conv": convolved(),
    "kernel_conv_bias": convolved(", bias: b", WEIGHT + BIAS),
    "kernel_conv_stride": convolved(", stride: 2, padding: 1"),
    "kernel_conv_dilation": convolved(", dilation: 2"),
    "kernel_conv_stride_dilation": convolved(", dilation: 2, stride: [1, 2], padding: 2"),
    "kernel_conv_sides": convolved(", padding: [[1, 0], 2]"),
    "kernel_conv_tf_same": convolved(", padding: tf_same, stride: 2"),
    "kernel_conv_reflect": convolved(", padding_mode: reflect"),
    "kernel_conv_groups": convolved(", groups: 2, padding: valid, stride: [2, 1]", GROUPED),
    "kernel_conv_depthwise": convolved(", groups: 4", WEIGHT.replace("O: 6, I: 4", "O: 8, I: 1")),
    "kernel_conv_each": convolved(", bias: b", MIXED % 4 + BIAS),
    "kernel_conv_each_groups": convolved(", groups: 2, stride: 2", MIXED % 2),
    "kernel_conv_each_dilation": convolved(", dilation: 2, padding_mode: circular", MIXED % 4),
    "kernel_conv_each_bias": (
        "{x: {C: 4, H: 6, W: 5}, q: {C: 3}}",
        WEIGHT + SAMPLE + "- conv: {weight: w, bias: b}\n  from: x",
    ),
    "kernel_conv_axes": convolved(
        ", outputs: N, inputs: M", "- weight: {axes: {H: 3, M: 4, W: 1, N: 2}, init: normal(1)}\n  as: w\n"
    ),
    "kernel_conv_sequence": (
        "{x: {T: 6, C: 4}}",
        "- weight: {axes: {T: 3, I: 4, O: 2}, init: normal(1)}\n  as: w\n- conv: {weight: w, padding: causal, over: T}\n"
        "  from: x\n- linear: {features: 2}",
    ),
    "kernel_conv_volume": (
        "{x: {C: 2, D: 3, H: 4, W: 3}}",
        "- weight: {axes: {O: 4, I: 1, D: 2, H: 3, W: 1}, init: normal(1)}\n  as: w\n"
        "- conv: {weight: w, groups: 2}\n  from: x",
    ),
    "kernel_conv_frames": (
        "{x: {T: 3, C: 4, H: 6, W: 5}}",
        WEIGHT + "- conv: {weight: w, over: [H, W]}\n  from: x\n- mean: {over: T}",
    ),
    "kernel_conv_of_weight": (
        "{q: {C: 6}}",
        WEIGHT
        + "- weight: {axes: {C: 4, H: 4, W: 3}, init: normal(1)}\n  as: x\n- conv: {weight: w}\n  from: x\n"
        "- mean: {over: [H, W]}\n- multiply: [prev, q]",
    ),
    "kernel_linear": (
        "{x: {T: 3, C: 4}}",
        "- weight: {axes: {I: 4, O: 6}, init: normal(1)}\n  as: w\n"
        + BIAS
        + "- linear: {weight: w, bias: b}\n  from: x",
    ),
    "kernel_linear_over": (
        "{x: {T: 3, C: 4}}",
        "- weight: {axes: {O: 6, S: 3}, init: normal(1)}\n  as: w\n"
        "- linear: {weight: w, over: T, inputs: S}\n  from: x\n- linear: {features: 2}",
    ),
    "kernel_linear_each": (
        "{x: {T: 3, C: 4}, w: {O: 2, I: 4}}",
        "- linear: {weight: w}\n  from: x",
    ),
    "kernel_linear_each_bias": (
        "{x: {T: 3, C: 4}, q: {C: 5}}",
        "- weight: {axes: {O: 6, I: 4}, init: normal(1)}\n  as: w\n"
        + SAMPLE
        + "- linear: {weight: w, bias: b}\n  from: x",
    ),
    "kernel_linear_of_weight": (
        "{w: {O: 2, I: 4}}",
        "- weight: {axes: {T: 3, C: 4}, init: normal(1)}\n  as: x\n- linear: {weight: w}\n  from: x",
    ),
}
