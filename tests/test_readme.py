"""The README shows what the compiler does today, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from specbuild import load

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SPEC = ROOT / "specs" / "gated_classifier.yaml"


def listings(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_spec_is_the_file() -> None:
    assert listings("yaml")[0] == SPEC.read_text(encoding="utf-8")


@pytest.mark.parametrize(("at", "backend"), [(0, "torch"), (1, "keras")])
def test_the_source_is_what_comes_out(at: int, backend: str) -> None:
    assert listings("python")[at] == load(SPEC).source(backend)


def test_the_test_command_is_what_ci_runs() -> None:
    [line] = [line for line in README.splitlines() if line.endswith("-m pytest")]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for part in ('".[test]"', "--no-deps", "torchvision timm", "-m pytest"):
        assert part in line and part in script
