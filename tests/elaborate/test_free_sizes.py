"""Sizes of inputs that can be any: what is refused where, and how files say it."""

from __future__ import annotations

import re

import keras
import numpy as np
import pytest
import torch

from specbuild.api import load
from specbuild.compiler.pipeline import compile_source, elaborate_source
from specbuild.diagnostics.errors import SpecError
from specbuild.expressions import concrete
from specbuild.runtimes.live_model import import_source

ATTEND = """\
specbuild: 1
model: Tagger
inputs: {tokens: {T: any, C: 8}}
blocks:
  Attend:
    inputs: {x: [T, C]}
    steps:
      - conv: {channels: 8, stride: 2}
        as: half
      - attention: {query: x, key: half, value: half}
        as: found
      - const: {axes: {T: x.T}, value: T + 1}
        as: places
      - multiply: [found, places]
      - unflatten: {axis: C, into: {heads: 2, C: 4}}
      - flatten: {axes: [heads, C], into: C}
steps:
  - Attend:
  - linear: {features: 3}
"""
MAPS = """\
specbuild: 1
model: Segmenter
inputs: {image: {C: 3, H: any, W: {any: 48}}}
blocks:
  Body:
    inputs: {x: [C, H, W]}
    steps:
      - conv: {channels: 4, stride: 2}
        as: half
      - flatten: {axes: [H, W], into: T}
      - layer_norm:
      - unflatten: {axis: T, into: {H: half.H, W: half.W}}
      - resize: {size: {H: x.H, W: x.W}, mode: bilinear}
steps:
  - Body:
"""
POSITIONS = """\
specbuild: 1
model: Placed
params: {longest: 12}
inputs: {image: {C: 4, H: any, W: any}, tokens: {T: any, C: 4}}
blocks:
  Angles:
    inputs: {x: [C, H, W]}
    steps:
      - const: {axes: {C: x.C, H: x.H, W: x.W}, value: sin(C + H / x.H + W)}
      - flatten: {axes: [H, W], into: T}
  Places:
    inputs: {x: [C, H, W]}
    steps:
      - flatten: {axes: [H, W], into: T}
  Layer:
    inputs: {x: [T, C], position: [T, C]}
    steps:
      - add: [x, position]
      - linear: {features: 4}
steps:
  - conv: {channels: 4, stride: 2}
    as: half
  - Angles:
    as: position
  - Places:
    from: half
  - Layer:
    from: {x: prev, position: position}
    repeat: 2
  - mean: {over: T}
    as: seen
@
  - mean: {over: T}
  - add: [prev, seen]
"""
TIED = """\
specbuild: 1
model: Pair
inputs: {x: {T: any, C: 4}, y: {T: any, C: 4}}
steps:
  - relu:
    from: y
    as: z
  - add: [x, z]
"""


def graph_of(text: str):  # type: ignore[no-untyped-def]
    return elaborate_source(text).annotated_graph


def test_examples_have_the_sizes_that_are_given() -> None:
    sizes = {axis: concrete(n) for axis, n in graph_of(MAPS).inputs["image"].sizes.items()}
    assert sizes == {"C": 3, "H": 64, "W": 48}
    assert concrete(graph_of(ATTEND).inputs["tokens"]["T"]) == 16


def test_files_say_which_sizes_are_free() -> None:
    assert "Input: tokens (B, T, 8). Output: (B, T, 3)." in compile_source(graph_of(ATTEND), "torch")
    source = compile_source(graph_of(MAPS), "keras")
    assert "image_shape: tuple[int | None, ...] = (None, None, 3)" in source
    assert "Input: image (B, H, W, 3). Output: (B, H, W, 4)." in source


@pytest.mark.parametrize("text", [ATTEND, MAPS], ids=["tokens", "maps"])
def test_one_model_runs_at_every_size(text: str) -> None:
    """The model that Keras makes for all sizes gives what one for a size gives; PyTorch's does too."""
    graph = graph_of(text)
    source = compile_source(graph, "keras")
    make = getattr(import_source(source, "keras_net"), graph.name)
    free = make()
    random = np.random.default_rng(0)
    values = [random.normal(size=w.shape).astype("float32") for w in free.weights]
    free.set_weights(values)
    net = getattr(import_source(compile_source(graph, "torch"), "torch_net"), graph.name)()
    for size in ((7, 8), (12, 8)) if text == ATTEND else ((9, 10, 3), (16, 7, 3)):
        keras.backend.clear_session(free_memory=False)
        fixed = make(size)
        fixed.set_weights(values)
        x = random.normal(size=(2, *size)).astype("float32")
        found, wanted = free.predict(x, verbose=0), np.asarray(fixed(x))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        order = (0, 1, 2) if text == ATTEND else (0, 3, 1, 2)
        given = torch.from_numpy(x.transpose(order))
        assert net(given).shape == tuple(wanted.transpose(order).shape)


