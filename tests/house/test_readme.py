"""The README shows what the compiler does today, to the letter."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from specbuild import load
from specbuild.cli import COMMANDS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEC = ROOT / "examples" / "rgbd_net.yaml"


def listings(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_spec_is_the_file() -> None:
    _, rest = SPEC.read_text(encoding="utf-8").split("\n", 1)
    assert listings("yaml")[0] == rest


def test_the_editor_line_names_the_file_that_the_command_writes() -> None:
    written = re.search(r"`specbuild schema > (\S+)`", README)
    assert written is not None
    assert listings("yaml")[1].strip() == f"# yaml-language-server: $schema={written[1]}"


def test_the_class_is_what_comes_out() -> None:
    source = load(SPEC).source("torch")
    assert listings("python")[0] == source[source.index("class RGBDNet") :]


def test_the_edits_are_right(tmp_path: Path) -> None:
    head = "specbuild: 1\nmodel: Net\nimports: {ResNet: library:backbones/resnet.yaml}\n"
    spec = tmp_path / "net.yaml"
    spec.write_text(head + "inputs: {image: {C: 3, H: 64, W: 64}}\n" + listings("yaml")[2])
    assert load(spec).source("torch").count("self.attention = CBAM(") == 1


def test_it_is_short() -> None:
    assert len(README.split()) <= 1200
    assert [line for line in README.splitlines() if len(line) > 110] == []


def test_its_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


PAGES = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "ARCHITECTURE.md",
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("examples/*.md"),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_to_files_of_the_repository(page: Path) -> None:
    """A reader of the repository has no pages that only the built site has."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        assert ":" in target or (page.parent / target).exists(), target


def test_its_commands_exist() -> None:
    shell = "".join(listings("sh"))
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", README, flags=re.DOTALL))
    commands = set(re.findall(r"\bspecbuild ([a-z]+)\b", "\n".join([shell, *inline])))
    assert {"init", "check", "show", "draw", "compile", "parity", "import", "weights", "diff"} <= commands
    assert commands <= set(COMMANDS)


def test_ci_runs_the_two_commands_as_they_stand() -> None:
    joined = re.sub(r" *\\\n *", " ", README)
    commands = [line for line in joined.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    script = ROOT / ".ci" / "run"
    reader = next(line for line in script.read_text("utf-8").splitlines() if line.startswith("mapfile"))
    read = subprocess.run(
        ["bash", "-c", f"{reader}; printf '%s\\n' \"${{commands[@]}}\""],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert read.stdout.splitlines() == commands


def test_the_diffs_for_contributors_apply() -> None:
    """What a diff in CONTRIBUTING.md leaves or takes away stands in the file that it changes."""
    stray: list[str] = []
    for diff in re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL):
        lines: list[str] = []
        for line in diff.splitlines():
            if line.startswith("--- a/"):
                lines = (ROOT / line.removeprefix("--- a/")).read_text().splitlines()
            elif line[:1] in ("-", " ") and not line.startswith("--- ") and line[1:] not in lines:
                stray.append(line)
    assert stray == []
