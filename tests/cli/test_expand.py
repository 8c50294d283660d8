"""`specbuild expand`: many models from one spec."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from specbuild import load
from specbuild.cli import main
from specbuild.sweep.folder_use import use_folder

NET = """\
specbuild: 1
model: Net
params: {width: {type: int, min: 1}, groups: 1, unused: 1}
variants: {small: {groups: 1}, large: {groups: 4}}
inputs: {image: {C: 4, H: 8, W: 8}}
steps:
  - conv: {channels: width, groups: groups}
"""
Expand = Callable[..., tuple[int, list[dict[str, Any]], str]]


@pytest.fixture
def expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Expand:
    (tmp_path / "net.yaml").write_text(NET)
    monkeypatch.chdir(tmp_path)

    def expand(*arguments: str, manifest: str = "manifest.jsonl") -> tuple[int, list[dict[str, Any]], str]:
        code = main(["expand", "net.yaml", "-o", "sweep", *arguments])
        file = Path("sweep") / manifest
        lines = file.read_text().splitlines() if file.exists() else []
        said = capsys.readouterr()
        return code, [json.loads(line) for line in lines], said.out + said.err

    return expand


def test_all_combinations(expand: Expand) -> None:
    code, points, said = expand("--set", "width=8,16", "--variant", "small,large")
    assert code == 0 and said == "sweep/manifest.jsonl: 4 points: 4 written\n"
    assert [(p["variant"], p["set"], p["parameters"]) for p in points] == [
        ("small", {"width": 8}, 296),
        ("small", {"width": 16}, 592),
        ("large", {"width": 8}, 80),
        ("large", {"width": 16}, 160),
    ]
    assert points[0].keys() == {
        "specbuild", "version", "command", "point", "variant", "set", "status", "name", "class", "parameters",
        "multiply_adds", "files", "errors",
    }  # fmt: skip
    for point in points:
        model = load("net.yaml", variant=point["variant"], **point["set"])
        for backend, file in point["files"].items():
            assert (Path("sweep") / file).read_text() == model.source(backend)
    assert expand("--set", "width=8,16", "--variant", "small,large")[2].endswith("4 points: 4 unchanged\n")


def test_equal_code_is_written_once(expand: Expand) -> None:
    code, points, said = expand("--set", "width=8", "--set", "unused=1,2", "-b", "torch")
    assert code == 0 and said.endswith("2 points: 1 written, 1 duplicate\n")
    assert points[0]["files"] == points[1]["files"]
    assert [path.name for path in Path("sweep").glob("*.py")] == [points[0]["files"]["torch"]]


def test_shards_share_a_folder(expand: Expand) -> None:
    found = []
    for shard in ("1/2", "2/2"):
        name = f"manifest-{shard.replace('/', '-of-')}.jsonl"
        code, points, _ = expand("--set", "width=4,8,12", "--shard", shard, "-b", "keras", manifest=name)
        assert code == 0
        found += [(point["point"], point["set"]["width"]) for point in points]
    assert sorted(found) == [(0, 4), (1, 8), (2, 12)]
    assert len(list(Path("sweep").glob("*.py"))) == 3


def test_limits_and_refused_points(expand: Expand) -> None:
    arguments = ("--set", "width=6,8,1000", "--variant", "large", "--max-params", "1k", "-b", "torch")
    code, points, said = expand(*arguments)
    assert [point["status"] for point in points] == ["invalid", "written", "too_large"]
    assert code == 3 and "3 points: 1 invalid, 1 written, 1 too large" in said
    assert points[0]["errors"][0]["code"] in said and "--skip-invalid leaves such points out" in said
    assert points[2]["parameters"] > 1000 and points[2]["files"] == {}
    code, points, said = expand(*arguments, "--skip-invalid")
    assert code == 0 and "error" not in said and points[0]["errors"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "give the values of a parameter"),
        (("--set", "width=1", "--shard", "3/2"), 2, "a shard is written as 1/4"),
        (("--set", "widht=1", "--skip-invalid"), 3, "did you mean 'width'?"),
        (("--set", "width=1", "--variant", "small,huge", "--skip-invalid"), 3, "Net has no variant 'huge'"),
        (("--set", "groups=1"), 3, "Net needs a value for 'width'"),
        (("--set", f"width={','.join(map(str, range(10_001)))}"), 2, "10,001 points"),
    ],
)
def test_refusals(expand: Expand, arguments: tuple[str, ...], code: int, message: str) -> None:
    found, points, said = expand(*arguments)
    assert (found, points) == (code, []) and message in said
    assert not Path("sweep").exists()


def test_a_file_of_another_kind_stays(expand: Expand) -> None:
    Path("sweep").mkdir()
    Path("sweep/manifest.jsonl").write_text("mine\n")
    assert main(["expand", "net.yaml", "-o", "sweep", "--set", "width=4"]) == 2
    assert Path("sweep/manifest.jsonl").read_text() == "mine\n"


def test_files_of_earlier_runs_are_told_and_removed(expand: Expand) -> None:
    """Only emitted files that nobody edited, and that no manifest in the folder lists."""
    _, old, _ = expand("--set", "width=8,16", "-b", "torch")
    expand("--set", "width=4", "--shard", "1/1", "-b", "torch", "--sample", "1")
    assert len(list(Path("sweep").glob("*.py"))) == 3
    edited, plain = (Path("sweep") / point["files"]["torch"] for point in old)
    edited.write_text(edited.read_text() + "x = 1\n")
    (Path("sweep") / "mine.py").write_text("mine = 1\n")
    said = expand("--set", "width=4", "-b", "torch")[2]
    assert f"note: 1 file of earlier runs in no manifest: {plain.name}; --prune removes them" in said
    said = expand("--set", "width=4", "-b", "torch", "--prune")[2]
    assert f"removed 1 file of earlier runs: {plain.name}" in said
    assert not plain.exists() and edited.exists() and (Path("sweep") / "mine.py").exists()
    assert "earlier runs" not in expand("--set", "width=4", "-b", "torch")[2]


@pytest.mark.parametrize(
    "content",
    [
        b"mine\n",
        b"[1]\n",
        b'{"files": [1]}\n',
        b'{"files": 1}\n',
        b"\n",
        b"\xff\n",
        b"[" * 99_999,
        "pipe",
        "folder",
    ],
)
def test_nothing_is_removed_beside_a_manifest_that_cannot_be_read(
    expand: Expand, content: bytes | str
) -> None:
    """It may list any of the files. Without --prune, it is told and no error."""
    _, [old], _ = expand("--set", "width=8", "-b", "torch")
    other = Path("sweep/manifest-of-a-friend.jsonl")
    if isinstance(content, bytes):
        other.write_bytes(content)
    elif content == "pipe":
        os.mkfifo(other)
    else:
        other.mkdir()
    text = f"no file counts as one of an earlier run, since `{other}` is no manifest"
    code, points, said = expand("--set", "width=4", "-b", "torch")
    assert (code, len(points)) == (0, 1) and f"note: {text}\n" in said
    code, _, said = expand("--set", "width=4", "-b", "torch", "--prune")
    assert code == 2 and f"error[SB702]: {text}\n" in said and "move it to another folder" in said
    assert (Path("sweep") / old["files"]["torch"]).exists()


def test_only_regular_files_are_removed(expand: Expand) -> None:
    """Links, pipes and folders with the names of emitted files are not of specbuild."""
    _, [old], _ = expand("--set", "width=8", "-b", "torch")
    emitted = Path("sweep") / old["files"]["torch"]
    emitted.rename("kept.py")
    for number, target in enumerate(("../kept.py", "nowhere", "sweep")):
        os.symlink(target, f"sweep/net_000000000{number}_torch.py")
    os.mkfifo("sweep/net_0000000003_torch.py")
    Path("sweep/net_0000000004_torch.py").mkdir()
    before = sorted(Path("sweep").iterdir())
    assert "earlier run" not in expand("--set", "width=8", "-b", "torch", "--prune")[2]
    assert set(before) < set(Path("sweep").iterdir()) and Path("kept.py").exists()


def test_files_of_a_shard_that_runs_stay(expand: Expand) -> None:
    """Its manifest does not list them yet: while another run uses the folder, nothing is removed."""
    _, [old], _ = expand("--set", "width=4", "-b", "torch")
    emitted = Path("sweep") / old["files"]["torch"]
    with use_folder(Path("sweep")):
        Path("sweep/manifest.jsonl").unlink()
        said = expand("--set", "width=8", "--shard", "1/2", "-b", "torch", "--prune")[2]
        assert "another run may be writing" in said and emitted.exists()
    assert "removed 1 file" in expand("--set", "width=8", "--shard", "1/2", "-b", "torch", "--prune")[2]
    assert not emitted.exists()


def test_files_of_other_shards_stay(expand: Expand) -> None:
    for shard in ("1/2", "2/2"):
        said = expand("--set", "width=4,8", "--shard", shard, "-b", "torch", "--prune")[2]
        assert "earlier runs" not in said
    assert len(list(Path("sweep").glob("*.py"))) == 2
