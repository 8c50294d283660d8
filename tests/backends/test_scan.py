"""Blocks that are applied to one position after another: both frameworks, and references written as loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from specbuild.backends import BACKEND_NAMES
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.cost import model_cost
from specbuild.parity.compare import ParityCase
from specbuild.parity.participants import select_lineup
from tests.backends.reference import Array, drawn
from tests.parity_runner import ParityOf

CELL = """
  Cell:
    params: {units: 3}
    inputs: {x: [C], h: [C]}
    steps:
      - concat: {of: [x, h], over: C}
      - linear: {features: units}
      - tanh
    outputs: {y: tanh, h: tanh}
"""
# One step of a decoder with additive attention (Bahdanau et al. 2014, arXiv 1409.0473)
DECODER = """
  Decoder:
    inputs: {h: [C], word: [C], memory: [S, C]}
    steps:
      - linear: {features: memory.C}
        from: h
      - add: {of: [prev, memory], broadcast: true}
      - tanh
      - linear: {features: 1, bias: false}
      - squeeze: {over: C}
      - softmax: {over: S}
        as: weights
      - multiply: [weights, memory]
      - sum: {over: S}
        as: context
      - concat: {of: [word, context], over: C}
      - linear: {features: h.C}
      - linear: {features: h.C}
        from: h
      - add: [linear3, linear4]
      - tanh:
        as: state
    outputs: {context: context, h: state, seen: weights}
"""
# Without a state: the frames of a video are samples of the batch
FRAME = """
  Frame:
    params: {channels: 3}
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: channels}
      - batch_norm:
      - weight: {axes: {C: channels}, init: normal(1)}
        as: gain
      - multiply: [batch_norm, gain]
      - mean: {over: [H, W]}
    outputs: {map: multiply, gain: gain, y: mean}
"""
VIDEO = "{x: {T: 3, C: 2, H: 4, W: 5}}"
# name -> blocks, inputs, steps, outputs
CASES = {
    "cell": (
        CELL,
        "{x: {T: 5, C: 4}, h: {C: 3}}",
        "- Cell:\n  scan: T\n  from: {x: x, h: h}\n  as: run\n- add: {of: [run.y, run.h], broadcast: true}",
    ),
    "reversed_from_zeros": (
        CELL,
        "{x: {T: 5, C: 4}}",
        "- const: {axes: {C: 3}, value: 0}\n  as: zeros\n- Cell:\n  scan: {over: T, reverse: true}\n"
        "  from: {x: x, h: zeros}\n  as: run\n- add: {of: [run.y, run.h], broadcast: true}",
    ),
    "decoder_with_additive_attention": (
        DECODER,
        "{words: {T: 4, C: 3}, memory: {S: 5, C: 6}}",
        "- weight: {axes: {C: 7}, init: normal(1)}\n  as: start\n"
        "- Decoder:\n  scan: T\n  from: {word: words, h: start, memory: memory}\n  as: run\n"
        "- linear: {features: 3}\n  from: run.context",
    ),
    "last_state_and_a_value_inside": (
        CELL,
        "{x: {T: 5, C: 4}, h: {C: 3}}",
        "- Cell:\n  scan: T\n  from: {x: x, h: h}\n  as: run\n"
        "- add: {of: [run.linear, run.h], broadcast: true}",
    ),
    "value_inside_without_a_batch": (
        CELL.replace(
            "- tanh", "- tanh\n      - weight: {axes: {C: units}, init: normal(1)}\n        as: gain"
        ),
        "{x: {T: 5, C: 4}, h: {C: 3}}",
        "- Cell:\n  scan: T\n  from: {x: x, h: h}\n  as: run\n- add: [run.gain, run.y]",
    ),
    "a_scan_in_a_scan": (
        CELL
        + """
  Rows:
    inputs: {x: [T, C], s: [C]}
    steps:
      - Cell:
        scan: T
        from: {x: x, h: s}
        as: inner
    outputs: {out: inner.y, s: inner.h}
