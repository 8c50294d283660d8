"""Too many files, too many levels of files or of blocks: refused at the place that is one too many."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.compiler.pipeline import build_graph
from specbuild.diagnostics.errors import SpecError
from specbuild.elaborate.instances import MAX_DEPTH
from specbuild.frontend import resolver
from specbuild.frontend.resolver import MAX_FILES, MAX_IMPORT_DEPTH
from tests.frontend.test_tensor_file import TAPS

HEAD = "specbuild: 1\nmodel: Net\ninputs: {x: {C: 2, H: 3}}\n"
BLOCK = "specbuild: 1\nblocks:\n  Gate: {steps: [sigmoid]}\n"


def refuse(path: Path | str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        build_graph(path)
    return caught.value


def write_imports(folder: Path, count: int) -> Path:
    """Write a spec that imports one block of each of so many files, one step after the other."""
    for i in range(count):
        (folder / f"b{i}.yaml").write_text(BLOCK)
    imports = "".join(f"  Gate{i}: ./b{i}.yaml#Gate\n" for i in range(count))
    steps = "".join(f"  - Gate{i}\n" for i in range(count))
    (folder / "net.yaml").write_text(f"{HEAD}imports:\n{imports}steps:\n{steps}")
    return folder / "net.yaml"


def test_number_of_files(tmp_path: Path) -> None:
    assert build_graph(write_imports(tmp_path, MAX_FILES - 1))  # the spec is one of them
    error = refuse(write_imports(tmp_path, MAX_FILES))
    assert (error.code, error.message) == ("SB505", "more than 100 files, 20 levels or 4 MiB of imports")
    assert error.location is not None and error.location.line == 4 + MAX_FILES


def test_values_of_all_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "MAX_VALUES", 250)
    lists = ", ".join(["1"] * 120)
    for name in ("A", "B"):
        block = f"{name}: {{params: {{a: [{lists}]}}, steps: [relu]}}"
        (tmp_path / f"{name}.yaml").write_text(f"specbuild: 1\nblocks: {{{block}}}\n")
    imports = "imports: {A: A.yaml#A, B: B.yaml#B}\n"
    (tmp_path / "net.yaml").write_text(f"{HEAD}{imports}steps: [A]\n")
    assert build_graph(tmp_path / "net.yaml")
    (tmp_path / "net.yaml").write_text(f"{HEAD}{imports}steps: [A, B]\n")
    error = refuse(tmp_path / "net.yaml")
    message = "the spec and its imports have more than 250 keys and values together"
    assert (error.code, error.message) == ("SB505", message)
    assert error.location is not None and error.location.line == 4


def test_levels_of_files(tmp_path: Path) -> None:
    (tmp_path / "b0.yaml").write_text(BLOCK)
    for i in range(1, MAX_IMPORT_DEPTH + 1):
        inner = "Gate" if i == 1 else f"B{i - 1}"
        content = f"imports: {{Inner: ./b{i - 1}.yaml#{inner}}}\nblocks:\n  B{i}: {{steps: [Inner]}}\n"
        (tmp_path / f"b{i}.yaml").write_text(f"specbuild: 1\n{content}")
    for levels in (MAX_IMPORT_DEPTH - 1, MAX_IMPORT_DEPTH):
        imports = f"imports: {{Outer: ./b{levels}.yaml#B{levels}}}\n"
        (tmp_path / "net.yaml").write_text(f"{HEAD}{imports}steps: [Outer]\n")
        if levels < MAX_IMPORT_DEPTH:
            assert build_graph(tmp_path / "net.yaml")
    error = refuse(tmp_path / "net.yaml")
    assert error.code == "SB505"
    assert error.location is not None and Path(error.location.file).name == "b1.yaml"


def test_number_of_files_of_tensors(tmp_path: Path) -> None:
    for i in range(MAX_FILES + 1):
        (tmp_path / f"t{i}.safetensors").write_bytes(TAPS)
    for count in (MAX_FILES, MAX_FILES + 1):
        tables = [f"- const: {{axes: {{C: 2, H: 3}}, file: t{i}.safetensors}}" for i in range(count)]
        steps = "".join(f"  {table}\n    as: t{i}\n" for i, table in enumerate(tables))
        sums = "".join(f"  - add: [{'prev' if i else 'x'}, t{i}]\n" for i in range(count))
        (tmp_path / "net.yaml").write_text(f"{HEAD}steps:\n{steps}{sums}")
        if count == MAX_FILES:
            assert build_graph(tmp_path / "net.yaml")
    error = refuse(tmp_path / "net.yaml")
    assert (error.code, error.message) == ("SB505", "the model reads more than 100 files of tensors")
    assert error.location is not None and error.location.line == 5 + 2 * MAX_FILES


def test_levels_of_blocks() -> None:
    def nested(levels: int) -> str:
        blocks = "".join(f"  B{i}: {{steps: [B{i + 1}]}}\n" for i in range(levels - 1))
        return f"{HEAD}blocks:\n{blocks}  B{levels - 1}: {{steps: [relu]}}\nsteps: [B0]\n"

    assert build_graph(nested(MAX_DEPTH))
    error = refuse(nested(MAX_DEPTH + 1))
    assert (error.code, error.message) == ("SB503", "blocks are nested more than 64 levels deep")
