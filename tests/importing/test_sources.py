"""Files as users write them: each is imported, is equal to itself, compiles to Keras, and reads as a person would write it."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

import specbuild
from specbuild.importing.importer import ImportedModel
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from tests.importing.compared import import_live, largest_difference
from tests.importing.sources.rgbd_encoder import RgbdEncoder

SOURCES: dict[str, dict[str, tuple[int, ...]]] = {
    "gan.Generator": {"z": (16,)},
    "gan.Discriminator": {"image": (3, 32, 32)},
    "gpt.Gpt": {"idx": (16,)},
    "detr.Detr": {"image": (3, 64, 96)},
    "conformer.Conformer": {"frames": (15, 20)},
    "attention_unet.AttentionUnet": {"image": (3, 32, 32)},
    "grouped_decoder.Decoder": {"idx": (12,)},
    "rgbd_encoder.RgbdEncoder": {"image": (3, 32, 32), "depth": (1, 32, 32)},
    "causal_convolutions.CausalNet": {"x": (30, 3)},
    "taggers.BiLstmTagger": {"tokens": (9,)},
    "taggers.TwoTowers": {"query": (6,), "document": (9,)},
}
TOKENS = ("idx", "tokens", "query", "document")


def import_source(name: str) -> tuple[ImportedModel, torch.nn.Module, dict[str, torch.Tensor]]:
    module, _, kind = name.partition(".")
    with ConstructorWatch() as watch:
        model = getattr(import_module(f"tests.importing.sources.{module}"), kind)()
    inputs = {
        key: torch.zeros((3, *shape), dtype=torch.long) if key in TOKENS else torch.ones(3, *shape)
        for key, shape in SOURCES[name].items()
    }
    return import_live(model, inputs, kind, watch), model, inputs


@pytest.mark.parametrize("name", SOURCES)
def test_a_users_file_is_imported_and_equal(name: str) -> None:
    imported, model, inputs = import_source(name)
    assert largest_difference(imported, model, list(inputs.values())) < 1e-12
    assert imported.model.source("keras")
    assert len(imported.text.splitlines()) < 190


def test_a_causal_mask_and_the_words_of_a_language_model() -> None:
    text = import_source("gpt.Gpt")[0].text
    assert "      - attention: {query: queries, key: keys, value: prev, causal: true}\n" in text
    assert "params:\n  vocab_size: 30\n" in text
    assert "  - Block: {n_head: n_head}\n    repeat: n_layer\n    as: h\n" in text


def test_outputs_have_the_names_that_the_model_gives_them() -> None:
    text = import_source("detr.Detr")[0].text
    assert "outputs: {pred_logits: linear_class, pred_boxes: sigmoid}\n" in text
    assert "C2" not in text


def test_the_last_state_of_a_recurrent_layer_is_read_by_its_name() -> None:
    assert "        from: gru.h\n" in import_source("taggers.TwoTowers")[0].text


def test_a_gate_of_a_unet_takes_the_size_of_its_skip() -> None:
    text = import_source("attention_unet.AttentionUnet")[0].text
    assert "      - resize: {like: skip, mode: bilinear}\n        from: x\n" in text


def test_what_is_written_out_becomes_the_op_and_settings_give_the_words() -> None:
    imported = import_source("grouped_decoder.Decoder")[0]
    for line in (
        "params: {n_heads: 8, n_kv_heads: 2}",
        "- linear: {features: x.C // n_heads * n_kv_heads, bias: false}",
        "- expand: {axes: {R: n_heads // n_kv_heads}}",
        "- rms_norm: {epsilon: 1e-5}\n        as: attn_norm",
        "- glu\n",
        "- silu\n",
        "- mish\n",
    ):
        assert line in imported.text, imported.text
    assert imported.key_map.is_strict and "sigmoid" not in imported.text
    fewer = imported.text.replace("n_kv_heads: 2}", "n_kv_heads: 4}").replace("n_heads: 8", "n_heads: 4")
    assert specbuild.load(fewer).source("torch")


def test_rows_of_layers_that_a_function_builds_are_blocks() -> None:
    imported = import_source("rgbd_encoder.RgbdEncoder")[0]
    assert "  ConvBnRelu:\n    params: {out_channels: int, kernel: int, stride: int}\n" in imported.text
    assert (
        "      - ConvBnRelu: {out_channels: width, kernel: 5, stride: 2}\n        as: stem\n" in imported.text
    )
    assert "MakeHead" not in imported.text  # there are only two


def test_training_that_draws_random_numbers_is_told() -> None:
    made = specbuild.import_module(lambda: RgbdEncoder(), {"image": "3x32x32", "depth": "1x32x32"})
    assert made.is_equal, made.report
    [told] = [line for line in made.report if line.startswith("not compared in training")]
    assert "the original draws random numbers then: randn_like (" in told


def test_blocks_over_a_list_of_widths_are_one_line_and_take_other_lists() -> None:
    imported, model, _ = import_source("causal_convolutions.CausalNet")
    assert (
        '  - CausalBlock: {width: "widths[i]", padding: 2 * 2 ** i, dilation: 2 ** i}\n'
        "    repeat: len(widths)\n    as: blocks\n"
    ) in imported.text
    assert '      - slice: {over: T, stop: "-padding"}\n' in imported.text
    wider = specbuild.load(imported.text, widths=[4, 8, 8, 8, 5]).build("torch").double().eval()
    with ConstructorWatch():
        other = type(model)(widths=(4, 8, 8, 8, 5)).double().eval()  # type: ignore[call-arg]
    wider.load_state_dict(other.state_dict(), strict=True)
    x = torch.randn(2, 30, 3, dtype=torch.float64)
    assert torch.allclose(wider(x), other(x), atol=1e-12)
