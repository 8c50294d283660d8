"""Emitted files on a device other than the CPU, without one: PyTorch's meta device, and Keras on PyTorch with tensors
that NumPy cannot read, as it cannot those of a GPU."""

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
from specbuild.expressions import concrete
from specbuild.ir.graph import Block
from tests.backends.test_op_parity import CASES, text
from tests.system.smaller import SMALLER

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))
MODELS: dict[str, Any] = {name: text(*case) for name, case in CASES.items()}
MODELS |= {path.stem: path for path in SPECS if path.stem not in SMALLER}


def job(model: Block, backend: str) -> dict[str, Any]:
    natural = load_backend(backend).natural_order
    inputs = [
        ([2] * x.batched + [concrete(x[a]) for a in natural(x)], x.dtype) for x in model.inputs.values()
    ]
    return {"model": model.name, "source": compile_source(model, backend), "inputs": inputs}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_files_stay_on_their_device(backend: str, tmp_path: Path) -> None:
    jobs = {name: job(build_graph(source), backend) for name, source in MODELS.items()}
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    script = Path(__file__).parents[1] / "system" / "emitted" / "off_the_cpu.py"
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "KERAS_BACKEND": "torch"}
    command = [sys.executable, script, backend, tmp_path / "jobs.json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    line = next((line for line in done.stdout.splitlines() if line.startswith("FAILURES ")), None)
    assert line is not None, done.stderr[-3000:]
    assert json.loads(line.removeprefix("FAILURES ")) == {}
