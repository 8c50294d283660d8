"""Files from strangers: whatever they hold, they are refused with a word, nothing runs and nothing is left behind."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from specbuild import load
from specbuild.backends.keras import weight_files as keras_files
from specbuild.cli import main
from specbuild.compiler import output_files
from specbuild.compiler.weight_locations import locate_weights
from specbuild.diagnostics.errors import SpecError
from specbuild.runtimes.archive_limits import SIZE_LIMIT
from specbuild.runtimes.hdf5_files import iterate_datasets
from specbuild.runtimes.worker_jobs import RefusedJob
from specbuild.weights import framework_files
from specbuild.weights.convert import count_nonfinite
from specbuild.weights.initial import initialize_weights
from specbuild.weights.safetensors_files import corrupt_error, detect_file_kind, read_safetensors

h5py: Any = pytest.importorskip("h5py")
torch: Any = pytest.importorskip("torch")

from safetensors.numpy import save  # noqa: E402

from specbuild.backends.keras import weights_worker as keras_worker  # noqa: E402
from specbuild.backends.torch import weights_worker as torch_worker  # noqa: E402

NET = """
specbuild: 1
model: Net
inputs: {x: {C: 4, H: 6, W: 6}}
steps:
  - conv: {channels: 3}
    as: conv
  - batch_norm:
    as: norm
"""


class Evil:
    """What a pickle can do to whoever loads it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return os.system, (f"echo run > {self.trace}",)


def good() -> dict[str, Any]:
    model = load(NET)
    return initialize_weights(locate_weights(model.graph, "torch"))


