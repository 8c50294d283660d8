"""Emitted files in use: what design asks of them, on every spec, in both frameworks and on every Keras runtime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from specbuild.backends import load_backend
from specbuild.compiler.pipeline import build_graph, compile_source
from specbuild.compiler.weight_locations import count_parameters
from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from tests.system.smaller import SMALLER

pytestmark = pytest.mark.slow  # every test waits for processes of the frameworks

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))
CHECKS = Path(__file__).with_name("emitted")


def job(name: str, model: Block, folder: Path) -> dict[str, Any]:
    """One model compiled, with the shapes that its files must take and give."""
    found: dict[str, Any] = {"name": name, "model": model.kind, "outputs": list(model.outputs)}
    for framework in ("torch", "keras"):
        backend = load_backend(framework)
        file = folder / f"{name}_{framework}.py"
        file.write_text(compile_source(model, framework))
        found[framework] = str(file)
        found[f"{framework}_parameters"] = count_parameters(model, framework)
        found[f"{framework}_inputs"] = [
            ([concrete(x[a]) for a in backend.natural_order(x)], x.dtype) for x in model.inputs.values()
        ]
        found[f"{framework}_outputs"] = [
            [concrete(o.type[a]) for a in backend.natural_order(o.type)] for o in model.outputs.values()
        ]
    return found


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every spec compiled, but for the largest: Keras on JAX alone takes minutes for them."""
    folder = tmp_path_factory.mktemp("emitted")
    found = [job(path.stem, build_graph(path), folder) for path in SPECS if path.stem not in SMALLER]
    (folder / "jobs.json").write_text(json.dumps(found))
    return folder / "jobs.json"


def failures(script: str, jobs: Path, **environment: str) -> dict[str, str]:
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment}
    done = subprocess.run([sys.executable, CHECKS / script, jobs], env=env, capture_output=True, text=True)
    line = next((line for line in done.stdout.splitlines() if line.startswith("FAILURES ")), None)
    assert line is not None, done.stderr[-3000:]
    found: dict[str, str] = json.loads(line.removeprefix("FAILURES "))
    return found


def test_torch_files(jobs: Path) -> None:
    assert failures("torch_checks.py", jobs) == {}


@pytest.mark.parametrize("runtime", ["tensorflow", "jax", "torch"])
def test_keras_files(jobs: Path, runtime: str) -> None:
    assert failures("keras_checks.py", jobs, KERAS_BACKEND=runtime) == {}


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_the_formatter_leaves_files_alone(path: Path, backend: str, tmp_path: Path) -> None:
    file = tmp_path / f"{path.stem}_{backend}.py"
    file.write_text(compile_source(build_graph(path), backend))
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(file)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
