"""A package is written into a folder that a stranger has prepared: each file is whole, and nothing outside changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from specbuild.cli import main

SPEC = "specbuild: 1\nmodel: Tiny\ninputs: {x: {C: 3}}\nsteps:\n  - linear: {features: 2}\n    as: head\n"
FILES = ("__init__.py", "model.py", "test_model.py", "README.md", "py.typed")

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path)

    def run(*more: str) -> tuple[int, str]:
        command = [
            "compile",
            "tiny.yaml",
            "--layout",
            "package",
            "-b",
            "torch",
            "--diagram",
            "none",
            "-o",
            "tiny",
        ]
        code = main([*command, *more])
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out + said.err

    return run


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.skipif(os.name != "posix", reason="named pipes are POSIX's")
@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("make", [make_pipe, make_folder])
@pytest.mark.parametrize("name", FILES)
def test_no_file_where_a_file_belongs(
    name: str, make: Callable[[Path], None], force: tuple[str, ...], run: Run
) -> None:
    make(Path("tiny", name))
    code, said = run(*force)
    assert code == 2 and "error[SB702]" in said and name in said and "not a regular file" in said
    assert os.listdir("tiny") == [name]


@pytest.mark.skipif(os.name != "posix", reason="links are POSIX's")
@pytest.mark.parametrize("target", ["../mine.py", "../missing.py", "model.py", "/dev/full", ".."])
def test_links(target: str, run: Run) -> None:
    """A link is refused; with `--force` it is replaced, whatever it points to."""
    Path("mine.py").write_text("x = 1\n")
    Path("tiny", "model.py").symlink_to(target)
    code, said = run()
    assert code == 1 and "error[SB701]" in said and os.listdir("tiny") == ["model.py"]
    assert run("--force")[0] == 0
    assert not Path("tiny", "model.py").is_symlink() and "class Tiny" in Path("tiny", "model.py").read_text()
    assert Path("mine.py").read_text() == "x = 1\n" and not Path("missing.py").exists()


def test_folder_that_may_not_be_written(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root every folder may be written, so the system's refusal is simulated."""

    def refuse(**_: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("mkstemp", "mkdtemp"):
        monkeypatch.setattr(f"specbuild.compiler.temporary_files.tempfile.{name}", refuse)
    code, said = run()
    assert code == 2 and "error[SB702]" in said and "Permission denied" in said
    assert os.listdir("tiny") == []


@pytest.mark.parametrize("count", range(len(FILES)))
def test_disk_that_is_full_later(count: int, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many files: these are whole, the others are not there, and no temporary file stays."""
    replace, moved = os.replace, []

    def replace_some(source: Path, target: Path) -> None:
        if len(moved) == count:
            raise OSError(28, "No space left on device")
        moved.append(Path(target).name)
        replace(source, target)

    monkeypatch.setattr("specbuild.compiler.output_files.os.replace", replace_some)
    code, said = run()
    assert code == 2 and "No space left on device" in said
    assert sorted(os.listdir("tiny")) == sorted(moved) and len(moved) == count
    monkeypatch.setattr("specbuild.compiler.output_files.os.replace", replace)
    assert run()[0] == 0 and run("--check")[0] == 0


@pytest.mark.parametrize("count", range(len(FILES) - 1))  # all but py.typed change
def test_disk_that_is_full_while_an_old_package_is_updated(
    count: int, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All texts are on the disk before the first file changes, so the old package stays whole."""
    assert run()[0] == 0
    old = {name: Path("tiny", name).read_bytes() for name in os.listdir("tiny")}
    Path("tiny.yaml").write_text(SPEC.replace("features: 2", "features: 5"))
    sync, synced = os.fsync, []

    def sync_some(descriptor: int) -> None:
        if len(synced) == count:
            raise OSError(28, "No space left on device")
        synced.append(descriptor)
        sync(descriptor)

    monkeypatch.setattr("specbuild.compiler.output_files.os.fsync", sync_some)
    code, said = run()
    assert code == 2 and "No space left on device" in said
    assert {name: Path("tiny", name).read_bytes() for name in os.listdir("tiny")} == old


def test_a_run_that_changes_nothing_removes_what_was_left(run: Run) -> None:
    """A process that was killed left a file in the folder; the package is complete already."""
    assert run()[0] == 0
    Path("tiny", ".specbuild-dead.tmp").touch()
    assert run()[0] == 0
    assert ".specbuild-dead.tmp" not in os.listdir("tiny")
