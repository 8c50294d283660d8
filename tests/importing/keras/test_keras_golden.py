"""Networks of keras.applications, from stored traces: no Keras is needed. SPECBUILD_UPDATE=1 writes the specs anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild import load
from specbuild.importing.importer import import_trace
from specbuild.importing.keras.folding import fold_trace
from specbuild.importing.keras.reader import READER
from specbuild.importing.trace import trace_from_json
from tests.importing.golden_texts import check_golden

FOLDER = Path(__file__).parent / "traces"
NAMES = {"resnet50": "ResNet50", "mobilenetv2": "MobileNetV2"}
PARAMETERS = {
    "resnet50": 23_555_082,
    "mobilenetv2": 2_236_682,
}  # what Keras counts as trained, for 10 classes


@pytest.mark.parametrize("name", NAMES)
def test_a_flat_graph_becomes_what_a_person_would_write(name: str) -> None:
    trace = fold_trace(trace_from_json((FOLDER / f"{name}.json").read_text(encoding="utf-8")))
    axes = {"image": ("H", "W", "C")}
    imported = import_trace(READER, NAMES[name], trace, {}, axes, f"{name}.keras")
    assert imported.model.parameters == PARAMETERS[name]
    assert not imported.key_map.ignored
    check_golden(FOLDER / f"{name}.yaml", imported.text)


@pytest.mark.parametrize("name", NAMES)
def test_the_spec_is_one_like_any_other(name: str) -> None:
    model = load(FOLDER / f"{name}.yaml")
    assert "nn.Conv2d(" in model.source("torch")
    assert "Conv2D(" in model.source("keras")
