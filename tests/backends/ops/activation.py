"""Activations: name -> (inputs, steps)."""

MAP = "{x: {C: 6, H: 5, W: 4}}"
SEQUENCE = "{x: {T: 7, C: 6}}"
FRAMES = "{clip: {T: 3, C: 4, H: 5, W: 6}}"

# Three times the input reaches the outer pieces of those that are made of pieces.
PLAIN = [
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "softsign",
    "sigmoid",
    "hard_sigmoid",
    "hard_silu",
    "log_sigmoid",
    "tanh",
    "hard_tanh",
    "tanh_shrink",
    "soft_shrink",
    "hard_shrink",
    "softmax",
    "log_softmax",
    "glu",
    "prelu",
]

CASES = {
    **{f"{name}_map": (MAP, f"- scale: {{by: 3}}\n- {name}") for name in PLAIN},
    "leaky_relu_slope": (SEQUENCE, "- leaky_relu: {slope: 0.3}"),
    "elu_alpha": (SEQUENCE, "- elu: {alpha: 0.7}"),
    "celu_alpha": (SEQUENCE, "- celu: {alpha: 0.7}"),
    "gelu_tanh": (SEQUENCE, "- gelu: {approximate: tanh}"),
    "softplus_beta": (SEQUENCE, "- softplus: {beta: 2.5}"),
    "soft_shrink_wide": (SEQUENCE, "- soft_shrink: {threshold: 0.8}"),
    "hard_shrink_wide": (SEQUENCE, "- hard_shrink: {threshold: 0.8}"),
    "threshold": (SEQUENCE, "- threshold: {threshold: 0.1, value: -2}"),
    "prelu_channels": (MAP, "- prelu: {over: C}"),
    "prelu_channels_sequence": (SEQUENCE, "- prelu: {over: C, init: constant(0.1)}"),
    "prelu_channels_vector": ("{x: {C: 5}}", "- prelu: {over: C, init: normal(0.1)}"),
    "prelu_time": (SEQUENCE, "- prelu: {over: T}"),
    "prelu_frames": (FRAMES, "- conv: {channels: 3}\n- prelu: {over: C}\n- mean: {over: [H, W]}"),
    "prelu_frames_time": (
        FRAMES,
        "- conv: {channels: 3}\n- prelu: {over: T}\n- conv: {channels: 2, kernel: 1}",
    ),
    "softmax_channels_sequence": (SEQUENCE, "- softmax"),
    "softmax_time": (SEQUENCE, "- softmax: {over: T}"),
    "softmax_places": (MAP, "- softmax: {over: [H, W]}"),
    "softmax_apart": (MAP, "- softmax: {over: [W, C]}"),
    "softmax_torn": ("{x: {T: 3, V: 4, C: 5}}", "- softmax: {over: [T, C]}\n- linear: {features: 2}"),
    "softmax_everything": (MAP, "- softmax: {over: [C, H, W]}"),
    "softmax_frames": (FRAMES, "- conv: {channels: 3}\n- softmax: {over: T}\n- conv: {channels: 2}"),
    "softmax_frames_places": (
        FRAMES,
        "- conv: {channels: 3}\n- softmax: {over: [H, W]}\n- conv: {channels: 2}",
    ),
    "log_softmax_time": (SEQUENCE, "- log_softmax: {over: T}"),
    "log_softmax_places": (MAP, "- log_softmax: {over: [W, H]}"),
    "log_softmax_frames": (
        FRAMES,
        "- conv: {channels: 3}\n- log_softmax: {over: [T, C]}\n- conv: {channels: 2}",
    ),
    "glu_time": ("{x: {T: 8, C: 3}}", "- glu: {over: T}"),
    "glu_channels_sequence": (SEQUENCE, "- glu\n- linear: {features: 4}"),
    "activation_row": (
        MAP,
        "- do: [{conv: {channels: 8}}, leaky_relu, {conv: {channels: 6}}, {gelu: {approximate: tanh}}, "
        "{elu: {alpha: 0.5}}, mish, glu]",
    ),
    "activation_row_sequence": (
        SEQUENCE,
        "- do: [{linear: {features: 8}}, glu, log_softmax, {softmax: {over: T}}, {softplus: {beta: 2}}, "
        "relu6, prelu]",
    ),
}
