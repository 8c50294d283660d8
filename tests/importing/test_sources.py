"""Files as users write them: each is imported, is equal to itself, compiles to Keras, and reads as a person would write it."""

from __future__ import annotations

from importlib import import_module

import pytest
import torch

from specbuild.importing.importer import ImportedModel
from specbuild.importing.pytorch.constructor_watch_worker import ConstructorWatch
from tests.importing.compared import import_live, largest_difference

SOURCES: dict[str, dict[str, tuple[int, ...]]] = {
    "gan.Generator": {"z": (16,)},
    "gan.Discriminator": {"image": (3, 32, 32)},
    "gpt.Gpt": {"idx": (16,)},
    "detr.Detr": {"image": (3, 64, 96)},
    "conformer.Conformer": {"frames": (15, 20)},
    "attention_unet.AttentionUnet": {"image": (3, 32, 32)},
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
    assert "  - Block:\n    repeat: n_layer\n    as: h\n" in text


def test_outputs_have_the_names_that_the_model_gives_them() -> None:
    text = import_source("detr.Detr")[0].text
    assert "outputs: {pred_logits: linear_class, pred_boxes: sigmoid}\n" in text
    assert "C2" not in text


def test_the_last_state_of_a_recurrent_layer_is_read_by_its_name() -> None:
    assert "        from: gru.h\n" in import_source("taggers.TwoTowers")[0].text


def test_a_gate_of_a_unet_takes_the_size_of_its_skip() -> None:
    text = import_source("attention_unet.AttentionUnet")[0].text
    assert "      - resize: {like: skip, mode: bilinear}\n        from: x\n" in text
