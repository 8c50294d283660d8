"""File names, folders and standard streams that cannot be used: an error that names the path, never an internal error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from specbuild.cli import main

SPEC = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 4}}\nsteps: [relu]\n"
ROOT = Path(__file__).parents[2]

LONG_NAME = "n" * 300
LONG_PATH = "/".join(["folder"] * 800)


def loop_name(folder: Path) -> str:
    (folder / "loop").symlink_to("loop")
    return "loop"


PATHS: dict[str, Callable[[Path], str]] = {
    "loop": loop_name,
    "name": lambda folder: LONG_NAME,
    "path": lambda folder: LONG_PATH,
    "bytes": lambda folder: os.fsdecode(b"\xff\xfe"),
}
COMMANDS = {
    "spec": ["check", "{}.yaml"],
    "root": ["check", "net.yaml", "--root", "{}/inner"],
    "output": ["compile", "net.yaml", "--backend", "torch", "-o", "{}/net.py"],
    "package": ["compile", "net.yaml", "--backend", "torch", "--layout", "package", "-o", "{}/net"],
    "picture": ["draw", "net.yaml", "--format", "dot", "-o", "{}/net.dot"],
    "init": ["init", "{}/net.yaml"],
}
# Names of bytes that are not UTF-8 can be written; a root that nothing is imported from need not exist.
ALLOWED = {("output", "bytes"), ("root", "bytes"), ("root", "name"), ("root", "path")}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("command", COMMANDS)
def test_path(
    command: str,
    path: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "net.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    name = PATHS[path](tmp_path)
    is_valid = (command, path) in ALLOWED
    code = main([argument.replace("{}", name) for argument in COMMANDS[command]])
    text = "".join(capfd.readouterr())
    assert (code == 0) if is_valid else (code in (2, 3)), text
    assert is_valid or "error[SB" in text


@pytest.mark.parametrize("prefix", ["", "library:"])
@pytest.mark.parametrize("path", PATHS)
def test_import(
    prefix: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "nothing" if path == "bytes" else PATHS[path](tmp_path)
    (tmp_path / "net.yaml").write_text(f'{SPEC}imports: {{A: "{prefix}{name}/blocks.yaml"}}\n')
    (tmp_path / "net.yaml").write_text((tmp_path / "net.yaml").read_text().replace("[relu]", "[A]"))
    monkeypatch.chdir(tmp_path)
    assert main(["check", "net.yaml"]) == 3
    assert "--> net.yaml:5:" in capfd.readouterr().out


def run_with_streams(redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a shell with redirected or closed streams."""
    line = f'"$0" -m specbuild "$@" {redirections}'
    return subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_output_that_fails(redirection: str) -> None:
    done = run_with_streams(redirection, "explain", "SB001")
    assert done.returncode == 2
    assert done.stderr.startswith("error[SB702]: cannot write the result: ")
    assert "Exception" not in done.stderr


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="only Linux has /proc/kmsg")
@pytest.mark.parametrize("command", [["check"], ["weights", "inspect"]])
def test_file_that_waits(command: list[str]) -> None:
    """A file of the kernel looks like a regular one, and a read of it waits for more."""
    line = 'exec timeout 20 "$0" -m specbuild "$@" /proc/kmsg'
    done = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, *command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode in (2, 3)
    assert "cannot read `/proc/kmsg`: " in done.stdout + done.stderr


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="this system has no /dev/stdin")
def test_named_and_unnamed_pipes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What a shell makes is read; a pipe in a folder, to which nobody may ever write, is not."""
    reader, writer = os.pipe()
    os.write(writer, SPEC.encode())
    os.close(writer)
    assert main(["check", f"/dev/fd/{reader}"]) == 0
    os.close(reader)
    os.mkfifo(tmp_path / "pipe.yaml")
    assert main(["check", str(tmp_path / "pipe.yaml")]) == 3
    assert "it is not a regular file" in capfd.readouterr().out


def test_closed_input_and_log() -> None:
    closed = run_with_streams("<&-", "check", "-")
    assert closed.returncode == 3
    assert "cannot read standard input: it is closed" in closed.stdout
    assert run_with_streams("2>&-", "explain", "SB001").returncode == 0


def test_folder_that_may_not_be_entered(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wherever the system refuses a path, the error names it."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "closed/net.yaml")

    monkeypatch.setattr("specbuild.cli.check.open_spec", refuse)
    assert main(["check", "net.yaml"]) == 2
    assert capfd.readouterr().err == "error[SB702]: cannot use `closed/net.yaml`: Permission denied\n"


def test_spec_in_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The message names the spec, and not the file of a project that is looked for beside it."""
    (tmp_path / "net.yaml").write_text(SPEC)
    look = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if path.name in ("pyproject.toml", ".git"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    assert main(["check", str(tmp_path / "net.yaml")]) == 0, capfd.readouterr().err


def test_depth_of_many_digits(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["draw", "net.yaml", "--depth", "1" * 5000]) == 2
    assert "is neither a number from 1 to 99 nor all" in " ".join(
        capfd.readouterr().err.replace("│", "").split()
    )
