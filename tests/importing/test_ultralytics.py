"""Model files of Ultralytics become specs with as many parameters as are published."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import specbuild
from specbuild import SpecError
from specbuild.cli import main
from specbuild.cli.terminal import ExitCode
from specbuild.frontend.source import Source
from specbuild.importing.ultralytics import convert_model

ONE_LAYER = "backbone:\n  - [-1, 1, Conv, [64, 3, 1]]\nhead: []\n"
HEAD = "nc: 80\nscales:\n  n: [0.33, 0.25, 1024]\n  s: [0.33, 0.50, 1024]\n  m: [0.67, 0.75, 768]\n"
V8 = (
    HEAD
    + """\
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
  - [-1, 1, Conv, [128, 3, 2]]
  - [-1, 3, C2f, [128, True]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [-1, 6, C2f, [256, True]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [-1, 6, C2f, [512, True]]
  - [-1, 1, Conv, [1024, 3, 2]]
  - [-1, 3, C2f, [1024, True]]
  - [-1, 1, SPPF, [1024, 5]]
head:
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 6], 1, Concat, [1]]
  - [-1, 3, C2f, [512]]
  - [-1, 1, nn.Upsample, [None, 2, "nearest"]]
  - [[-1, 4], 1, Concat, [1]]
  - [-1, 3, C2f, [256]]
  - [-1, 1, Conv, [256, 3, 2]]
  - [[-1, 12], 1, Concat, [1]]
  - [-1, 3, C2f, [512]]
  - [-1, 1, Conv, [512, 3, 2]]
  - [[-1, 9], 1, Concat, [1]]
  - [-1, 3, C2f, [1024]]
  - [[15, 18, 21], 1, Detect, [nc]]