def test_sizes_that_must_be_equal_change_together() -> None:
    compilation = elaborate_source(TIED)
    assert dict(compilation.resized[0].sizes) == {("x", "T"): 32, ("y", "T"): 32}
    net = import_source(compile_source(compilation.annotated_graph, "torch"), "pair").Pair()
    net(torch.zeros(2, 5, 4), torch.zeros(2, 5, 4))
    with pytest.raises(ValueError, match="T of y must be 5, got 1"):  # PyTorch would repeat it
        net(torch.zeros(2, 5, 4), torch.zeros(2, 1, 4))


def test_positions_that_are_computed_follow_the_input() -> None:
    """A block gets them as an input without a batch, and compares the sizes; a table fixes one."""
    text = POSITIONS.replace("@", "  - linear: {features: 4}\n    from: tokens")
    graph = graph_of(text)
    source = compile_source(graph, "torch")
    assert "x and position have the same T." in " ".join(source.split())
    module = import_source(source, "placed")
    assert module.Placed()(torch.zeros(2, 4, 9, 7), torch.zeros(2, 3, 4)).shape == (2, 4)
    with pytest.raises(ValueError, match="T of position must be 5, got 1"):
        module.Layer(4)(torch.zeros(2, 5, 4), torch.zeros(1, 4))
    keras_net = import_source(compile_source(graph, "keras"), "keras_placed").Placed()
    for height in (9, 6):
        assert keras_net([np.zeros((2, height, 7, 4)), np.zeros((2, 3, 4))]).shape == (2, 4)
    table = (
        "  - weight: {axes: {T: 16, C: 4}}\n    as: table\n  - Layer:\n    from: {x: tokens, position: table}"
    )
    with pytest.raises(SpecError, match="T of tokens can be any, and at T: 32, add needs equal axes"):
        graph_of(POSITIONS.replace("@", table))


def test_keras_compares_sizes_that_are_known_when_the_model_runs() -> None:
    make = import_source(compile_source(graph_of(TIED), "keras"), "keras_pair").Pair
    with pytest.raises(ValueError, match="T of y must be 6, got 5"):
        make((6, 4), (5, 4))
    for net in (make(), make(x_shape=(5, 4)), make(y_shape=(5, 4))):
        assert net([np.zeros((2, 5, 4)), np.zeros((2, 5, 4))]).shape == (2, 5, 4)
        with pytest.raises(ValueError, match=r"T of y must be 5, got 1|expected shape=\(None, 5, 4\)"):
            net([np.zeros((2, 5, 4)), np.zeros((2, 1, 4))])
    net = make()
    assert net.predict([np.zeros((2, 5, 4)), np.zeros((2, 5, 4))], verbose=0).shape == (2, 5, 4)
    with pytest.raises(Exception, match="same_size"):  # TensorFlow's graph of it has tensors for both sizes
        net.predict([np.zeros((2, 6, 4)), np.zeros((2, 1, 4))], verbose=0)


def test_sizes_that_change_together_are_tried_once() -> None:
    assert [other.label for other in load(TIED).compilation.resized] == ["x.T: 32, y.T: 32"]


@pytest.mark.parametrize(
    ("steps", "message", "line"),
    [
        ("- conv: {channels: 4}\n- linear: {features: 3, over: W}\n", "kernel of this linear would be", 5),
        ("- flatten: {axes: [C, H, W]}\n- linear: {features: 3}\n", "kernel of this linear would be", 5),
        ("- layer_norm: {over: [H, W]}\n", "would be", 4),
        ("- unflatten: {axis: H, into: {H: 8, h: 8}}\n", "cannot be split", 4),
        ("- relu\n- scale: {by: 2}\n  when: image.H > 100\n", "this step is not left out", 5),
        ("- relu\n- scale: {by: 2}\n  when: image.H < 100\n", "this step is left out", 5),
        ("- relu:\n  repeat: image.H // 16\n", "there is another step here", 4),
        ("- avg_pool: {kernel: {H: image.H, W: 1}}\n", "needs a size as a number", 4),
        ("- const: {axes: {H: image.H}, random: normal}\n  as: k\n- multiply: [image, k]\n", "numbers", 4),
        ("- relu:\n  expect: {C: 3, H: 64, W: 64}\n", "expected", 5),
        ("- relu:\n  expect: {H: 64}\n", "expected", 5),
    ],
)
def test_a_number_is_refused_at_its_place(steps: str, message: str, line: int) -> None:
    text = f"specbuild: 1\nmodel: N\ninputs: {{image: {{C: 3, H: any, W: any}}}}\nsteps:\n{steps}"
    with pytest.raises(SpecError) as caught:
        compile_source(graph_of(text), "torch")
    assert caught.value.code == "SB408"
    assert message in caught.value.message
    assert caught.value.hint
    assert caught.value.location is not None
    assert caught.value.location.line == line + 1


