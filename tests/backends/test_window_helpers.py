"""Files with helpers for windows and resizing, and with places from a table, in use: saved and read again, compiled by
XLA, exported."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.compiler.pipeline import build_graph
from tests.backends.ops import convolution, convolution_transpose, index, neighbourhood, pooling, resizing
from tests.backends.test_op_parity import text
from tests.system.test_emitted import Checks, chosen_names

pytestmark = pytest.mark.slow  # every test waits for processes of the frameworks

TABLES = (convolution, convolution_transpose, index, neighbourhood, pooling, resizing)
CASES = {name: case for table in TABLES for name, case in table.CASES.items()}
ONE_EACH = """
    conv_1d_sides conv_k7_s2 conv_3d_sides conv_depthwise_1d conv_depthwise_s2 conv_dilated_s2 conv_tf_same_s2
    conv_circular_sides conv_reflect conv_3d_reflect conv_transpose_k3_s2_p1_op1 conv_transpose_groups_dilated
    conv_transpose_sides max_pool_1d_causal max_pool_ceil_dropped max_pool_3d max_pool_dilated_ceil max_pool_tf_same
    avg_pool_1d_causal avg_pool_sides_ceil avg_pool_ceil_p1_exclude avg_pool_3d avg_pool_tf_same
    adaptive_avg_pool_row adaptive_max_pool resize_nearest_x17 resize_nearest_exact_down resize_bilinear_x31
    resize_corners_up resize_bicubic_like resize_3d_linear resize_frames pixel_shuffle_frames pixel_unshuffle
    pad_reflect_frames pad_replicate_sides unfold_involution unfold_frames fold_s2 fold_like fold_1d
    gather_places
""".split()

BLOCKS = """
specbuild: 1
model: Net
inputs: {x: {C: 4, H: 16, W: 12}}
blocks:
  Separable:
    params: {channels: int, kernel: 3, stride: 1, dilation: 1}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: x.C, kernel: kernel, stride: stride, dilation: dilation, groups: x.C, bias: false}
        as: depth
      - conv: {channels: channels, kernel: 1}
        as: point
      - relu
  Widen:
    params: {factor: 2, groups: 2}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: x.C * factor, groups: x.C}
      - conv: {channels: x.C, groups: groups, kernel: 5, padding: 2}
  Up:
    params: {channels: int, kernel: 3, stride: 2}
    inputs: {x: [C, H, W]}
    steps:
      - conv_transpose: {channels: channels, kernel: kernel, stride: stride, padding: kernel // 2, output_padding: 1}
      - resize: {scale: stride, mode: bilinear}
      - max_pool: {kernel: kernel, stride: stride, padding: kernel // 2, ceil_mode: true}
      - avg_pool: {kernel: kernel, stride: stride, padding: same, count_include_pad: false}
      - resize: {scale: stride}
  Involution:
    params: {kernel: 3}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: kernel * kernel, kernel: 1}
      - rename: {axes: {C: K}}
        as: weight_of
      - unfold: {kernel: kernel, into: K, padding: same}
        from: x
      - multiply: [prev, weight_of]
      - sum: {over: K}
      - pad: {padding: {H: [kernel - 1, 0]}, mode: replicate}
  Pyramid:
    params: {size: int}
    inputs: {x: [C, H, W]}
    steps:
      - adaptive_avg_pool: {size: size}
      - resize: {like: x, mode: bilinear, align_corners: true}
steps:
  - Separable: {channels: 8, stride: 2}
  - Separable: {channels: 8, kernel: 5, dilation: 2}
  - Widen
  - Widen: {factor: 3, groups: 4}
  - Up: {channels: 6}
  - Up: {channels: 4, kernel: 5, stride: 3}
  - Involution
  - Involution: {kernel: 5}
  - Pyramid: {size: 1}
  - Pyramid: {size: 3}
"""


# A file for each helper, and one whose blocks use them by their parameters.
NAMES = [*ONE_EACH, "blocks"]


@pytest.fixture(scope="module")
def checks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checks:
    texts = {name: BLOCKS if name == "blocks" else text(*CASES[name]) for name in chosen_names(request)}
    models = {name: build_graph(spec) for name, spec in texts.items()}
    return Checks(models, tmp_path_factory.mktemp("helpers"))


@pytest.mark.parametrize("name", NAMES)
def test_torch(checks: Checks, name: str) -> None:
    assert checks.failures_of(name, "torch_checks.py") == {}


@pytest.mark.parametrize("runtime", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("name", NAMES)
def test_keras(checks: Checks, name: str, runtime: str) -> None:
    assert checks.failures_of(name, "keras_checks.py", KERAS_BACKEND=runtime) == {}


@pytest.mark.parametrize("name", NAMES)
def test_keras_compiled_by_xla(checks: Checks, name: str) -> None:
    """On TensorFlow: on JAX, XLA compiles everything, also the training steps of `test_keras`."""
    root = str(Path(__file__).parents[2])
    assert checks.failures_of(name, "xla_checks.py", KERAS_BACKEND="tensorflow", PYTHONPATH=root) == {}
