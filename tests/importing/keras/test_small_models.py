"""Keras models as users write them become specs that compute the same, in both frameworks; all in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import load
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.importer import ImportedModel, import_request
from specbuild.importing.keras.reader import READER
from specbuild.importing.proof import prove_import
from specbuild.importing.request import parse_request
from specbuild.importing.results import read_own_weights
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, open_worker, save_tensors
from tests.importing.keras import small_models

os.environ.setdefault("KERAS_BACKEND", "tensorflow")


class LocalWorker:
    """Runs the jobs of an import in this process."""

    def __init__(self) -> None:
        self.worker = open_worker(READER.worker, WorkerOptions())

    def run_job(self, job: Job) -> None:
        result = self.worker.run_job(job)
        if result is not None:
            save_tensors(job["out"], result)


@pytest.fixture(scope="module")
def worker() -> Iterator[LocalWorker]:
    keras: Any = pytest.importorskip("keras")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras computes in float64 on TensorFlow only")
    yield LocalWorker()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def import_model(name: str, worker: Any, folder: Path) -> ImportedModel:
    import keras

    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.backend.clear_session()
    path = folder / f"{name}.keras"
    getattr(small_models, f"make_{name}")().save(path)
    return import_request(parse_request(str(path), [], []), worker)


@pytest.mark.parametrize("name", ["residual_net", "unet", "transformer", "sequential", "siamese"])
def test_a_keras_model_is_imported_and_equal(name: str, worker: LocalWorker, tmp_path: Path) -> None:
    imported = import_model(name, worker, tmp_path)
    proof = prove_import(imported, worker)
    assert proof.is_equal, (proof, imported.text)
    assert {"output", "gradient", "weight_gradient", "trained_output", "trained_weight_gradient"} <= set(
        proof.differences
    ) | ({"gradient"} if name == "transformer" else set())
    assert imported.model.source("torch")


def test_a_residual_block_without_names_is_found(worker: LocalWorker, tmp_path: Path) -> None:
    text = import_model("residual_net", worker, tmp_path).text
    assert text.count("  Residual:\n") == 1
    assert text.count("- Residual") == 3


def test_a_difference_is_told_at_its_first_step(worker: LocalWorker, tmp_path: Path) -> None:
    """The first activation becomes another one, as by a wrong handler: the report names it and the layer that it was."""
    imported = import_model("residual_net", worker, tmp_path)
    before, _, after = imported.text.partition("- relu")
    imported.model = load(f"{before}- tanh{after}")
    proof = prove_import(imported, worker)
    assert not proof.is_equal and proof.first is not None
    assert (proof.first.spec_line, proof.first.kind) == (before.count("\n") + 1, "value")
    assert proof.first.source_line


def test_weights_of_the_file_are_written_for_both_frameworks(worker: LocalWorker, tmp_path: Path) -> None:
    import keras

    imported = import_model("residual_net", worker, tmp_path)
    own = read_own_weights(imported, worker)
    model = keras.models.load_model(tmp_path / "residual_net.keras")
    assert np.array_equal(own["head.kernel"], np.asarray(model.get_layer("head").kernel).T)
    assert sum(v.size for v in own.values()) == model.count_params()


def test_weights_that_are_used_twice_are_one(worker: LocalWorker, tmp_path: Path) -> None:
    text = import_model("siamese", worker, tmp_path).text
    assert "  - reuse: encoder\n    from: right\n" in text


def test_open_sizes_are_asked_for(worker: LocalWorker, tmp_path: Path) -> None:
    import keras

    image = keras.Input((None, None, 3))
    keras.Model(image, keras.layers.Conv2D(2, 3)(image)).save(tmp_path / "open.keras")
    with pytest.raises(SpecError, match="sizes of the inputs are open"):
        import_request(parse_request(str(tmp_path / "open.keras"), [], []), worker)  # type: ignore[arg-type]
    given = parse_request(str(tmp_path / "open.keras"), [], ["picture=8x10x3"])
    imported = import_request(given, worker)  # type: ignore[arg-type]
    assert "  picture: {C: 3, H: 8, W: 10}\n" in imported.text


def test_what_a_layer_cannot_be_is_told_with_its_name(worker: LocalWorker, tmp_path: Path) -> None:
    import keras
    from keras import layers

    image = keras.Input((8, 8, 3))
    x = layers.GaussianNoise(0.1, name="noise")(
        layers.UpSampling2D(2, interpolation="bicubic", name="up")(image)
    )
    keras.Model(image, x).save(tmp_path / "net.keras")
    with pytest.raises((SpecError, SpecErrors)) as caught:
        import_request(parse_request(str(tmp_path / "net.keras"), [], []), worker)  # type: ignore[arg-type]
    assert "UpSampling with bicubic in up" in str(caught.value)
