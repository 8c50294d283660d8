"""Random specs through both backends; and small ones that once came out wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from specbuild.source import Source
from tests.random_specs.running import Outcome, run

FOUND = sorted((Path(__file__).parent / "random_specs" / "found").glob("*.yaml"))


@pytest.fixture(scope="module")
def found() -> dict[str, Outcome]:
    specs = [(path.stem, Source(path.read_text(encoding="utf-8")).data) for path in FOUND]
    return {outcome.name: outcome for outcome in run(specs)}


@pytest.mark.parametrize("path", FOUND, ids=lambda p: p.stem)
def test_found_before(path: Path, found: dict[str, Outcome]) -> None:
    outcome = found[path.stem]
    assert outcome.kind == "passed", outcome.told
