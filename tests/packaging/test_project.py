"""Projects: a package in `src/` with a `pyproject.toml`, which pip can install."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.cli.test_cli import Run, run

__all__ = ["run"]

NET = """\
specbuild: 1
model: Digits
doc: Classifies "ten" digits, with a \\ in its description. Here is more.
inputs: {image: {C: 1, H: 8, W: 8}}
steps:
  - conv: {channels: 4}
  - mean: {over: [H, W]}
"""
PROJECT = ("--layout", "package", "--project", "--diagram", "none")


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "digits.yaml"
    path.write_text(NET)
    return path


def list_files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_files(run: Run, spec: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my-digits"
    run("compile", str(spec), *PROJECT, "-b", "torch", "-o", str(folder))
    inside = {f"src/my_digits/{name}" for name in ("__init__.py", "model.py", "test_model.py", "py.typed")}
    assert list_files(folder) == {"README.md", "pyproject.toml", *inside}
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"] == {
        "name": "my-digits",
        "version": "0.1.0",
        "description": 'Classifies "ten" digits, with a \\ in its description',
        "readme": "README.md",
        "requires-python": ">=3.11",
        "dependencies": ["torch>=2.5"],
        "optional-dependencies": {"test": ["pytest>=8"]},
    }
    assert project["tool"]["setuptools"]["packages"]["find"] == {"where": ["src"]}
    readme = (folder / "README.md").read_text()
    assert "pip install '.'" in readme and "-o my-digits --project" in readme
    assert "(src/my_digits/model.py)" in readme
    environment = {**os.environ, "PYTHONPATH": str(folder / "src")}
    code = "from my_digits import Digits; print(sum(p.numel() for p in Digits().parameters()))"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert found.stdout == "40\n", found.stderr


def test_two_frameworks_are_extras(run: Run, spec: Path, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    run("compile", str(spec), *PROJECT, "-b", "all", "--with-weights-loader", "-o", str(folder))
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["numpy>=1.26", "safetensors>=0.4"]
    assert project["optional-dependencies"]["keras"] == ["keras>=3.6", "tensorflow>=2.18"]
    assert project["optional-dependencies"]["torch"] == ["torch>=2.5"]
    assert "pip install '.[torch]'" in (folder / "README.md").read_text()


def test_what_was_edited_stays(run: Run, spec: Path, tmp_path: Path) -> None:
    """The project file belongs to the user once it is edited; a model file does not."""
    folder = tmp_path / "digits"
    arguments = ("compile", str(spec), *PROJECT, "-b", "torch", "-o", str(folder))
    run(*arguments)
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace("0.1.0", "3.0"))
    spec.write_text(NET.replace("channels: 4", "channels: 6"))
    shown = run(*arguments)
    assert shown.code == 0 and "left " in shown.err
    assert 'version = "3.0"' in project.read_text() and "6, 3" in (folder / "src/digits/model.py").read_text()
    assert run(*arguments, "--check").code == 0
    model = folder / "src/digits/model.py"
    model.write_text(model.read_text() + "# mine\n")
    refused = run(*arguments)
    assert refused.code == 1 and "SB701" in refused.err
    assert run(*arguments, "--keep", "src/digits/model.py").code == 0
    assert model.read_text().endswith("# mine\n")


def test_files_of_a_framework_that_is_left_out_go(run: Run, spec: Path, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    run("compile", str(spec), *PROJECT, "-b", "all", "-o", str(folder))
    run("compile", str(spec), *PROJECT, "-b", "torch", "-o", str(folder))
    assert not any("keras" in name for name in list_files(folder))


def test_what_is_refused(run: Run, spec: Path, tmp_path: Path) -> None:
    assert run("compile", str(spec), "--project").code == 2
    for name in ("torch", "my model", "1st"):
        refused = run("compile", str(spec), *PROJECT, "-b", "torch", "-o", str(tmp_path / name))
        assert refused.code == 2 and "SB702" in refused.err
    other, folder = tmp_path / "other", tmp_path / "digits"
    other.mkdir()
    folder.mkdir()
    (folder / "src").symlink_to(other)
    refused = run("compile", str(spec), *PROJECT, "-b", "torch", "-o", str(folder))
    assert refused.code == 2 and "symbolic link" in refused.err
    assert not list_files(other)
