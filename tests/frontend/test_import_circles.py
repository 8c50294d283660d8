"""Files that import each other are refused at once, whichever file one begins with."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.diagnostics.errors import SpecError
from tests.cpu_time import measure_cpu_time

MODEL = "specbuild: 1\nmodel: {name}\nimports: {{Other: {target}}}\ninputs: {{x: {{C: 4}}}}\nsteps:\n  - Other{more}\n"
BLOCKS = "specbuild: 1\nimports: {{Other: {target}}}\nblocks:\n  Gate: {{steps: [sigmoid]}}\n"


def write_model(folder: Path, name: str, target: str, more: str = "") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(MODEL.format(name=name.capitalize(), target=target, more=more))
    return path


def refuse(path: Path) -> SpecError:
    with measure_cpu_time() as taken, pytest.raises(SpecError) as caught:
        build_graph(path)
    assert caught.value.code == "SB205"
    assert taken.seconds < 1
    return caught.value


@pytest.mark.parametrize("more", ["", "\n  - relu"])  # an alias, and a model with a step of its own
def test_two_models(tmp_path: Path, more: str) -> None:
    a, b = write_model(tmp_path, "a", "./b.yaml", more), write_model(tmp_path, "b", "./a.yaml", more)
    assert "a.yaml > b.yaml > a.yaml" in refuse(a).message
    assert "b.yaml > a.yaml > b.yaml" in refuse(b).message


def test_one_file(tmp_path: Path) -> None:
    assert "a.yaml > a.yaml" in refuse(write_model(tmp_path, "a", "./a.yaml")).message


def test_long_circle(tmp_path: Path) -> None:
    entry = write_model(tmp_path, "a", "./b.yaml#Gate")
    (tmp_path / "b.yaml").write_text(BLOCKS.format(target="./c.yaml#Gate"))
    (tmp_path / "c.yaml").write_text(BLOCKS.format(target="./b.yaml#Gate"))
    assert "b.yaml > c.yaml > b.yaml" in refuse(entry).message
    (tmp_path / "c.yaml").write_text(BLOCKS.format(target="./a.yaml"))
    assert "a.yaml > b.yaml > c.yaml > a.yaml" in refuse(entry).message


def test_link(tmp_path: Path) -> None:
    """A symbolic or hard link is the file itself; so is a name in other letters where case does not matter."""
    entry = write_model(tmp_path, "a", "./b.yaml#Gate")
    (tmp_path / "link.yaml").symlink_to(entry)
    (tmp_path / "hard.yaml").hardlink_to(entry)
    for name in ("link", "hard"):
        (tmp_path / "b.yaml").write_text(BLOCKS.format(target=f"./{name}.yaml"))
        assert "a.yaml > b.yaml > a.yaml" in refuse(entry).message


def test_no_circle(tmp_path: Path) -> None:
    """Two files may import the same third one."""
    entry = write_model(tmp_path, "a", "./b.yaml#Gate", "\n  - Gate")
    entry.write_text(entry.read_text().replace("imports: {", "imports: {Gate: ./d.yaml#Gate, "))
    (tmp_path / "b.yaml").write_text(BLOCKS.format(target="./d.yaml#Gate"))
    (tmp_path / "d.yaml").write_text("specbuild: 1\nblocks: {Gate: {steps: [relu]}}\n")
    assert build_graph(entry).name == "A"


def test_a_block_uses_another_of_its_name(tmp_path: Path) -> None:
    """Two blocks of one name in different files are two blocks; the emitted file has both."""
    entry = write_model(tmp_path, "a", "./b.yaml#Gate")
    blocks = "blocks: {Gate: {steps: [{Other: {}}, relu]}}\n"
    entry.write_text(entry.read_text().replace("steps:\n  - Other", f"{blocks}steps:\n  - Gate"))
    (tmp_path / "b.yaml").write_text("specbuild: 1\nblocks: {Gate: {steps: [linear: {features: 3}]}}\n")
    source = compile_source(build_graph(entry), "torch")
    assert "class Gate(nn.Module)" in source and "class Gate2(nn.Module)" in source
