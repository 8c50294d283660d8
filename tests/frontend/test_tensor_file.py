"""Given numbers in a safetensors file beside the spec: what is read, and what hostile and damaged files cost."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specbuild.api import load
from specbuild.cli import main
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError

SPEC = """\
specbuild: 1
model: M
inputs: {x: {C: 2, H: 3}}
steps:
  - const: {axes: {C: 2, H: 3}, file: %s}
    as: taps
  - multiply: [x, taps]
"""
FLOATS = struct.pack("<6f", 1, 2, 1, 0.5, -0.25, 8)


def file_bytes(data: bytes, **entries: Any) -> bytes:
    """A safetensors file, as its format says."""
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype: str, shape: list[int], end: int, start: int = 0) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


TAPS = file_bytes(FLOATS, taps=entry("F32", [2, 3], 24))


def write_spec(folder: Path, content: bytes, file: str = "taps.safetensors") -> Path:
    (folder / "taps.safetensors").write_bytes(content)
    (folder / "net.yaml").write_text(SPEC % file)
    return folder / "net.yaml"


def refuse(path: Path) -> SpecError:
    with pytest.raises(SpecError) as caught:
        build_graph(path)
    return caught.value


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("F64", struct.pack("<6d", 1, 2, 1, 0.5, -0.25, 8)),
        ("F32", FLOATS),
        ("F16", struct.pack("<6e", 1, 2, 1, 0.5, -0.25, 8)),
        ("BF16", b"".join(struct.pack("<f", x)[2:] for x in (1, 2, 1, 0.5, -0.25, 8))),
    ],
)
def test_floats_become_code(tmp_path: Path, dtype: str, data: bytes) -> None:
    path = write_spec(tmp_path, file_bytes(data, taps=entry(dtype, [2, 3], len(data))))
    assert "torch.tensor([[1.0, 2.0, 1.0], [0.5, -0.25, 8.0]])" in compile_source(build_graph(path), "torch")


@pytest.mark.parametrize(("dtype", "format"), [("I64", "q"), ("I32", "i"), ("I16", "h"), ("I8", "b")])
def test_integers_become_code(tmp_path: Path, dtype: str, format: str) -> None:
    data = struct.pack(f"<6{format}", 1, -2, 3, 4, 5, 6)
    path = write_spec(tmp_path, file_bytes(data, taps=entry(dtype, [2, 3], len(data))))
    assert refuse(path).message == "the table is float, but its numbers are int32"
    path.write_text(path.read_text().replace("safetensors}", "safetensors, dtype: int32}"))
    path.write_text(path.read_text().replace("{x: {C: 2, H: 3}}", "{x: {axes: {C: 2, H: 3}, dtype: int32}}"))
    assert "torch.tensor([[1, -2, 3], [4, 5, 6]])" in compile_source(build_graph(path), "torch")


def test_one_of_several_tensors(tmp_path: Path) -> None:
    content = file_bytes(FLOATS, a=entry("F32", [2, 3], 24), b=entry("F32", [6], 24))
    path = write_spec(tmp_path, content)
    error = refuse(path)
    assert error.message == "taps.safetensors has 2 tensors, and it is open which one is meant"
    assert error.hint == "write `tensor: ...`; it has a and b"
    path.write_text(SPEC % "taps.safetensors, tensor: a")
    assert "[1.0, 8.0]" in compile_source(build_graph(path), "keras")
    path.write_text(SPEC % "taps.safetensors, tensor: c")
    error = refuse(path)
    assert (error.code, error.message) == ("SB202", "taps.safetensors has no tensor 'c'")
    assert error.location is not None and (error.location.line, error.location.column) == (5, 65)
    path.write_text(SPEC % "taps.safetensors, tensor: b")
    error = refuse(path)
    assert (error.code, error.message) == ("SB401", "the tensor has the shape [6], and the axes have [2, 3]")


def test_the_digest_tells_of_other_numbers(tmp_path: Path) -> None:
    path = write_spec(tmp_path, TAPS)
    before = load(path).digest
    assert load(path).digest == before
    write_spec(tmp_path, TAPS[:-1] + b"\x00")
    assert load(path).digest != before


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


def zip_bytes(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "x.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Payload()))
    return (folder / "x.pt").read_bytes()


NOT_ONE = "it is not a safetensors file"
SHAPE = "the shape of 'taps' does not fit the bytes that the file has for it"
HEADER = "its header is not valid JSON"
ENTRY = "the entry of 'taps' in its header is not valid"
DAMAGED: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "empty": (lambda folder: b"", NOT_ONE),
    "pickle": (lambda folder: pickle.dumps(Payload()), "it is a pickle, which is never opened"),
    "archive": (zip_bytes, "it is a pickle, which is never opened"),
    "text": (lambda folder: b"import os; os.system('touch executed')", NOT_ONE),
    "header": (lambda folder: TAPS[:40], "it is cut off"),
    "numbers": (lambda folder: TAPS[:-1], SHAPE),
    "length": (lambda folder: struct.pack("<Q", 2**63) + b"{}", "it is cut off"),
    "long header": (
        lambda folder: struct.pack("<Q", 2**20 + 1) + b"{" + b" " * 2**20,
        "its header is larger than 1 MiB",
    ),
    "nested": (lambda folder: struct.pack("<Q", 2**19) + b'{"a":' + b"[" * 2**19, HEADER),
    "list": (lambda folder: struct.pack("<Q", 4) + b"{}[]", HEADER),
    "twice": (lambda folder: struct.pack("<Q", 13) + b'{"a":1,"a":2}', HEADER),
    "entry": (lambda folder: file_bytes(FLOATS, taps=[1]), ENTRY),
    "offsets": (lambda folder: file_bytes(FLOATS, taps=entry("F32", [2, 3], 2**62, 2**62 - 24)), SHAPE),
    "backwards": (lambda folder: file_bytes(FLOATS, taps=entry("F32", [2, 3], -24, -48)), SHAPE),
    "negative": (lambda folder: file_bytes(FLOATS, taps=entry("F32", [-2, -3], 24)), SHAPE),
    "huge": (lambda folder: file_bytes(FLOATS, taps=entry("F32", [2**40, 2**40], 24)), SHAPE),
    "deep": (lambda folder: file_bytes(FLOATS, taps=entry("F32", [1] * 10_000, 4)), SHAPE),
    "type": (
        lambda folder: file_bytes(FLOATS, taps=entry("OBJECT", [2, 3], 24)),
        "'taps' has the type 'OBJECT', which is not supported",
    ),
    "nan": (
        lambda folder: file_bytes(struct.pack("<6f", *[float("nan")] * 6), taps=entry("F32", [2, 3], 24)),
        "'taps' has NaN",
    ),
    "bytes": (
        lambda folder: file_bytes(b"\x02" * 6, taps=entry("BOOL", [2, 3], 6)),
        "'taps' is of type BOOL and has bytes other than 0 and 1",
    ),
    "wide": (
        lambda folder: file_bytes(struct.pack("<6q", *[2**40] * 6), taps=entry("I64", [2, 3], 48)),
        "'taps' has integers of more than 32 bits",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make, reason = DAMAGED[name]
    error = refuse(write_spec(tmp_path, make(tmp_path)))
    assert error.code == ("SB501" if "larger" in reason else "SB306")
    assert error.message == f"'taps.safetensors' cannot be used: {reason}"
    assert error.location is not None and (error.location.line, error.location.column) == (5, 39)
    assert not (tmp_path / "executed").exists()


def test_names_of_tensors_are_text(tmp_path: Path) -> None:
    """Escape sequences in a name do not reach the terminal."""
    names = {"\x1b[2J\u202e": entry("F32", [6], 24), "b": entry("F32", [6], 24)}
    error = refuse(write_spec(tmp_path, file_bytes(FLOATS, **names)))
    assert "\x1b" not in str(error) and "\u202e" not in str(error)


@pytest.mark.parametrize(
    "file", ["../taps.safetensors", "/etc/passwd", "~/t.safetensors", "inner/link.safetensors"]
)
def test_no_file_outside(file: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "inner").mkdir(parents=True)
    (tmp_path / "taps.safetensors").write_bytes(TAPS)
    (folder / "inner" / "link.safetensors").symlink_to(tmp_path / "taps.safetensors")
    assert refuse(write_spec(folder, TAPS, file)).code == "SB207"


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's")
def test_folders_and_links(tmp_path: Path) -> None:
    """A link within the project is read; a folder, a link to one, to nothing, to itself or to a device is refused."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "folder").mkdir()
    path = write_spec(tmp_path, TAPS, "link")
    link = tmp_path / "link"
    targets = {
        "taps.safetensors": "",
        "folder": "SB001",
        "nothing": "SB001",
        "link": "SB",
        "/dev/zero": "SB207",
    }
    for target, code in targets.items():
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        if code:
            assert refuse(path).code.startswith(code), target
        else:
            assert "0.5, -0.25, 8.0" in compile_source(build_graph(path), "torch")
    link.unlink()
    link.mkdir()
    assert refuse(path).code == "SB001"


