"""A process that is killed while it writes leaves at most one temporary file, which the next one removes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from specbuild.compiler.output_files import replace_file, replacement_file, write_output

ROOT = Path(__file__).parents[2]
pytest.importorskip("fcntl")

WRITER = """
import sys
from pathlib import Path
from specbuild.compiler.output_files import replace_file, replace_files
print("ready", flush=True)
target = Path(sys.argv[1])
while True:
    for letter in "ab":
        if sys.argv[2] == "one":
            replace_file(target, letter * 3_000_000)
        else:
            replace_files({target: letter * 3_000_000, target.with_name("more.py"): letter * 3_000_000})
"""


def list_temporary(folder: Path) -> list[Path]:
    return list(folder.glob(".specbuild-*"))


@pytest.mark.parametrize("count", ["one", "two"])
def test_kills(count: str, tmp_path: Path) -> None:
    """Killed at random times: files are whole, and there is never more than one temporary file or folder."""
    target, pause = tmp_path / "net.py", random.Random(0)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    left = 0
    for _ in range(8):
        command = [sys.executable, "-c", WRITER, str(target), count]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(pause.uniform(0.02, 0.1))
            process.kill()
        left += len(list_temporary(tmp_path))
        assert len(list_temporary(tmp_path)) <= 1
        for path in tmp_path.glob("*.py"):
            assert path.read_bytes() in (b"a" * 3_000_000, b"b" * 3_000_000)
    assert left, "no kill came while a file was being written"
    replace_file(target, "done")
    assert {path.name for path in tmp_path.iterdir()} <= {"net.py", "more.py"}


def test_live_process_keeps_its_file(tmp_path: Path) -> None:
    with replacement_file(tmp_path / "a.py") as temporary:
        temporary.write_text("a")
        replace_file(tmp_path / "b.py", "b")
        assert list_temporary(tmp_path) == [temporary]
    assert (tmp_path / "a.py").read_text() == "a"
    assert list_temporary(tmp_path) == []


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    """A link with such a name is not followed, and other files stay."""
    (tmp_path / "notes").write_text("kept")
    (tmp_path / ".specbuild-link.tmp").symlink_to("notes")
    (tmp_path / ".specbuild-notes").write_text("kept")
    inner = tmp_path / ".specbuild-folder.tmp" / "inner"
    inner.mkdir(parents=True)
    (inner / "notes").write_text("kept")
    replace_file(tmp_path / "net.py", "x")
    assert (inner / "notes").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".specbuild-folder.tmp",
        ".specbuild-link.tmp",
        ".specbuild-notes",
        "net.py",
        "notes",
    ]


def test_exception_removes_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError), replacement_file(tmp_path / "a.py"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_changes_nothing_removes_what_was_left(tmp_path: Path) -> None:
    """A process that was killed after the file was moved, or beside a file that is the same again."""
    assert write_output(tmp_path / "net.py", "text")
    (tmp_path / ".specbuild-dead.tmp").touch()
    assert not write_output(tmp_path / "net.py", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["net.py"]