""",
        "{z: {S: 3, T: 4, C: 2}, s: {C: 3}}",
        "- Rows:\n  scan: {over: S, reverse: true}\n  from: {x: z, s: s}\n  as: run\n- mean: {over: T}\n  from: run.out",
    ),
    "beside_a_plain_call": (
        CELL,
        "{x: {T: 4, C: 3}}",
        "- const: {axes: {C: 3}, value: 0}\n  as: zeros\n- Cell:\n  scan: T\n  from: {x: x, h: zeros}\n  as: run\n"
        "- Cell:\n  from: {x: run.h, h: zeros}\n  as: once\n- add: [run.h, once.y]",
    ),
    "again_on_a_value_without_a_batch": (
        CELL
        + """
  Layer:
    inputs: {x: [T, C]}
    steps:
      - weight: {axes: {C: 3}, init: normal(1)}
        as: start
      - Cell:
        scan: T
        from: {x: x, h: start}
        as: run
      - linear: {features: 2}
        from: run.y
""",
        "{x: {T: 4, C: 2}}",
        "- Layer:\n  as: layer\n- weight: {axes: {T: 4, C: 2}, init: normal(1)}\n  as: w\n"
        "- reuse: layer\n  from: w\n  as: other\n- add: [layer, other]",
    ),
    "state_alone": (
        CELL.replace("{y: tanh, h: tanh}", "{h: tanh}"),
        "{x: {T: 5, C: 4}, h: {C: 3}}",
        "- Cell:\n  scan: T\n  from: {x: x, h: h}\n- linear: {features: 2}",
    ),
    "twice_with_the_same_weights": (
        CELL,
        "{x: {T: 5, C: 4}, z: {T: 3, C: 4}, h: {C: 3}}",
        "- Cell:\n  scan: T\n  from: {x: x, h: h}\n  as: run\n"
        "- reuse: run\n  from: {x: z, h: run.h}\n  as: other\n"
        "- concat: {of: [run.y, other.y], over: T}",
    ),
    "rows_of_a_map": (
        CELL.replace("x: [C], h: [C]", "x: [C, W], h: [C, W]"),
        "{x: {C: 4, H: 3, W: 2}, h: {C: 3, W: 2}}",
        "- conv: {channels: 2}\n  from: x\n- Cell:\n  scan: H\n  from: {x: prev, h: h}\n  as: run\n"
        "- conv: {channels: 2}\n  from: run.y",
    ),
    "conv_lstm": (
        "",
        "{x: {T: 3, C: 2, H: 4, W: 5}}",
        "- ConvLstm: {channels: 3, peephole: true}\n  as: run\n- add: {of: [run.y, run.c], broadcast: true}",
    ),
    "frames_with_several_outputs_and_a_value_inside": (
        FRAME,
        VIDEO,
        "- Frame:\n  scan: T\n  as: frame\n- conv: {channels: 2}\n  from: frame.conv\n- mean: {over: [H, W]}\n"
        "- concat: {of: [prev, frame.y, frame.gain], over: C}\n- rnn: {units: 2}",
    ),
    "frames_of_a_map_that_is_not_in_the_natural_order": (
        FRAME.replace("outputs: {map: multiply, gain: gain, y: mean}", ""),
        "{x: {C: 2, H: 4, T: 3, W: 5}}",
        "- conv: {channels: 2, over: [T, H]}\n- Frame:\n  scan: T\n- linear: {features: 2}",
    ),
    "frames_twice_with_the_same_weights": (
        FRAME,
        "{x: {T: 3, C: 2, H: 4, W: 5}, z: {T: 2, C: 2, H: 5, W: 4}}",
        "- Frame:\n  scan: T\n  from: x\n  as: frame\n- reuse: frame\n  from: z\n  as: other\n"
        "- concat: {of: [frame.y, other.y], over: T}",
    ),
    "frames_beside_a_single_one": (
        FRAME,
        VIDEO,
        "- slice: {over: T, at: 0}\n- Frame:\n  as: first\n- Frame:\n  scan: T\n  from: x\n  as: frame\n"
        "- add: {of: [frame.map, first.map], broadcast: true}",
    ),
    "frames_of_two_inputs_one_of_which_is_learned": (
        """
  Look:
    inputs: {x: [C], y: [C]}
    steps:
      - multiply: [x, y]
      - linear: {features: 2}
