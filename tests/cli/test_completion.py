"""What a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from specbuild.cli import COMMANDS, main, requested_commands

ROOT = Path(__file__).parents[2]
NET = """\
specbuild: 1
model: Net
params: {classes: 10, deep: true, act: {type: str, default: relu, enum: [relu, gelu]}}
variants: {small: {}, large: {classes: 32}}
blocks:
  Gate:
    inputs: {x: [C, H, W]}
    steps: [conv: {channels: 4}]
inputs: {image: {C: 3, H: 8, W: 8}}
steps:
  - Gate:
    as: stem
  - Gate:
    repeat: 2
    as: gates
"""
Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Completes a line of bash at its end."""
    (tmp_path / "net.yaml").write_text(NET)
    (tmp_path / "broken.yaml").write_text(NET.replace("channels", "chanels"))
    monkeypatch.chdir(tmp_path)

    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_SPECBUILD_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        assert main([]) == 0
        return capsys.readouterr().out.split()

    return complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("specbuild li", ["library"]),
        ("specbuild library ", ["list", "search", "show"]),
        ("specbuild library show conv", ["conv", "conv_transpose"]),
        ("specbuild library show CB", ["CBAM"]),
        ("specbuild explain SB501", ["SB501"]),
        ("specbuild explain sb501", ["sb501"]),
        ("specbuild init -t ", ["fusion", "image", "sequence"]),
        ("specbuild compile net.yaml -b ", ["torch", "keras", "all"]),
        ("specbuild transform deploy net.yaml -b ", ["torch", "keras", "all", "installed"]),
        ("specbuild parity net.yaml --backends keras,", ["keras,torch"]),
        ("specbuild parity --block CB", ["CBAM"]),
        ("specbuild draw --block CB", ["CBAM"]),
        ("specbuild show net.yaml --variant ", ["small", "large"]),
        ("specbuild check --variant l", []),
        ("specbuild show net.yaml --set ", ["classes=", "deep=", "act="]),
        ("specbuild show net.yaml --set act=", ["act=relu", "act=gelu"]),
        ("specbuild show net.yaml --set deep=t", ["deep=true"]),
        ("specbuild show net.yaml --set classes=", []),
        (
            "specbuild show net.yaml --features stem,ga",
            ["stem,gates.0.conv", "stem,gates.0", "stem,gates.1.conv", "stem,gates.1", "stem,gates"],
        ),
        ("specbuild draw net.yaml --open ", ["stem", "gates.0", "gates.1"]),
        ("specbuild draw broken.yaml --open ", []),
        ("specbuild show nowhere.yaml --variant ", []),
        ("specbuild check library:backbones/densenet.yaml --variant densenet12", ["densenet121"]),
    ],
)
def test_values(complete: Complete, line: str, offered: list[str]) -> None:
    assert complete(line) == offered


def test_only_the_command_in_question_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_SPECBUILD_COMPLETE", "complete_zsh")
    for line, commands in (
        ("specbuild ", ()),
        ("specbuild sho", ()),
        ("specbuild show ", ("show",)),
        ("specbuild show net.yaml --var", ("show",)),
        ("specbuild nothing ", ()),
    ):
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        assert tuple(requested_commands([])) == commands
    monkeypatch.delenv("_SPECBUILD_COMPLETE")
    assert requested_commands(["nothing"]) == tuple(COMMANDS)


def test_no_framework_is_imported(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(NET)
    code = (
        "import sys; from specbuild.cli import main; main([]); "
        "print(sorted({'torch', 'keras', 'tensorflow', 'jax', 'numpy'} & set(sys.modules)))"
    )
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "_SPECBUILD_COMPLETE": "complete_bash",
        "COMP_WORDS": "specbuild draw net.yaml --open ",
        "COMP_CWORD": "4",
    }
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.stdout.split("\n")[-2:] == ["[]", ""], done.stderr
