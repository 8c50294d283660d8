"""Modules as users write them: what they become, that it is right, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from specbuild import load
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.first_difference import pair_steps
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from specbuild.ir.graph import Skip, walk_ops
from specbuild.runtimes.worker_jobs import RefusedJob
from tests.importing import nets
from tests.importing.compared import import_live, largest_difference

INPUTS = {
    "UNet": {"image": (3, 16, 16)},
    "CbamNet": {"image": (3, 16, 16)},
    "Siamese": {"left": (3, 16, 16), "right": (3, 16, 16)},
    "TwoStreams": {"rgb": (3, 16, 16), "depth": (1, 16, 16)},
    "Tagger": {"tokens": (10,)},
    "NonLocal": {"x": (16, 8, 8)},
    "Encoder": {"x": (10, 32)},
    "Causal": {"x": (10, 32)},
    "VisionTransformer": {"image": (3, 32, 32)},
    "Vgg": {"image": (3, 64, 64)},
    "StageNet": {"image": (3, 16, 16)},
    "WindowNet": {"image": (3, 32, 32)},
    "NumberedStages": {"image": (3, 8, 8)},
    "EfficientChannelAttention": {"image": (3, 8, 8)},
    "JoinedBias": {"x": (10, 8)},
    "PlainRow": {"image": (3, 16, 16)},
    "Translator": {"source": (9,), "target": (7,)},
    "MaskedBias": {"x": (5, 4)},
    "ComputedWeight": {"x": (4, 12)},
    "StandardizedNet": {"image": (3, 16, 16)},
}
STRICT = {
    *("CbamNet", "Siamese", "Tagger", "Causal", "Vgg", "StageNet"),
    *("EfficientChannelAttention", "JoinedBias", "NonLocal", "PlainRow", "ComputedWeight"),
}


def make_inputs(name: str) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return {
        key: torch.randn((3, *shape), generator=generator)
        if len(shape) > 1
        else torch.zeros((3, *shape), dtype=torch.long)
        for key, shape in INPUTS[name].items()
    }


@pytest.mark.parametrize("name", INPUTS)
def test_outputs_gradients_and_weights_are_those_of_the_original(name: str) -> None:
    with ConstructorWatch() as watch:
        model = getattr(nets, name)()
    inputs = make_inputs(name)
    imported = import_live(model, inputs, name, watch)
    assert largest_difference(imported, model, list(inputs.values())) < 1e-13
    assert imported.key_map.is_strict == (name in STRICT)
    graph = imported.model.graph
    first_uses = {
        path for path, node, _ in walk_ops(graph) if node.reuses is None and not isinstance(node.op, Skip)
    }
    assert first_uses <= pair_steps(imported.plans, graph).keys()  # where a difference would be told


def test_cbam_has_the_words_of_its_author() -> None:
    """The shared perceptron is one, with its weights used again; arguments are those of the constructors."""
    with ConstructorWatch() as watch:
        model = nets.CbamNet()
    text = import_live(model, make_inputs("CbamNet"), "CbamNet", watch).text
    assert "    params: {out_channels: int, stride: 1, reduction: 4}\n" in text
    assert (
        """      - do:
          - conv: {channels: x.C // reduction, kernel: 1, bias: false}
          - relu
          - conv: {channels: x.C, kernel: 1, bias: false}
        from: mean
        as: mlp
      - reuse: mlp
        from: max
      - add: [mlp, prev]
      - sigmoid
      - multiply: [prev, x]
"""
        in text
    )
    assert (
        """      - conv: {channels: out_channels, kernel: 1, stride: stride}
        from: x
        as: skip
        when: stride != 1 or x.C != out_channels
      - add: [sa, skip]
"""
        in text
    )


def test_two_pictures_go_through_one_encoder() -> None:
    with ConstructorWatch() as watch:
        model = nets.Siamese()
    text = import_live(model, make_inputs("Siamese"), "Siamese", watch).text
    assert text.endswith(
        """steps:
  - do:
      - conv: {channels: 8, kernel: 3, padding: 0}
      - relu
      - mean: {over: [H, W]}
    from: left
    as: encoder
  - reuse: encoder
    from: right
  - subtract: [encoder, prev]
  - abs
  - linear: {features: 1}
    as: head
"""
    )


def test_a_number_of_heads_is_no_factor_of_a_width() -> None:
    with ConstructorWatch() as watch:
        model = nets.Stack()
    imported = import_live(model, {"x": torch.ones(3, 10, 12)}, "Stack", watch)
    assert "      - linear: {features: 3 * x.C}\n        as: qkv\n" in imported.text
    assert "Causal: features `3 * x.C`" in imported.single_samples


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Branching", "SB962 __bool__: what the model does depends on the numbers of a value"),
        ("Assigning", "SB965 item assignment"),
    ],
)
def test_what_depends_on_data_is_refused_with_its_line(name: str, message: str) -> None:
    with pytest.raises(RefusedJob) as refusal:
        import_live(getattr(nets, name)(), {"x": torch.ones(3, 4)})
    assert re.fullmatch(rf"{message} \(\S+nets\.py:\d+\)", str(refusal.value))


def test_all_unknown_functions_are_told_at_once() -> None:
    with pytest.raises(SpecErrors) as refusal:
        import_live(nets.Unknown(), {"x": torch.ones(3, 3, 8, 8)})
    errors = refusal.value.errors
    assert [(e.code, e.message) for e in errors] == [
        ("SB963", "torch.special.i0, called 2 times, has no counterpart among the ops"),
        ("SB963", "torch.lgamma, called 2 times, has no counterpart among the ops"),
    ]
    assert all("nets.py:" in e.trail[0] for e in errors)


@pytest.mark.parametrize(
    ("net", "code", "message"),
    [
        (nets.MixedBatch, "SB964", "sum over the batch"),
        (nets.TwoKindsOfUse, "SB966", "far.weight is used by two kinds of steps in far"),
        (
            nets.RandomMask,
            "SB967",
            "no expression was found for the table mask with the sizes [4, 400]",
        ),
    ],
)
def test_what_no_spec_can_say_is_refused(net: type[torch.nn.Module], code: str, message: str) -> None:
    with pytest.raises((SpecError, SpecErrors)) as refusal:
        import_live(net(), {"x": torch.ones(3, 4, 400)})
    errors = refusal.value.errors if isinstance(refusal.value, SpecErrors) else [refusal.value]
    assert [(e.code, e.message) for e in errors] == [(code, message)]
    assert errors[0].hint or code in ("SB964", "SB966")


def test_a_table_without_an_expression_lies_beside_the_spec(tmp_path: Path) -> None:
    model = nets.RandomTable()
    imported = import_live(model, {"x": torch.ones(3, 4, 400)})
    assert "  - const: {axes: {T: 4, C: 400}, file: net_tables.safetensors, tensor: table}\n" in imported.text
    imported.tables.write(tmp_path)
    (tmp_path / "net.yaml").write_text(imported.text, encoding="utf-8")
    own = load(tmp_path / "net.yaml").build("torch")
    x = torch.randn(2, 4, 400)
    assert torch.equal(own(x), model(x))


def import_net(name: str) -> str:
    with ConstructorWatch() as watch:
        model = getattr(nets, name)()
    return import_live(model, make_inputs(name), name, watch).text


def test_plain_and_shifted_windows_are_one_block_with_the_words_of_its_author() -> None:
    text = import_net("WindowNet")
    assert text.count("  WindowAttention:\n") == text.count("  WindowBlock:\n") == 1
    assert (
        """      - roll: {shift: {H: "-shift_size", W: "-shift_size"}}
        when: shift_size > 0 and x.H > window_size
      - unflatten: {axis: H, into: {rows: -1, h: window_size}}
"""
        in text
    )
    assert (
        """          axes: {T: window_size * window_size, S: window_size * window_size}
          value: >-
            (T // window_size - S // window_size + window_size - 1) * (2 * window_size - 1) + T % window_size
            - S % window_size + window_size - 1
"""
        in text
    )
    assert (
        "      - attention: {query: values.query, key: values.key, value: values.value, bias: prev}\n" in text
    )


def test_names_with_the_number_of_their_stage_become_a_repeat() -> None:
    assert """      - do:
          - conv: {channels: x.C, kernel: 1}
          - relu
        repeat: depth
        names: "block_{i}"
        splice: true
""" in import_net("NumberedStages")


def test_a_row_of_groups_is_one_group_that_is_repeated() -> None:
    text = import_net("PlainRow")
    assert (
        """  - do:
      - conv: {channels: width, kernel: 3, dilation: i + 1}
      - batch_norm
      - relu
    repeat: 4
    as: body
"""
        in text
    )
    assert text.endswith("  - resize: {like: image, mode: bilinear}\n    from: head\n")


def test_channel_attention_is_as_in_the_library() -> None:
    assert import_net("EfficientChannelAttention").endswith(
        """  - mean: {over: [H, W]}
  - rename: {axes: {C: T}}
  - expand: {axes: {C: 1}}
  - conv: {channels: 1, kernel: 3, bias: false, over: [T]}
    as: conv
  - sigmoid
  - squeeze: {over: [C]}
  - rename: {axes: {T: C}}
  - multiply: [stem, prev]
"""
    )
