"""Files of the library as specs on the command line, and their text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from specbuild import load
from specbuild.cli import main
from specbuild.diagnostics.errors import SpecError
from specbuild.frontend.library import LIBRARY, library_files

RESNET = "library:backbones/resnet.yaml"
COMMANDS = {
    "check": ["check", RESNET],
    "show": ["show", RESNET, "--variant", "resnet18"],
    "draw": ["draw", RESNET, "-o", "out.svg"],
    "compile": ["compile", RESNET, "-b", "torch", "-o", "out.py"],
    "compile several": ["compile", RESNET, "library:backbones/vgg.yaml", "-b", "torch", "-o", "out"],
    "package": ["compile", RESNET, "-b", "torch", "--layout", "package", "-o", "out"],
    "expand": ["expand", RESNET, "--set", "depths=[1, 1, 1, 1],[2, 2, 2, 2]", "-o", "out"],
    "diff": ["diff", RESNET, RESNET],
    "schema": ["schema", RESNET],
}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_python_takes_a_file_of_the_library() -> None:
    assert (
        load(RESNET, "resnet18", classes=10).cost.parameters
        == load(LIBRARY / "backbones/resnet.yaml", "resnet18", classes=10).cost.parameters
    )
    with pytest.raises(SpecError, match=r"did you mean 'library:backbones/resnet\.yaml'"):
        load("library:backbones/resnt.yaml")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
def test_a_command_takes_a_file_of_the_library(
    command: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (LIBRARY / name).read_bytes() for name in ("backbones/resnet.yaml",)}
    assert main(command) == 0, capsys.readouterr().err
    if "-o" in command:
        assert list(tmp_path.iterdir()), "nothing was written here"
    assert all((LIBRARY / name).read_bytes() == text for name, text in before.items())


def test_a_file_of_blocks_alone_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "library:attention/cbam.yaml"]) == 0
    assert "no model: the blocks are valid" in capsys.readouterr().out


def test_a_file_of_blocks_alone_leads_to_its_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "library:attention/cbam.yaml"]) == 3
    assert "`specbuild library show CBAM`" in capsys.readouterr().err


def test_an_option_of_other_commands_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("show", "compile", "check"):
        assert main([command, "--block", "CBAM"]) == 2
        assert "specbuild library show NAME --backend torch" in capsys.readouterr().err
    assert main(["library", "show", "CBAM", "--backend", "torch"]) == 0  # as the hint says
    assert "class CBAM(nn.Module)" in capsys.readouterr().out


def test_a_misspelled_file_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "library:backbones/resnt.yaml"]) == 3
    said = capsys.readouterr().out
    assert "the library has no file" in said and f"did you mean '{RESNET}'?" in said


@pytest.mark.parametrize(
    ("word", "arguments"),
    {
        "resnet50": "library:backbones/resnet.yaml --variant resnet50",
        "library:resnet50": "library:backbones/resnet.yaml --variant resnet50",
        "ResNet": "library:backbones/resnet.yaml",
        "swin_t": "library:backbones/swin.yaml --variant swin_t",
    }.items(),
)
def test_a_name_of_the_library_is_found(
    word: str, arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compile", word, "-b", "torch", "-o", "-"]) == 3
    assert f"the library has it: write `{arguments}`" in capsys.readouterr().err
    assert main(["show", *arguments.split()]) == 0


def test_a_block_of_the_library_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "SEBlock", "-b", "torch", "-o", "-"]) == 3
    assert (
        "it is a block of the library: `specbuild library show SqueezeExcitation`" in capsys.readouterr().err
    )
    assert main(["library", "show", "SqueezeExcitation"]) == 0


@pytest.mark.parametrize("name", ["../frontend/library.py", "/etc/passwd", "", "backbones"])
def test_nothing_outside_the_library_is_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", f"library:{name}"]) == 3
    assert "the library has no file" in capsys.readouterr().out


def test_the_library_is_not_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", RESNET, "--fix"]) == 2
    assert "those of the library stay as they are" in " ".join(
        capsys.readouterr().err.replace("│", " ").split()
    )


def test_the_file_of_a_block_is_printed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["library", "show", "CBAM", "--yaml"]) == 0
    text = capsys.readouterr().out
    assert text == (LIBRARY / "attention" / "cbam.yaml").read_text(encoding="utf-8")
    (tmp_path / "cbam.yaml").write_text(text)
    net = "specbuild: 1\nmodel: Net\nimports: {Mine: ./cbam.yaml#CBAM}\ninputs: {x: {C: 16, H: 8, W: 8}}\nsteps: [Mine]\n"
    (tmp_path / "net.yaml").write_text(net)
    assert load(tmp_path / "net.yaml").parameters > 0


def test_an_op_has_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["library", "show", "conv", "--yaml"]) == 2
    assert main(["library", "show", "CBAM", "--yaml", "-b", "torch"]) == 2


def test_there_are_files() -> None:
    assert "backbones/resnet.yaml" in library_files()
