"""Random specs through both backends: some that are always the same, some new ones, and small ones found before.

`python -m tests.system.random_specs --count 1000 --seed 7` runs more of them; benchmarks/random_specs.md has what was seen.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from specbuild.frontend.source import Source
from specbuild.ops import OPS
from tests.system.random_specs.running import Outcome, run
from tests.system.random_specs.structure import spec

FOUND = sorted((Path(__file__).with_name("random_specs") / "found").glob("*.yaml"))
SAME = 140  # specs: one for each op of the table, and more
# SPECBUILD_SEED asks for new ones. Without it, the tests pass or fail by the code alone.
NEW = 80 if os.environ.get("SPECBUILD_SEED") else 8
CONSTRUCTS = NEW  # specs that draw every construct of the language too
SEED = int(os.environ.get("SPECBUILD_SEED") or 2)


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> dict[str, Outcome]:
    """The outcome of every spec; only of the chosen ones if no test of all specs was chosen."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    chosen = {item.callspec.params["path"] for item in items if item.originalname == "test_found_before"}
    specs = [(path.stem, Source(path.read_text(encoding="utf-8")).data) for path in FOUND if path in chosen]
    if any(item.originalname in ("test_both_backends_agree", "test_every_op_is_seen") for item in items):
        specs += [(f"same{n}", spec(1, n).data) for n in range(SAME)]
        specs += [(f"new{n}", spec(SEED, n).data) for n in range(NEW)]
        specs += [(f"made{n}", spec(SEED + 1, n, True).data) for n in range(CONSTRUCTS)]
    return {outcome.name: outcome for outcome in run(specs)}


@pytest.mark.slow
def test_found_on_jax() -> None:
    names = ("reflected_points_on_jax", "tables_before_values", "weight_as_a_first_state")
    paths = [path for path in FOUND if path.stem in names]
    found = run([(p.stem, Source(p.read_text(encoding="utf-8")).data) for p in paths], runtime="jax")
    assert [(o.name, o.kind, o.told) for o in found] == [(name, "passed", "") for name in names]


def told(failed: list[Outcome], seed: int) -> str:
    lines = [f"{o.name} {o.kind}: {o.told}\n{o.text}" for o in failed[:3]]
    again = f"python -m tests.system.random_specs --seed {seed} --first NUMBER --count 1 makes it small"
    return "\n".join([f"{len(failed)} of seed {seed} fail; {again}", *lines])


@pytest.mark.slow
@pytest.mark.parametrize("path", FOUND, ids=lambda p: p.stem)
def test_found_before(path: Path, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[path.stem]
    assert outcome.kind == "passed", outcome.told


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), [("same", 1), ("new", SEED), ("made", SEED + 1)])
def test_both_backends_agree(name: str, seed: int, outcomes: dict[str, Outcome]) -> None:
    found = [o for o in outcomes.values() if o.name.startswith(name) and o.name[-1].isdigit()]
    failed = [o for o in found if o.failed]
    assert not failed, told(failed, seed)
    refused = [o for o in found if o.kind == "refused"]
    assert len(refused) <= max(1, len(found) // 20), [o.told for o in refused]


@pytest.mark.slow
def test_every_op_is_seen(outcomes: dict[str, Outcome]) -> None:
    seen = {op for o in outcomes.values() if o.kind == "passed" for op in o.ops}
    assert set(OPS) - {"unfinished"} <= seen  # that op raises an error when it runs


def test_a_spec_is_the_same_for_its_seed() -> None:
    assert spec(3, 5).text == spec(3, 5).text != spec(4, 5).text
