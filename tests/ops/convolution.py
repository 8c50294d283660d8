"""Convolutions: name -> (inputs, steps)."""

CASES = {
    "conv_k3": ("{x: {C: 4, H: 9, W: 8}}", "- conv: {channels: 6}"),
    "conv_k7_s2": ("{x: {C: 3, H: 16, W: 13}}", "- conv: {channels: 4, kernel: 7, stride: 2, bias: false}"),
    "conv_1d": ("{x: {T: 10, C: 5}}", "- conv: {channels: 4, kernel: 3}"),
    "conv_frames": ("{clip: {T: 3, C: 2, H: 8, W: 6}}", "- conv: {channels: 4}\n- batch_norm\n- relu\n- mean: {over: [H, W]}"),
    "linear": ("{x: {T: 7, C: 5}}", "- linear: {features: 3}"),
}
