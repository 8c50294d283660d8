"""Fixtures that several tests share."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import yaml
from hypothesis.internal.conjecture import providers

from specbuild.frontend import yaml_parser
from tests.parity_runner import ParityOf, ParityRunner

# Many tests start processes. These share their compiled files, which saves each of them half a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# One thread for each process: threads that wait for cores which other processes use make a model six times as slow.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")

# The same random examples in every run, so that tests pass or fail by the code alone; SPECBUILD_SEED asks for new ones.
# Neither chance nor the clock decides: a test that is slow on a busy machine has not failed.
hypothesis.settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
if not os.environ.get("SPECBUILD_SEED"):
    hypothesis.settings.load_profile("same")
    # Hypothesis also draws constants of the modules that are imported: these depend on the tests that ran before.
    if hasattr(providers, "_get_local_constants"):
        providers._get_local_constants = providers.Constants


# Folders and files whose tests take seconds each: not in the quick half, `pytest -m "not slow"`.
SLOW = (
    "compiler/test_argument_limits.py",
    "diagram",
    "diff/test_moved_model.py",
    "extension",
    "house/test_docs.py",
    "importing",
    "ir/test_flops.py",
    "oracles",
    "parity",
    "summary/test_taps.py",
    "system",
    "transform/test_deploy_command.py",
    "weights/test_weights_command.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of slow folders and files."""
    slow_paths = [Path(__file__).parent / path for path in SLOW]
    for item in items:
        if any(item.path.is_relative_to(path) for path in slow_paths):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """Keep what the imports of the tests have made out of every later search for garbage, which takes seconds with it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """Every test draws the same random numbers, whichever tests ran before it in the process."""
    random.seed(0)  # Keras draws its seeds from here
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.random.set_seed(0)


@pytest.fixture(params=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with each parser of PyYAML; without libyaml, only with the one in Python."""
    if request.param == "python":
        monkeypatch.setattr(yaml_parser, "PARSERS", (yaml.SafeLoader,))
    elif not yaml.__with_libyaml__:
        pytest.skip("PyYAML has no libyaml here")


@pytest.fixture(scope="session")
def parity_runner() -> Iterator[ParityRunner]:
    """Processes of PyTorch and Keras that stay alive until the last test."""
    runner = ParityRunner()
    yield runner
    runner.close()


@pytest.fixture
def parity_of(request: pytest.FixtureRequest, parity_runner: ParityRunner) -> ParityOf:
    """Compare both emitted files of a case: `parity_of(make_case)` returns its report."""
    return ParityOf(parity_runner, request.node)