def tensors(header: dict[str, Any], data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file by hand."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def h5(path: Path, fill: Callable[[Any], None]) -> bytes:
    with h5py.File(path, "w") as opened:
        fill(opened)
    return path.read_bytes()


def zipped(members: dict[str, bytes], **more: Any) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", **more) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def saved(value: Any, **more: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **more)
    return stream.getvalue()


BAD_HEADERS = {
    "random": bytes(np.random.default_rng(0).integers(0, 256, 4096, "uint8")),
    "empty": b"",
    "short": b"\x10\x00",
    "text": b"conv.kernel: 1, 2, 3\n",
    "huge header": tensors({}, length=2**60),
    "header past the end": tensors(
        {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4, 10**6
    ),
    "data past the end": tensors({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}),
    "shape of another size": tensors(
        {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 4]}}, b"\0" * 4
    ),
    "negative": tensors({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4),
    "overlap": tensors({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, b"\0" * 4),
    "no json": struct.pack("<Q", 8) + b"{" * 8,
    "unknown type": tensors({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
    "eight bits": tensors({"a": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [0, 4]}}, b"\0" * 4),
    "truncated": save({"conv.kernel": np.ones((3, 4, 3, 3), "float32")})[:200],
    "some archive": zipped({"readme.txt": b"hello"}),
    "cut archive": zipped({"config.json": b"{}", "model.weights.h5": b"\0" * 999})[:500],
    "bomb": zipped(
        {"archive/data.pkl": b"", "archive/data/0": bytes(SIZE_LIMIT + 1)}, compression=zipfile.ZIP_DEFLATED
    ),
}


def refused(path: Path) -> SpecError:
    """The error that reading a file gives, in this process."""
    with pytest.raises(SpecError) as found:
        kind = detect_file_kind(path)
        if kind is None:
            read_safetensors(path)
        else:
            try:
                if kind.backend == "torch":
                    torch_worker.read_state_dict(path)
                else:
                    job = {"path": str(path), "kind": kind.name}
                    keras_worker.read_variables(job, path.parent)
            except RefusedJob as error:
                raise corrupt_error(path, str(error)) from None
    assert found.value.code == "SB804"
    return found.value


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_bad_bytes(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.weights"  # the content decides
    path.write_bytes(BAD_HEADERS[name])
    assert "is not a valid weight file" in refused(path).message


@pytest.mark.parametrize("command", ["convert", "inspect", "deploy"])
@pytest.mark.parametrize("form", ["plain", "legacy", "zip", "hdf5", "cut"])
def test_what_is_only_named_safetensors_starts_no_framework(
    form: str, command: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = Evil(folder / "trace")
    forms = {
        "plain": pickle.dumps(evil),
        "legacy": saved({"a": evil}, _use_new_zipfile_serialization=False),
        "zip": saved({"a": evil}),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "cut": save(good())[:-9],
    }
    (folder / "evil.safetensors").write_bytes(forms[form])
    arguments = {
        "convert": ("weights", "convert", "net.yaml", "evil.safetensors", "-o", "out.safetensors"),
        "inspect": ("weights", "inspect", "evil.safetensors"),
        "deploy": ("transform", "deploy", "net.yaml", "--weights", "evil.safetensors", "-o", "out"),
    }
    monkeypatch.setattr(framework_files, "run_file_job", lambda *_: pytest.fail("a framework would start"))
    code, said = run(capsys, *arguments[command])
    assert (code, "error[SB804]" in said) == (1, True), said
    assert sorted(os.listdir(folder)) == ["evil.safetensors", "net.yaml"]


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    """In every form in which one may come."""
    trace, path = tmp_path / "trace", tmp_path / "evil.pt"
    evil = Evil(trace)
    forms = {
        "zip": saved({"conv.weight": evil}),
        "legacy": saved({"conv.weight": evil}, _use_new_zipfile_serialization=False),
        "state": saved({"state_dict": {"conv.weight": torch.zeros(3)}, "extra": evil}),
        "plain": pickle.dumps(evil),
        "plain, protocol 4": pickle.dumps({"conv.weight": evil}, protocol=4),
        "module": saved(torch.nn.Linear(2, 2)),
        "first protocol": pickle.dumps(evil, protocol=0),
    }
    for name, data in forms.items():
        path.write_bytes(data)
        error = refused(path)
        assert not trace.exists(), name
        if name in ("zip", "legacy", "state", "module"):
            assert "code in a pickle is never executed" in error.message, name
    pickle.loads(forms["plain"])
    assert trace.exists()  # so the files were as evil as they should be


def test_whatever_is_cut_off_or_changed(tmp_path: Path) -> None:
    """Read, or refused: never another exception. What is read are plain numbers."""
    random = np.random.default_rng(5)
    path = tmp_path / "changed"
    state = {name: torch.from_numpy(value) for name, value in good().items()}
    for whole in (save(good()), saved(state), saved(state, _use_new_zipfile_serialization=False)):
        for _ in range(40):
            data = bytearray(whole)
            for place in random.integers(0, min(len(data), 2000), 4):
                data[place] = random.integers(0, 256)
            path.write_bytes(data[: random.integers(1, 2 * len(data))])
            try:
                kind = detect_file_kind(path)
                found = read_safetensors(path).values if kind is None else torch_worker.read_state_dict(path)
            except (SpecError, RefusedJob):
                continue
            assert all(isinstance(value, np.ndarray) for value in found.values())


def test_state_dicts(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    state = {
        "conv.weight": torch.ones(2, 3).half(),
        "conv.bias": torch.ones(2).bfloat16(),
        "step": torch.tensor(3),
    }
    for form in (
        state,
        {"state_dict": state, "epoch": 3},
        {"epoch": 3, "optimizer": {"state": {}}, "model": state},
    ):
        path.write_bytes(saved(form))
        found = torch_worker.read_state_dict(path)
        assert {k: (str(v.dtype), v.shape) for k, v in found.items()} == {
            "conv.weight": ("float32", (2, 3)), "conv.bias": ("float32", (2,)), "step": ("int64", ()),
        }  # fmt: skip
    wide = {"conv.weight": torch.ones(1).expand(1 << 20, 1 << 20)}
    for form, told in (
        ([1, 2], "it contains a list"),
        ({"epoch": 3}, "it contains epoch, but no state_dict"),
        ({}, "it contains nothing"),
        (wide, r"conv.weight of shape \(1048576, 1048576\) is larger than the data stored for it"),
        ({"a": torch.ones(2, dtype=torch.complex64)}, "a has the unsupported type torch.complex64"),
        ({"a": torch.ones(2, 2).to_sparse()}, "a is not a plain tensor"),
    ):
        path.write_bytes(saved(form))
        with pytest.raises(RefusedJob, match=told):
            torch_worker.read_state_dict(path)


def test_hdf5(tmp_path: Path) -> None:
    def linked(opened: Any) -> None:
        opened["layers"] = h5py.ExternalLink("/etc/passwd", "/")

    def soft(opened: Any) -> None:
        opened["layers"] = h5py.SoftLink("/elsewhere")

    def round_about(opened: Any) -> None:
        group = opened.create_group("layers")
        group["again"] = group

    def external(opened: Any) -> None:
        opened.create_dataset("a", (8,), "float32", external=[("/etc/hostname", 0, 32)])

    def huge(opened: Any) -> None:
        opened.create_dataset("a", (1 << 40,), "float32", chunks=(1 << 10,))

    def texts(opened: Any) -> None:
        opened.create_dataset("a", data=["one"], dtype=h5py.string_dtype())

    for fill, told in (
        (linked, "layers is a soft or external link"),
        (soft, "layers is a soft or external link"),
        (round_about, "contains itself"),
        (external, "a is stored in another file"),
        (huge, "a of shape .* is far larger than the data stored for it"),
        (texts, "a does not contain numbers"),
    ):
        path = tmp_path / f"{fill.__name__}.weights.h5"
        h5(path, fill)
        with pytest.raises(RefusedJob, match=told):
            keras_worker.read_variables({"path": str(path), "kind": "h5"}, tmp_path)
    whole = h5(tmp_path / "whole.h5", lambda opened: opened.create_dataset("a", data=np.ones((64, 64))))
    for cut in (whole[:600], whole[:64] + bytes(np.random.default_rng(1).integers(0, 256, 3000, "uint8"))):
        (tmp_path / "cut.h5").write_bytes(cut)
        with pytest.raises(RefusedJob, match="cannot be read as HDF5"):
            keras_worker.read_variables({"path": str(tmp_path / "cut.h5"), "kind": "h5"}, tmp_path)
    (tmp_path / "no.keras").write_bytes(zipped({"config.json": b"{}"}))
    with pytest.raises(RefusedJob, match=r"contains no model\.weights\.h5"):
        keras_worker.read_variables({"path": str(tmp_path / "no.keras"), "kind": "keras"}, tmp_path)


def test_the_older_form_of_keras_goes_by_name(tmp_path: Path) -> None:
    def fill(opened: Any) -> None:
        opened.attrs["layer_names"] = ["conv"]
        opened["conv/conv/kernel:0"] = np.ones((3, 3, 4, 3), "float32")
        opened["conv/conv/bias:0"] = np.ones(3, "float16")

    h5(tmp_path / "old.h5", fill)
    found = keras_worker.read_variables({"path": str(tmp_path / "old.h5"), "kind": "h5"}, tmp_path)
    assert {k: (v.shape, str(v.dtype)) for k, v in found.items()} == {
        "conv/kernel": ((3, 3, 4, 3), "float32"), "conv/bias": ((3,), "float32"),
    }  # fmt: skip


def test_halves_become_float32(tmp_path: Path) -> None:
    numbers = np.array([1.5, -2.0, 3e-3], "float32")
    bits = (numbers.view("uint32") >> 16).astype("uint16").tobytes()
    header = {
        "a": {"dtype": "BF16", "shape": [3], "data_offsets": [0, 6]},
        "b": {"dtype": "F16", "shape": [1], "data_offsets": [6, 8]},
        "c": {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]},
    }
    path = tmp_path / "half.safetensors"
    path.write_bytes(tensors(header, bits + np.float16(0.5).tobytes() + np.float64(0.1).tobytes()))
    found = read_safetensors(path).values
    np.testing.assert_allclose(found["a"], numbers, rtol=2**-8)
    assert {k: str(v.dtype) for k, v in found.items()} == {"a": "float32", "b": "float32", "c": "float64"}
    assert (found["b"][0], found["c"][0]) == (0.5, 0.1)


# ------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(NET)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out + said.err


def test_commands_refuse_and_leave_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One of each reader in its own process, and every fault of numbers and shapes."""
    values = good()
    nan = {**values, "conv.kernel": values["conv.kernel"].copy()}
    nan["conv.kernel"][0, 0, 0, :2] = np.nan, np.inf
    shapes = {**values, "conv.bias": np.zeros(4, "float32")}
    for name, data, code, error in (
        ("evil.pt", saved({"conv.weight": Evil(folder / "trace")}), 1, "SB804"),
        (
            "evil.keras",
            zipped({"config.json": b"{}", "model.weights.h5": pickle.dumps(Evil(folder / "trace"))}),
            1,
            "SB804",
        ),
        ("random.safetensors", BAD_HEADERS["random"], 1, "SB804"),
        ("nan.safetensors", save(nan), 1, "SB805"),
        ("shape.safetensors", save(shapes), 1, "SB801"),
        ("missing.safetensors", save({"conv.bias": values["conv.bias"]}), 1, "SB801"),
        ("more.safetensors", save({**values, "more": values["conv.bias"]}), 1, "SB801"),
    ):
        (folder / name).write_bytes(data)
        before = sorted(os.listdir(folder))
        found, said = run(capsys, "weights", "convert", "net.yaml", name, "-o", "out.safetensors")
        assert (found, f"error[{error}]" in said) == (code, True), said
        assert sorted(os.listdir(folder)) == before
    assert (
        "conv.kernel (2)" in run(capsys, "weights", "convert", "net.yaml", "nan.safetensors", "-o", "o.pt")[1]
    )
    allowed = ("--allow-nonfinite", "-o", "nan2.safetensors")
    assert run(capsys, "weights", "convert", "net.yaml", "nan.safetensors", *allowed)[0] == 0
    code, said = run(capsys, "weights", "inspect", "nan2.safetensors")
    assert code == 1 and "2 not finite" in said
    assert run(capsys, "weights", "compare", "nan.safetensors", "nan2.safetensors")[0] == 0


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_elements_that_are_not_finite_are_counted(kind: str) -> None:
    """Also where infinities cancel, or the sum of finite numbers overflows."""
    largest = np.finfo(kind).max
    for numbers, count in (
        ([1, 2, 3], 0),
        ([largest, largest, largest], 0),
        ([np.inf, -np.inf, 1], 2),
        ([np.nan, 1, np.nan], 2),
        ([largest, largest, np.inf], 1),
        ([], 0),
    ):
        assert count_nonfinite(np.array(numbers, kind)) == count
    assert count_nonfinite(np.array([1, 2**62, 2**62])) == 0


def test_usage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "good.safetensors").write_bytes(save(good()))
    for arguments, code, error in (
        (("net.yaml", "none.pt", "-o", "a.pt"), 2, "SB803"),
        (("net.yaml", ".", "-o", "a.pt"), 2, "SB803"),
        (("net.yaml", "good.safetensors", "-o", "a.bin"), 2, "SB806"),
        (("net.yaml", "good.safetensors", "-o", "a.h5"), 2, "a.weights.h5"),
        (("net.yaml", "good.safetensors", "-o", "a.pt", "--to", "keras"), 2, "SB806"),
        (("net.yaml", "good.safetensors", "-o", "a.safetensors", "--from", "torchvisoin"), 2, "SB806"),
        (("net.yaml", "good.safetensors", "-o", "good.safetensors"), 2, "SB702"),
        (("net.yaml", "good.safetensors", "-o", "no/a.safetensors"), 2, "SB702"),
        (("none.yaml", "good.safetensors", "-o", "a.safetensors"), 3, "SB001"),
    ):
        found, said = run(capsys, "weights", "convert", *arguments)
        assert found == code and error in said, said
    assert sorted(os.listdir(folder)) == ["good.safetensors", "net.yaml"]


def test_frameworks_that_are_not_installed(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "good.safetensors").write_bytes(save(good()))
    (folder / "good.pt").write_bytes(saved({"conv.weight": torch.zeros(3)}))
    find = framework_files.find_spec
    for absent, arguments in (
        ("torch", ("good.safetensors", "-o", "a.pt")),
        ("torch", ("good.pt", "-o", "a.safetensors")),
        ("keras", ("good.safetensors", "-o", "a.weights.h5")),
        ("h5py", ("good.safetensors", "-o", "a.keras")),
        ("safetensors", ("good.safetensors", "-o", "b.safetensors")),
        ("jax tensorflow torch", ("good.safetensors", "-o", "a.keras")),
    ):
        gone = absent.split()
        for module in (framework_files, keras_files):
            monkeypatch.setattr(
                module, "find_spec", lambda name, gone=gone: None if name in gone else find(name)
            )
        code, said = run(capsys, "weights", "convert", "net.yaml", *arguments)
        assert code == 4 and "error[SB603]" in said, said
    assert not list(folder.glob("[ab].*"))


def test_a_file_appears_whole_or_not_at_all(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(capsys, "weights", "init", "net.yaml", "-o", "first.safetensors")[0] == 0
    before = (folder / "first.safetensors").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output_files.os, "fsync", full)
    code, said = run(
        capsys, "weights", "init", "net.yaml", "-o", "first.safetensors", "--force", "--seed", "1"
    )
    assert code == 2 and "No space left on device" in said
    assert (folder / "first.safetensors").read_bytes() == before
    assert sorted(os.listdir(folder)) == ["first.safetensors", "net.yaml"]


def test_files_of_very_many_tensors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tensor takes time, however small it is: a file with more than the limit is refused before they are read."""
    value = np.zeros(1, "float32")
    for module in ("specbuild.weights.safetensors_files", "specbuild.backends.torch.weights_worker"):
        monkeypatch.setattr(f"{module}.MAX_TENSORS", 20)
    monkeypatch.setattr("specbuild.runtimes.hdf5_files.MAX_TENSORS", 20)
    for count in (20, 21):
        names = [f"a{i}" for i in range(count)]
        path = tmp_path / f"{count}.safetensors"
        path.write_bytes(save(dict.fromkeys(names, value)))
        state = tmp_path / f"{count}.pt"
        torch.save({name: torch.zeros(1) for name in names}, state)
        with h5py.File(tmp_path / f"{count}.h5", "w") as file:
            for name in names:
                file.create_dataset(name, data=value)
        readers: list[Callable[[], int]] = [
            lambda path=path: len(read_safetensors(path).values),  # type: ignore[misc]
            lambda path=state: len(torch_worker.read_state_dict(path)),  # type: ignore[misc]
            lambda path=tmp_path / f"{count}.h5": len(dict(iterate_datasets(h5py.File(path)))),  # type: ignore[misc]
        ]
        for read in readers:
            if count == 20:
                assert read() == 20
            else:
                with pytest.raises((SpecError, RefusedJob), match="tensors"):
                    read()


def test_a_list_of_tensors_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("specbuild.weights.safetensors_files.MAX_INDEX", 100)
    path = tmp_path / "w.safetensors"
    path.write_bytes(save({"a" * 200: np.zeros(1, "float32")}))
    with pytest.raises(SpecError, match="MiB"):
        read_safetensors(path)
    torch.save({"a" * 200: torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(SpecError, match="MiB"):
        detect_file_kind(tmp_path / "w.pt")
