"""Where `jsonschema_rs` has no wheel, `jsonschema` finds the same errors, with the same texts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from specbuild import SpecError
from specbuild.diagnostics.errors import SpecErrors
from specbuild.frontend.schema import checker
from specbuild.frontend.schema.validate import validate_source
from specbuild.frontend.source import Source

ROOT = Path(__file__).parents[2]
REFUSED = sorted((ROOT / "tests" / "errors" / "specs").glob("*.yaml"))
VALID = sorted((ROOT / "tests" / "specs").glob("*.yaml"))[:12] + sorted((ROOT / "specs").glob("*.yaml"))[:4]
MUTANTS = 4  # of each valid file
WRONG: list[Any] = [None, 64.0, "text", [], {}, ["a", 1], {"zq": 1}, -1, True, "3x"]


def found_errors(source: Source) -> list[tuple[Any, ...]]:
    try:
        validate_source(source)
    except SpecErrors as error:
        return [(e.code, e.message, e.location, e.hint) for e in error.errors]
    except SpecError as error:
        return [(error.code, error.message, error.location, error.hint)]
    return []


def both_ways(source: Source, monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[Any, ...]]]:
    fast = found_errors(source)
    with monkeypatch.context() as patch:
        patch.setattr(checker, "Draft7Validator", None)
        return [fast, found_errors(source)]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every mapping and list in a value, each with one of its keys."""
    pairs = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [(value, key) for key, _ in pairs] + [place for _, inner in pairs for place in places(inner)]


@pytest.mark.parametrize("path", REFUSED, ids=lambda p: p.stem)
def test_refused_files(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        source = Source.read(path)
    except SpecError:
        return  # it is no YAML, which no schema is asked about
    fast, slow = both_ways(source, monkeypatch)
    assert slow == fast


@pytest.mark.parametrize("path", VALID, ids=lambda p: p.stem)
def test_mutants(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    luck = random.Random(path.stem)
    counts = []
    for _ in range(MUTANTS):
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        for holder, key in luck.sample(places(data), 2):
            if isinstance(holder, dict) and luck.random() < 0.3:
                holder["zq_unknown"] = luck.choice(WRONG)
            elif key in holder if isinstance(holder, dict) else key < len(holder):
                holder[key] = luck.choice(WRONG)
        fast, slow = both_ways(Source(yaml.safe_dump(data, sort_keys=False)), monkeypatch)
        assert slow == fast
        counts.append(len(fast))
    assert any(counts)
