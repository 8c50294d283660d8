"""The form that all JSON documents of commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from specbuild.cli import main
from specbuild.cli.json_output import make_document
from specbuild.diagnostics.errors import SpecError
from specbuild.version import __version__

NET = """\
specbuild: 1
model: Net
inputs: {image: {C: 3, H: 8, W: 8}}
params: {width: 4}
steps:
  - conv: {channels: width}
"""
YOLO = """\
nc: 2
scales: {n: [0.33, 0.25, 1024]}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
head:
  - [[0], 1, Detect, [nc]]
"""
COMMANDS = {
    "check": ["check", "net.yaml", "--format", "json"],
    "compile": ["compile", "net.yaml", "-b", "torch", "--json"],
    "show": ["show", "net.yaml", "--json"],
    "diff": ["diff", "net.yaml", "net.yaml", "--json"],
    "library list": ["library", "list", "--json"],
    "library search": ["library", "search", "squeeze", "--json"],
    "library show": ["library", "show", "conv", "--json"],
    "explain": ["explain", "SB101", "--json"],
    "doctor": ["doctor", "--json"],
    "weights groups": ["weights", "groups", "net.yaml", "--json"],
    "weights init": ["weights", "init", "net.yaml", "-o", "net.safetensors", "--json"],
    "draw": ["draw", "net.yaml", "-o", "net.mmd", "--json"],
    "init": ["init", "new.yaml", "--json"],
    "convert": ["convert", "yolo.yaml", "--json"],
    "expand": ["expand", "net.yaml", "--set", "width=4,8", "-b", "torch", "-o", "sweep", "--json"],
}
Run = Callable[[list[str]], tuple[int, dict[str, object]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "yolo.yaml").write_text(YOLO)
    monkeypatch.chdir(tmp_path)

    def run(arguments: list[str]) -> tuple[int, dict[str, object]]:
        code = main(arguments)
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_document_says_what_it_is(run: Run, command: str) -> None:
    code, document = run(COMMANDS[command])
    assert code == 0
    assert list(document)[:3] == ["specbuild", "version", "command"] and list(document)[-1] == "errors"
    assert document["specbuild"] == "1" and document["version"] == __version__
    assert document["command"] == command and document["errors"] == []
    assert len(document) >= 5


@pytest.mark.parametrize("command", [name for name in COMMANDS if "net.yaml" in COMMANDS[name]])
def test_errors_of_a_spec_are_in_the_document(run: Run, command: str) -> None:
    Path("net.yaml").write_text(NET.replace("channels", "chanels"))
    code, document = run(COMMANDS[command])
    assert code == 3 and document["command"] == command
    [error] = document["errors"]  # type: ignore[misc]
    assert (error["code"], error["file"], error["line"]) == ("SB101", "net.yaml", 6)  # type: ignore[index]


def test_documents_say_what_was_written(run: Run) -> None:
    assert run(COMMANDS["draw"])[1]["file"] == "net.mmd" and Path("net.mmd").exists()
    assert run(COMMANDS["init"])[1]["spec"] == Path("new.yaml").read_text()
    again, document = run(COMMANDS["init"])
    assert again != 0 and [error["code"] for error in document["errors"]] == ["SB702"]  # type: ignore[attr-defined]
    points = run(COMMANDS["expand"])[1]["points"]
    assert [point["set"]["width"] for point in points] == [4, 8]  # type: ignore[attr-defined]


def test_a_command_cannot_replace_the_keys_of_the_form() -> None:
    with pytest.raises(ValueError, match="version"):
        make_document("show", {"version": 2})
    document = make_document("show", {"model": "Net"}, SpecError("SB702", "cannot write"))
    assert [error["code"] for error in document["errors"]] == ["SB702"]
