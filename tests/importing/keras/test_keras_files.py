"""What is looked at before a `.keras` file is used: the archive, and every class that its configuration names."""

from __future__ import annotations

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.importer import find_usual_axes
from specbuild.importing.keras.archive import read_config
from specbuild.importing.keras.config import clean_config
from specbuild.importing.keras.reader import READER
from specbuild.importing.request import parse_request
from specbuild.runtimes import archive_limits
from specbuild.runtimes.hdf5_files import extract_member
from specbuild.runtimes.worker_jobs import RefusedJob
from tests.cpu_time import measure_cpu_time
from tests.importing.keras.flat_models import write_archive, write_layer, write_model

INPUT = write_layer("InputLayer", "image", batch_shape=[None, 8, 8, 3])
DENSE = write_layer("Dense", "dense", "image", units=4, activation="relu")


def read_error(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        read_config(path)
    assert caught.value.code == "SB961"
    return str(caught.value.message)


def test_what_does_not_change_what_a_model_computes_is_taken_away() -> None:
    initializer = {"module": "evil", "class_name": "Run", "config": {}, "registered_name": "evil>Run"}
    dense = write_layer("Dense", "dense", "image", units=4, kernel_initializer=initializer, trainable=False)
    cleaned = clean_config(write_model([INPUT, dense]))
    assert cleaned["config"]["layers"][1]["config"] == {"name": "dense", "units": 4}
    assert "evil" not in json.dumps(cleaned)


def test_code_of_the_author_is_refused_by_name_all_at_once() -> None:
    own = write_layer("Swish", "act", "image", module="mypkg.layers")
    own["registered_name"] = "mypkg>Swish"
    function = {
        "module": "builtins",
        "class_name": "function",
        "config": "my_act",
        "registered_name": "function",
    }
    inner = write_model([INPUT, write_layer("Lambda", "scale", "image", function="x")])
    inner["name"], inner["inbound_nodes"] = "net", []
    layers = [
        INPUT,
        own,
        write_layer("Dense", "dense", "act", units=4, activation=function),
        write_layer("Hashing", "hash", "dense"),
        inner,
    ]
    with pytest.raises(SpecErrors) as caught:
        clean_config(write_model(layers))
    assert [(e.code, e.message) for e in caught.value.errors] == [
        ("SB963", "Swish: mypkg>Swish is a class of its author, whose code does not run here in act"),
        ("SB963", "my_act: a function or class of its author, whose code does not run here in dense"),
        ("SB963", "Hashing: this layer has no counterpart among the ops in hash"),
        ("SB963", "Lambda: a Lambda is code of its author, which does not run here in net.scale"),
    ]


@pytest.mark.parametrize(
    "layer",
    [
        write_layer("get_file", "x", "image", module="keras.utils"),
        write_layer("Dense", "x", "image", module="os"),
        write_layer(
            "Dense", "x", "image", units=4, activation={"class_name": "system", "module": "os", "config": {}}
        ),
        write_layer("Bidirectional", "x", "image", layer=write_layer("Run", "r", module="evil")),
    ],
    ids=["function", "module", "argument", "wrapped"],
)
def test_no_class_from_elsewhere_reaches_keras(layer: dict[str, Any]) -> None:
    with pytest.raises((SpecError, SpecErrors)) as caught:
        clean_config(write_model([INPUT, layer]))
    errors = caught.value.errors if isinstance(caught.value, SpecErrors) else [caught.value]
    assert {e.code for e in errors} == {"SB963"}


@pytest.mark.parametrize(
    "config", [{}, [], None, {"class_name": "Net", "config": {}}, {"class_name": "Functional"}]
)
def test_what_is_no_functional_model_is_refused(config: Any) -> None:
    with pytest.raises((SpecError, SpecErrors)):
        clean_config(config)


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.keras").write_bytes(b"PK\x03\x04 not a zip")
    assert "cannot be read as a zip archive" in read_error(tmp_path / "net.keras")
    assert "there is no such file" in read_error(tmp_path / "other.keras")


def test_an_archive_that_leaves_its_folder_or_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model([INPUT, DENSE])
    path = write_archive(tmp_path / "a.keras", model, **{"../evil": b"x"})
    assert "a member leaves the archive" in read_error(path)
    path = write_archive(tmp_path / "b.keras", "[" * 100_000)
    assert "is not JSON" in read_error(path)
    with zipfile.ZipFile(tmp_path / "c.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    assert "it contains no config.json" in read_error(tmp_path / "c.keras")
    monkeypatch.setattr(archive_limits, "SIZE_LIMIT", 1 << 20)
    path = write_archive(tmp_path / "d.keras", model, **{"model.weights.h5": bytes(2 << 20)})
    assert "far larger than the data stored for it" in read_error(path)


def test_an_archive_with_too_much_in_it_is_refused(tmp_path: Path) -> None:
    layers = [INPUT, *(write_layer("Dense", f"d{i}", "image", units=4) for i in range(5_000))]
    assert "more than 5,000 layers" in read_error(write_archive(tmp_path / "a.keras", write_model(layers)))
    path = write_archive(tmp_path / "b.keras", "[" + "[1]," * (1 << 21) + "1]")
    assert "config.json is larger than 8 MB" in read_error(path)
    path = write_archive(tmp_path / "c.keras", write_model([INPUT]), **{f"m{i}": b"" for i in range(9_000)})
    with measure_cpu_time() as measured:
        assert read_config(path)["class_name"] == "Functional"
    assert measured.seconds < 1.5  # each name was compared with all others before


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_member_is_told(compression: int, tmp_path: Path) -> None:
    """Each compression has an exception of its own."""
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("config.json", json.dumps(write_model([INPUT, DENSE])))
        archive.writestr("model.weights.h5", random.Random(0).randbytes(500))
        offsets = [archive.getinfo(name).header_offset for name in archive.namelist()]
    content = bytearray(path.read_bytes())
    for offset, name in zip(offsets, ("config.json", "model.weights.h5"), strict=True):
        begin = offset + 30 + len(name) + 12
        content[begin : begin + 28] = b"\xaa" * 28
    path.write_bytes(content)
    assert "it cannot be read as a zip archive" in read_error(path)
    with pytest.raises(RefusedJob, match="cannot be unpacked"):
        extract_member(path, "model.weights.h5", tmp_path / "out")


def test_a_file_without_weights_starts_no_framework(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(write_model([INPUT, DENSE])))
    assert "it contains no model.weights.h5" in read_error(tmp_path / "net.keras")


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = write_archive(tmp_path / "net.keras", write_model([INPUT, DENSE]))
    assert [x["class_name"] for x in read_config(path)["config"]["layers"]] == ["InputLayer", "Dense"]


def test_the_source_is_a_file_and_takes_no_arguments(tmp_path: Path) -> None:
    request = parse_request(str(tmp_path / "my_net.keras"), [], ["image=16x16x3"])
    assert (request.model_name, request.reader.backend_name, request.reader.runs_code) == (
        "MyNet",
        "keras",
        False,
    )
    assert request.inputs["image"].axes == ("H", "W", "C")
    with pytest.raises(SpecError, match="takes no arguments"):
        request.reader.describe_source(request.source, {"width": 4}, {})


def test_an_input_of_many_axes_needs_names() -> None:
    """A file may have an input of any number of them."""
    with pytest.raises(SpecError, match="40 axes, which have no usual names"):
        find_usual_axes(READER, "image", 40, "float32")
    assert find_usual_axes(READER, "image", 3, "float32") == ("H", "W", "C")