""",
        "{x: {T: 3, C: 4}}",
        "- weight: {axes: {T: 3, C: 4}, init: normal(1)}\n  as: w\n- Look:\n  scan: T\n  from: {x: w, y: x}\n"
        "- rnn: {units: 2}",
    ),
    "all_frames_are_learned": (
        FRAME.replace("outputs: {map: multiply, gain: gain, y: mean}", ""),
        "{x: {T: 3, C: 3}}",
        "- weight: {axes: {T: 3, C: 2, H: 4, W: 4}, init: normal(1)}\n  as: w\n- Frame:\n  scan: T\n  from: w\n- add: [x, prev]",
    ),
    "frames_of_clips": (
        FRAME.replace("outputs: {map: multiply, gain: gain, y: mean}", "")
        + """
  Clip:
    inputs: {x: [T, C, H, W]}
    steps:
      - Frame:
        scan: T
      - max: {over: T}
""",
        "{x: {S: 2, T: 3, C: 2, H: 4, W: 4}}",
        "- Clip:\n  scan: S\n- rnn: {units: 2, over: S}",
    ),
    "selective_scan": ("", "{x: {T: 5, C: 6}}", "- SelectiveScan: {state: 4, rank: 2}"),
}


def text(blocks: str, inputs: str, steps: str) -> str:
    indented = "\n".join("  " + line for line in steps.splitlines())
    found = f"blocks:{blocks}" if blocks else ""
    return f"specbuild: 1\nmodel: Net\ninputs: {inputs}\n{found}\nsteps:\n{indented}\n"


def scan_case(name: str) -> ParityCase:
    modes = ("forward", "gradients", *(["train"] if "frames" in name else []))
    return ParityCase(name, build_graph(text(*CASES[name])), dtype="float64", modes=modes)


@pytest.mark.parametrize("name", CASES)
def test_frameworks_agree(name: str, parity_of: ParityOf) -> None:
    if set(select_lineup([], BACKEND_NAMES).modes) < {"forward", "gradients"}:
        pytest.skip("no gradients")
    report = parity_of(scan_case)
    assert not report.error, report.error
    assert report.worst_relative <= report.tolerance.warn_above, str(report)


def emitted(name: str) -> Any:
    import torch

    scope: dict[str, Any] = {}
    exec(compile_source(build_graph(text(*CASES[name])), "torch"), scope)
    net = scope["Net"]().double()
    with torch.no_grad():
        for k, p in enumerate(net.parameters()):
            p.copy_(torch.from_numpy(drawn(*p.shape, seed=k)) / 2)
    return net


def sigmoid(x: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-x))
    return result


def test_conv_lstm_is_that_of_its_paper() -> None:
    """Equation 3 of arXiv 1506.04214, position by position, with weights of the emitted model."""
    import torch

    net, x = emitted("conv_lstm"), drawn(2, 3, 2, 4, 5)
    cell = net.run.cell
    peep = {n: p.detach().numpy() for n, p in cell.named_parameters() if not n.startswith("conv")}
    h = c = np.zeros((2, 3, 4, 5))
    outputs = []
    for t in range(3):
        seen = torch.from_numpy(np.concatenate([x[:, t], h], 1))
        with torch.no_grad():
            i, f, g, o = np.split(cell.conv(seen).numpy(), 4, axis=1)
        i, f = sigmoid(i + peep["enter_gate_0"] * c), sigmoid(f + peep["keep_gate_0"] * c)
        c = f * c + i * np.tanh(g)
        h = sigmoid(o + peep["show_gate_0"] * c) * np.tanh(c)
        outputs.append(h)
    with torch.no_grad():
        found = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, np.stack(outputs, 1) + c[:, None], rtol=1e-12, atol=1e-13)


def test_selective_scan_is_that_of_its_paper() -> None:
    """The reference loop of Mamba's code (arXiv 2312.00752), for any length."""
    import torch

    net, x = emitted("selective_scan"), drawn(2, 7, 6)
    layer = net.selective_scan
    w = {n: p.detach().numpy() for n, p in layer.named_parameters()}
    delta, b, c = np.split(x @ w["x_proj.weight"].T, [2, 6], axis=-1)
    delta = np.log1p(np.exp(delta @ w["dt_proj.weight"].T + w["dt_proj.bias"]))
    a = -np.exp(np.log(np.arange(1, 5, dtype="float32")).astype("float64") + w["a_log"])
    h, outputs = np.zeros((2, 6, 4)), []
    for t in range(7):
        h = np.exp(delta[:, t, :, None] * a) * h + (delta[:, t] * x[:, t])[..., None] * b[:, t, None]
        outputs.append((h * c[:, t, None]).sum(-1) + w["d"] * x[:, t])
    with torch.no_grad():
        found = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, np.stack(outputs, 1), rtol=1e-6, atol=1e-7)


