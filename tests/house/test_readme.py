"""The README shows what the compiler does today, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from specbuild import load

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEC = ROOT / "specs" / "gated_classifier.yaml"


def listings(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_spec_is_the_file() -> None:
    assert listings("yaml")[0] == SPEC.read_text(encoding="utf-8")


@pytest.mark.parametrize(("at", "backend"), [(0, "torch"), (1, "keras")])
def test_the_source_is_what_comes_out(at: int, backend: str) -> None:
    assert listings("python")[at] == load(SPEC).source(backend)


def test_ci_runs_the_two_commands_as_they_stand() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "grep '^python3 -m venv' README.md" in script