def test_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every file may be read, so the system's refusal is simulated."""
    path = write_spec(tmp_path, TAPS)
    opened = os.open

    def open_some(file: Any, *arguments: Any, **more: Any) -> int:
        if str(file).endswith(".safetensors"):
            raise PermissionError(13, "Permission denied")
        return opened(file, *arguments, **more)

    monkeypatch.setattr(os, "open", open_some)
    error = refuse(path)
    assert (error.code, error.message) == (
        "SB306",
        "'taps.safetensors' cannot be used: Permission denied",
    )


@pytest.mark.parametrize("name", ["pickle", "archive", "numbers", "long header", "type"])
def test_compile_writes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit 3 and no file; a pickle that is named .safetensors starts no framework."""
    monkeypatch.chdir(tmp_path)
    write_spec(tmp_path, DAMAGED[name][0](tmp_path))
    before = sorted(os.listdir(tmp_path))
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process would start"))
    for layout in ("file", "package"):
        target = "net.py" if layout == "file" else "net"
        assert main(["compile", "net.yaml", "-b", "torch", "--layout", layout, "-o", target]) == 3
        said = "".join(capsys.readouterr())
        assert DAMAGED[name][1] in said and "Traceback" not in said
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files(tmp_path: Path) -> None:
    path = write_spec(tmp_path, TAPS, "pipe.safetensors")
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert refuse(path).message == "there is no file 'pipe.safetensors'"


def test_large_file(tmp_path: Path) -> None:
    path = write_spec(tmp_path, TAPS)
    with (tmp_path / "taps.safetensors").open("ab") as stream:
        stream.truncate(64 * 2**20 + 1)
    assert refuse(path).message == "'taps.safetensors' cannot be used: it is larger than 64 MiB"


def test_a_file_of_an_import_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "taps.safetensors").write_bytes(TAPS)
    block = SPEC.partition("steps:\n")[2] % "taps.safetensors"
    steps = block.replace("\n", "\n    ").rstrip()
    (tmp_path / "parts" / "blocks.yaml").write_text(
        f"specbuild: 1\nblocks:\n  Filter:\n    inputs: {{x: [C, H]}}\n    steps:\n    {steps}\n"
    )
    spec = "specbuild: 1\nmodel: M\nimports: {Filter: ./parts/blocks.yaml#Filter}\n"
    (tmp_path / "net.yaml").write_text(f"{spec}inputs: {{x: {{C: 2, H: 3}}}}\nsteps: [Filter]\n")
    assert "[0.5, -0.25, 8.0]" in load(tmp_path / "net.yaml").source("torch")
