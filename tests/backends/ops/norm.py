"""Normalisation: name -> (inputs, steps)."""

VECTOR = "{x: {C: 6}}"
SEQUENCE = "{x: {T: 7, C: 6}}"
MAP = "{x: {C: 6, H: 5, W: 4}}"
VOLUME = "{x: {C: 6, D: 3, H: 4, W: 2}}"
FRAMES = "{clip: {T: 3, C: 4, H: 5, W: 6}}"
MANY = "{x: {P: 2, T: 3, C: 4, H: 3, W: 2}}"

CASES = {
    "batch_norm_vector": (VECTOR, "- batch_norm"),
    "batch_norm_sequence": (SEQUENCE, "- batch_norm"),
    "batch_norm_map": (MAP, "- batch_norm: {epsilon: 1e-3, momentum: 0.03}"),
    "batch_norm_plain": (MAP, "- batch_norm: {affine: false}"),
    "batch_norm_volume": (VOLUME, "- batch_norm"),
    "batch_norm_many": (MANY, "- batch_norm"),
    "batch_norm_time": (SEQUENCE, "- batch_norm: {over: T}"),
    "batch_norm_frames": (FRAMES, "- conv: {channels: 3}\n- batch_norm\n- conv: {channels: 2}"),
    "batch_norm_frames_time": (
        FRAMES,
        "- conv: {channels: 3}\n- batch_norm: {over: T}\n- conv: {channels: 2}",
    ),
    "layer_norm_vector": (VECTOR, "- layer_norm"),
    "layer_norm_sequence": (SEQUENCE, "- layer_norm: {epsilon: 1e-6}"),
    "layer_norm_map": (MAP, "- conv: {channels: 3}\n- layer_norm\n- conv: {channels: 2}"),
    "layer_norm_everything": (MAP, "- layer_norm: {over: [C, H, W]}"),
    "layer_norm_places": (MAP, "- layer_norm: {over: [W, H]}"),
    "layer_norm_apart": (MAP, "- layer_norm: {over: [H, C]}"),
    "layer_norm_time": (SEQUENCE, "- layer_norm: {over: T}"),
    "layer_norm_plain": (SEQUENCE, "- layer_norm: {affine: false}"),
    "layer_norm_unshifted": (SEQUENCE, "- layer_norm: {bias: false, init: constant(0.5)}"),
    "layer_norm_frames": (FRAMES, "- conv: {channels: 3}\n- layer_norm\n- conv: {channels: 2}"),
    "layer_norm_frames_time": (
        FRAMES,
        "- conv: {channels: 3}\n- layer_norm: {over: [C, T]}\n- conv: {channels: 2}",
    ),
    "rms_norm_sequence": (SEQUENCE, "- rms_norm"),
    "rms_norm_epsilon": (SEQUENCE, "- rms_norm: {epsilon: 1e-2}"),
    "rms_norm_map": (MAP, "- rms_norm"),
    "rms_norm_places": (MAP, "- rms_norm: {over: [W, H]}"),
    "rms_norm_plain": (MAP, "- rms_norm: {affine: false, over: [H, C]}"),
    "rms_norm_time": (SEQUENCE, "- rms_norm: {over: T}"),
    "rms_norm_frames": (FRAMES, "- conv: {channels: 3}\n- rms_norm\n- conv: {channels: 2}"),
    "group_norm_vector": (VECTOR, "- group_norm: {groups: 2}"),
    "group_norm_sequence": (SEQUENCE, "- group_norm: {groups: 3}"),
    "group_norm_map": (MAP, "- group_norm: {groups: 2, epsilon: 1e-3}"),
    "group_norm_one": (MAP, "- group_norm: {groups: 1}"),
    "group_norm_plain": (MAP, "- group_norm: {groups: 3, affine: false}"),
    "group_norm_volume": (VOLUME, "- group_norm: {groups: 2}"),
    "group_norm_rows": (MAP, "- group_norm: {groups: 2, over: W}"),
    "group_norm_frames": (FRAMES, "- group_norm: {groups: 2}"),
    "group_norm_frames_folded": (
        FRAMES,
        "- conv: {channels: 4}\n- group_norm: {groups: 2}\n- conv: {channels: 2}",
    ),
    "group_norm_frames_time": (
        FRAMES,
        "- conv: {channels: 4}\n- group_norm: {groups: 2, over: [T, H, W]}\n- conv: {channels: 2}",
    ),
    "instance_norm_sequence": (SEQUENCE, "- instance_norm"),
    "instance_norm_map": (MAP, "- instance_norm: {affine: true, epsilon: 1e-3}"),
    "instance_norm_volume": (VOLUME, "- instance_norm"),
    "instance_norm_frames": (FRAMES, "- conv: {channels: 4}\n- instance_norm\n- conv: {channels: 2}"),
    "local_response_norm": (MAP, "- scale: {by: 3}\n- local_response_norm: {size: 3, alpha: 0.5, k: 2}"),
    "local_response_norm_even": (MAP, "- local_response_norm: {size: 4, alpha: 0.5, beta: 0.5}"),
    "local_response_norm_sequence": (SEQUENCE, "- local_response_norm: {size: 5, alpha: 0.5}"),
    "norm_row": (
        MAP,
        "- do: [{conv: {channels: 4}}, batch_norm, {group_norm: {groups: 2}}, instance_norm, "
        "local_response_norm]",
    ),
}