"""
)
DECODER = 16  # published counts have these weights of the decoder, which are not trained


@pytest.mark.parametrize(("scale", "published"), [("n", 3_157_200), ("s", 11_166_560), ("m", 25_902_640)])
def test_published_counts(scale: str, published: int) -> None:
    model = specbuild.load(convert_model(Source(V8), scale=scale))
    assert model.parameters == published - DECODER
    sizes = [x.type.sizes["H"] for x in model.graph.outputs.values()]
    assert sizes == [80, 80, 40, 40, 20, 20]


def test_a_cross_stage() -> None:
    """C3 with two residual blocks: 1x1 and 3x3 convolutions on half of the channels."""
    text = "nc: 4\nbackbone:\n  - [-1, 1, Conv, [16, 3, 2]]\n  - [-1, 2, C3, [16]]\nhead: []\n"
    model = specbuild.load(convert_model(Source(text), name="Net", size=64))
    unit = lambda i, o, k: i * o * k * k + 2 * o  # noqa: E731
    stage = 2 * unit(16, 8, 1) + 2 * (unit(8, 8, 1) + unit(8, 8, 3)) + unit(16, 16, 1)
    assert model.parameters == unit(3, 16, 3) + stage


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("nc: 80\n", "SB101", 1),
        (HEAD + "backbone:\n  - [-1, 1, Magic, [64]]\nhead: []\n", "SB201", 7),
        (HEAD + "backbone:\n  - [-1, 1, Conv, 64]\nhead: []\n", "SB102", 7),
        (HEAD + "backbone:\n  - [5, 1, Conv, [64]]\nhead: []\n", "SB202", 7),
        (HEAD + "backbone:\n  - [-1, 1, Conv, ['x: {']]\nhead: []\n", "SB304", 7),
        (HEAD + "backbone:\n  - [-1, 1, Conv, [64, 'a}\\n  - evil']]\nhead: []\n", "SB304", 7),
        (HEAD + "backbone:\n  - [-1, 1, nn.Upsample, [None, 2, '}, x: {']]\nhead: []\n", "SB304", 7),
        (
            HEAD + "backbone:\n  - [-1, 1, Conv, [64, 3, 2]]\nhead:\n  - [[0], 1, Detect, [nc, anchors]]\n",
            "SB404",
            9,
        ),
        ("depth_multiple: x\n" + ONE_LAYER, "SB304", 1),
        ("width_multiple: []\n" + ONE_LAYER, "SB304", 1),
        ("scales: {n: [1e308, 1, 64]}\n" + ONE_LAYER, "SB304", 1),
        ("scales: {n: [1, 0, 64]}\n" + ONE_LAYER, "SB304", 1),
        ("scales: {n: [1, true, 64]}\n" + ONE_LAYER, "SB304", 1),
        ("scales: {n: [1, 1, -1]}\n" + ONE_LAYER, "SB304", 1),
        ("backbone:\n  - [-1, 99999999, C2f, [64]]\nhead: []\n", "SB304", 2),
        ("nc: many\nbackbone: []\nhead: []\n", "SB304", 1),
    ],
)
def test_refusals(text: str, code: str, line: int) -> None:
    with pytest.raises(SpecError) as refused:
        convert_model(Source(text))
    assert refused.value.code == code
    assert refused.value.location is not None and refused.value.location.line == line


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "v8.yaml", tmp_path / "net.yaml"
    source.write_text(V8)
    assert main(["convert", str(source), "--scale", "s", "-o", str(target)]) == 0
    assert main(["check", str(target)]) == 0
    assert main(["convert", str(source), "-o", str(target)]) == ExitCode.USAGE
    assert main(["convert", str(source), "--scale", "x"]) == ExitCode.INVALID
    assert "its scales are n, s and m" in capsys.readouterr().err
    assert main(["convert", str(source)]) == 0
    assert "model: YoloN" in capsys.readouterr().out


@pytest.mark.parametrize("size", [641, 48])
def test_a_size_for_which_the_maps_do_not_fit(size: int) -> None:
    """The layer that joins two maps is named, and the size in the hint is right."""
    with pytest.raises(SpecError) as caught:
        convert_model(Source(V8, "yolov8.yaml"), size=size)
    error = caught.value
    assert error.location is not None and error.location.text == "  - [[-1, 6], 1, Concat, [1]]"
    assert error.code == "SB401" and "multiple of 32" in error.hint
    assert convert_model(Source(V8, "yolov8.yaml"), size=int(error.hint.split()[-1]))


def test_a_layer_that_no_spec_can_have() -> None:
    text = HEAD + "backbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n  - [-1, 1, Conv, [100, 3, 1, 1, 7]]\nhead: []\n"
    with pytest.raises(SpecError) as caught:
        convert_model(Source(text, "yolov8.yaml"))
    assert caught.value.location is not None and caught.value.location.line == 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nc: 80\n", "nc: 80\nactivation: nn.ReLU()\n", "`activation: nn.ReLU()` is not converted"),
        ("nc: 80\n", "nc: 80\nch: 4\n", "`ch: 4` is not converted"),
        ("Conv, [64, 3, 2]", "Conv, [64, 3, 2, 0]", "only a padding of half the kernel"),
        ("C2f, [128, True]", "C2f, [128, True, 2]", "C2f has more arguments than the 2"),
        ("SPPF, [1024, 5]", "SPPF, [1024, 5, 2]", "SPPF has more arguments than the 2"),
        ("[-1, 6], 1, Concat, [1]", "[-1, 6], 1, Concat, [2]", "joined along the channels"),
    ],
)
def test_what_would_be_another_network_is_refused(old: str, new: str, message: str) -> None:
    assert old in V8
    with pytest.raises(SpecError, match=re.escape(message)) as caught:
        convert_model(Source(V8.replace(old, new, 1)), scale="n")
    line = V8.replace(old, new, 1)[: V8.index(old) + len(new)].count("\n") + (not new.endswith("\n"))
    assert caught.value.location is not None and caught.value.location.line == line


def test_the_depth_of_the_scale_also_counts_for_convolutions() -> None:
    assert "    repeat: 3" not in convert_model(Source(V8.replace("1, Conv, [64", "3, Conv, [64")), scale="n")