def test_every_position_counts_and_the_weights_count_once() -> None:
    cost = model_cost(build_graph(text(*CASES["cell"])))
    assert cost.parameters == (4 + 3) * 3 + 3
    assert cost.macs == 5 * (4 + 3) * 3


@pytest.mark.parametrize(
    ("blocks", "steps", "message"),
    [
        (
            CELL,
            "- relu:\n  scan: T",
            "`scan` applies a block to one position after another, and `relu` is none",
        ),
        (CELL, "- Cell:\n  scan: S\n  from: {x: x, h: h}", "no input of Cell has an axis S to scan"),
        (
            CELL.replace("outputs: {y: tanh, h: tanh}", ""),
            "- Cell:\n  scan: T\n  from: {x: x, h: h}",
            "Cell carries nothing from one position to the next, so all its inputs need the axis T, and h has no T",
        ),
        (
            FRAME,
            "- Frame:\n  scan: {over: T, reverse: true}",
            "Frame carries nothing from one position to the next, so it has no order to reverse",
        ),
        (FRAME, "- Frame:\n  scan: S", "no input of Frame has an axis S to scan"),
        (
            FRAME,
            "- Frame:\n  from: v",
            "Frame takes x with axes C, H and W, but gets {T: 5, C: 4, H: 3, W: 3}",
        ),
        (
            CELL,
            "- Cell: {units: 4}\n  scan: T\n  from: {x: x, h: h}",
            "Cell gets the state h as {C: 3}, and gives it as {C: 4}",
        ),
        (
            CELL.replace("x: [C], h: [C]", "x: [C], h: [C], w: [C]"),
            "- Cell:\n  scan: T\n  from: {x: x, h: h, w: z}",
            "x {T: 5, C: 4} and w {T: 6, C: 2} have different sizes of T",
        ),
    ],
)
def test_what_cannot_be_scanned_is_told(blocks: str, steps: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        build_graph(
            text(blocks, "{x: {T: 5, C: 4}, h: {C: 3}, z: {T: 6, C: 2}, v: {T: 5, C: 4, H: 3, W: 3}}", steps)
        )
    assert caught.value.message == message
    assert caught.value.location is not None


VIDEO_OF_FRAMES = """specbuild: 1
model: Video
imports: {ResNet: library:backbones/resnet.yaml}
inputs: {video: {T: 3, C: 16, H: 32, W: 32}}
steps: [STEP]
"""


@pytest.mark.parametrize("block", ["ResNet: {variant: resnet18}", "CBAM: {}", "CBAM"])
def test_the_hint_for_frames_works(block: str) -> None:
    """A block of the library takes one frame: what the hint says makes it take all of them."""
    with pytest.raises(SpecError) as caught:
        build_graph(VIDEO_OF_FRAMES.replace("STEP", f"{{{block}}}" if ":" in block else block))
    hint = caught.value.hint.partition("write ")[2]
    step = hint.strip("`").removeprefix("- ") if ":" not in block else f"{{{block}, scan: T}}"
    assert "scan: T" in hint
    graph = build_graph(VIDEO_OF_FRAMES.replace("STEP", step))
    assert graph.type.sizes["T"] == 3
    source = compile_source(graph, "torch")
    assert "video.flatten(0, 1)" in source and "unflatten(0, (-1, video.shape[1]))" in source


def test_two_axes_of_frames_are_joined_as_the_hint_says() -> None:
    clips = VIDEO_OF_FRAMES.replace("{T: 3,", "{S: 2, T: 3,")
    with pytest.raises(SpecError) as caught:
        build_graph(clips.replace("STEP", "CBAM"))
    scan, join = caught.value.hint.partition("write ")[2].split("`")[1:4:2]
    steps = f"{{{join}}}, {scan.removeprefix('- ')}"
    assert build_graph(clips.replace("STEP", steps)).type.sizes["N"] == 6
