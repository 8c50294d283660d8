"""Which folder imports must stay in, and how little of another file a message shows."""

from __future__ import annotations

from pathlib import Path

import pytest

import specbuild
from specbuild.compiler.pipeline import open_spec
from specbuild.diagnostics.errors import SpecError, SpecErrors

SPEC = "specbuild: 1\nmodel: Net\nimports: {B: ../blocks.yaml#B}\ninputs: {x: {C: 3}}\nsteps: [B]\n"
BLOCKS = "specbuild: 1\nblocks: {B: {inputs: {x: [C]}, steps: [relu]}}\n"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec that imports a file from the folder above its own."""
    file = tmp_path / "project" / "specs" / "net.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(SPEC)
    (file.parent.parent / "blocks.yaml").write_text(BLOCKS)
    monkeypatch.chdir("/")  # the current folder makes no difference
    return file


@pytest.mark.parametrize("mark", ["pyproject.toml", ".git"])
def test_imports_stay_in_the_project(mark: str, spec: Path) -> None:
    (spec.parent.parent / mark).touch()
    assert specbuild.load(spec).name == "Net"


def test_without_a_project_imports_stay_in_the_folder_of_the_spec(spec: Path) -> None:
    with pytest.raises(SpecError, match="is outside the project folder") as caught:
        specbuild.load(spec)
    assert caught.value.code == "SB207"
    files = open_spec(spec, root=spec.parent.parent)[1]
    assert files.root == spec.parent.parent


def test_a_message_shows_little_of_a_file_that_is_no_spec(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("".join(f"line {i} of a secret\n" for i in range(100)))
    (tmp_path / "net.yaml").write_text(SPEC.replace("../blocks.yaml", "./secret.txt"))
    with pytest.raises(SpecErrors) as caught:
        specbuild.load(tmp_path / "net.yaml")
    [error] = caught.value.errors
    assert error.message.startswith("a spec must be a mapping, not 'line 0 of a secret line 1 of")
    assert error.message.endswith("…'")
    assert len(error.message) < 250