def test_what_only_keras_cannot_do_is_refused_there() -> None:
    text = "specbuild: 1\nmodel: N\ninputs: {x: {C: 3, H: any, W: any}}\n@steps: [flatten: {axes: [H, W], into: T}]\n"
    compile_source(graph_of(text.replace("@", "")), "torch")
    with pytest.raises(SpecError, match=re.escape("keras cannot express this for sizes that can be any")):
        compile_source(graph_of(text.replace("@", "")), "keras")
    block = "blocks: {B: {inputs: {x: [C, H, W]}, steps: [flatten: {axes: [H, W], into: T}]}}\n"
    compile_source(graph_of(text.partition("@")[0] + block + "steps: [B]\n"), "keras")


def test_a_model_of_a_library_model_has_free_sizes() -> None:
    text = "specbuild: 1\nmodel: N\ninputs: {image: {C: 3, H: any, W: any}}\nsteps: [MobileNetV2: ]\n"
    assert "image (B, 3, H, W)" in load(text).source("torch")


@pytest.mark.parametrize(
    ("steps", "attribute"),
    [
        ("- unfold: {into: K, kernel: {H: x.H // 3, W: 2}}", "kernel"),
        ("- unfold: {into: K, kernel: 2, padding: [x.H - 5, 1]}", "padding"),
        (
            "- unfold: {into: K, kernel: 2, stride: 2}\n      - fold: {axis: K, kernel: 2, stride: x.H // 3}",
            "stride",
        ),
        ("- max_pool: {kernel: 2, stride: 1, dilation: 1 + x.H % 2}", "dilation"),
        ("- adaptive_avg_pool: {size: {H: x.H // 2, W: 3}}", "size"),
        ("- pad: {padding: {H: [x.H - 5, 0]}, mode: circular}", "padding"),
        ("- pad: {padding: {H: [x.H - 5, 0]}, mode: replicate}", "padding"),
        ("- slice: {over: H, step: x.H // 3}", "step"),
        (
            "- weight: {axes: {O: 4, I: 4, H: 2, W: 2}}\n"
            "        as: kernel\n"
            "      - kernel_conv: {x: x, weight: kernel, stride: x.H // 3}",
            "stride",
        ),
    ],
)
def test_keras_refuses_numbers_that_it_would_have_as_tensors(steps: str, attribute: str) -> None:
    """TensorFlow failed inside of Keras, when the model was made."""
    graph = load(
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4, H: {any: 6}, W: 7}}\n"
        f"blocks:\n  Inner:\n    inputs: {{x: [C, H, W]}}\n    steps:\n      {steps}\nsteps: [Inner]\n"
    ).graph
    with pytest.raises(SpecError) as caught:
        compile_source(graph, "keras")
    assert caught.value.code == "SB601"
    assert f"its {attribute} follows a size that can be any" in caught.value.message


@pytest.mark.parametrize(
    ("stride", "weight", "join", "message"),
    [
        # The sizes 1, 2 and 3 are all 1 behind the stride, for which the table has its places.
        (
            3,
            "{T: pooled.T}",
            "add: {of: [pooled, table], broadcast: true}",
            "value of this weight would be {T: 8}",
        ),
        # 1 and 2 fit, and 24 does not.
        (2, "{T: 1, P: 2}", "contract: {of: [pooled, table]}", "contract needs equal sizes"),
    ],
)
def test_a_size_that_can_be_any_grows_beyond_a_stride(
    stride: int, weight: str, join: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load(
            "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4, T: {any: 1}}}\nsteps:\n"
            f"  - avg_pool: {{kernel: 1, stride: {stride}}}\n    as: pooled\n"
            f"  - weight: {{axes: {weight}}}\n    as: table\n  - {join}\n"
        )
    assert caught.value.code == "SB408"
    assert f"T of x can be any, and at T: 24, {message}" in caught.value.message


def test_keras_knows_the_free_sizes_of_a_nameless_output_beside_a_named_one() -> None:
    """Keras failed inside, when the model was made, if a value inside the block was read as well."""
    graph = load(
        "specbuild: 1\nmodel: Net\ninputs: {x: {T: {any: 3}, heads: 2, C: 8}}\n"
        "blocks: {Stem: {steps: [{elu: {}, as: proj}]}}\nsteps:\n  - {Stem: {}, as: key}\n"
        "  - adaptive_max_pool: {size: [2, 1]}\n  - {elu: {}, as: wide}\n  - {elu: {}, from: key.proj}\n"
        "outputs: [wide, prev]\n"
    ).graph
    with pytest.raises(SpecError) as caught:
        compile_source(graph, "keras")
    assert caught.value.code == "SB601"
    assert "sizes that can be any" in caught.value.message


def test_a_step_without_weights_is_reused_alone() -> None:
    """The block that it is in is left out, if no output needs it."""
    graph = load(
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 6}, y: {C: 3}}\n"
        "blocks: {Stem: {steps: [{sigmoid: {}, as: gate}]}}\nsteps:\n  - linear: {features: 3}\n    from: x\n"
        "  - {Stem: {}, as: stem}\n  - {reuse: stem.gate, from: y}\n"
    ).graph
    assert [node.name for node in graph.nodes] == ["reuse"]
