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
# Not the largest: Keras on JAX alone takes minutes for them.
SPECS_BY_NAME = {path.stem: path for path in SPECS if path.stem not in SMALLER}
# Fewer blocks of the same kinds, where a spec has a deep network of the library.
SHALLOWER = {
    "cbam_resnet50": ("variant: resnet50", "depths: [2, 2, 2, 1]"),
    "visual_question_answering": ("variant: resnet18", "block: BasicBlock, depths: [1, 1, 1, 1]"),
}
CHECKS = Path(__file__).with_name("emitted")
ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    # oneDNN writes beyond its memory in the gradient of a 1x1 convolution with stride 2 and few channels, channels
    # last: `tf.nn.conv2d` of TensorFlow 2.21 does it alone, and so does `nn.Conv2d` of PyTorch 2.13.
    "TF_ENABLE_ONEDNN_OPTS": "0",
    # JAX compiles every op for every shape, which takes less time with few of XLA's optimisations. Without any (level 0),
    # the gradient of a deep network is not a number.
    "XLA_FLAGS": "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true",
}


def job(name: str, model: Block, folder: Path) -> dict[str, Any]:
    """One model compiled, with the shapes that its files must take and give."""
    found: dict[str, Any] = {"name": name, "model": model.name, "outputs": list(model.outputs)}
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


def chosen_names(request: pytest.FixtureRequest) -> list[str]:
    """The values of `name` in the tests of this module that were chosen."""
    items = [
        i for i in request.session.items if isinstance(i, pytest.Function) and i.module is request.module
    ]
    params = [item.callspec.params for item in items if hasattr(item, "callspec")]
    return list(dict.fromkeys(p["name"] for p in params if "name" in p))


def shallow_text(name: str) -> str:
    """The text of a spec, with the smaller network of `SHALLOWER`."""
    text = SPECS_BY_NAME[name].read_text()
    deep, shallow = SHALLOWER.get(name, ("", ""))
    assert deep in text
    return text.replace(deep, shallow) if deep else text


class Checks:
    """Scripts that check emitted files: each runs once, on the models of all tests that were chosen."""

    def __init__(self, models: dict[str, Block], folder: Path) -> None:
        self.names, self.jobs = set(models), folder / "jobs.json"
        self.jobs.write_text(json.dumps([job(name, model, folder) for name, model in models.items()]))
        self.found: dict[tuple[str, ...], dict[str, str]] = {}

    def failures_of(self, name: str, script: str, **environment: str) -> dict[str, str]:
        """What a script found in one model, by the name of the check."""
        assert name in self.names
        key = (script, *environment.values())
        if key not in self.found:
            self.found[key] = failures(script, self.jobs, **environment)
        return {check: told for check, told in self.found[key].items() if check.partition(":")[0] == name}


@pytest.fixture(scope="module")
def checks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checks:
    models = {name: build_graph(shallow_text(name)) for name in chosen_names(request)}
    return Checks(models, tmp_path_factory.mktemp("emitted"))


def failures(script: str, jobs: Path, *tools: str, **environment: str) -> dict[str, str]:
    env = {**os.environ, **ENVIRONMENT, **environment}
    done = subprocess.run(
        [sys.executable, CHECKS / script, jobs, *tools], env=env, capture_output=True, text=True
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("FAILURES ")), None)
    assert line is not None, done.stderr[-3000:]
    found: dict[str, str] = json.loads(line.removeprefix("FAILURES "))
    return found


@pytest.mark.parametrize("name", SPECS_BY_NAME)
def test_torch_files(checks: Checks, name: str) -> None:
    assert checks.failures_of(name, "torch_checks.py") == {}


@pytest.mark.parametrize("runtime", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("name", SPECS_BY_NAME)
def test_keras_files(checks: Checks, name: str, runtime: str) -> None:
    assert checks.failures_of(name, "keras_checks.py", KERAS_BACKEND=runtime) == {}


ODD = """
specbuild: 1
model: Odd
inputs: {x: {C: 8, H: 8, W: 8}, y: {C: 8, H: 8, W: 8}, words: {T: 5, C: 6}, seen: {axes: {S: 5}, dtype: bool}}
steps:
  - {Up: , from: x, as: up}
  - {Join: , from: {xs: [x, y]}, as: join}
  - {Read: , from: {x: words}, as: read1}
  - {Read: , from: {x: words, mask: seen}, as: read2}
  - {mean: {over: T}, from: read1, as: first}
  - {Cell: , scan: T, from: {x: words, state: first}, as: scanned}
outputs: [up, join, read2, scanned.seen]
blocks:
  Up:
    inputs: {x: [C, H, W]}
    steps:
      - resize: {scale: 2, mode: nearest}
      - gelu
      - max_pool: {kernel: 3, padding: 1, stride: 2}
  Join:
    inputs: {xs: {each: [C, H, W]}}
    steps:
      - add: [xs.*]
      - conv: {channels: 4, kernel: 3, padding: same}
      - {do: [{Up: }, {conv: {channels: 3, kernel: 1}}, relu], as: refine}
      - {do: [{conv: {channels: 3, kernel: 1}}, relu], repeat: 2, as: rows}
  Read:
    inputs: {x: [T, C], mask: {axes: [S], dtype: bool, optional: true}}
    steps:
      - MultiHeadAttention: {heads: 2, x: x, mask: mask}
      - layer_norm: {over: C}
  Cell:
    inputs: {x: [C], state: [C]}
    steps:
      - concat: [x, state]
      - linear: {features: state.C}
      - {tanh: , as: next}
    outputs: {state: next, seen: next}
"""


def test_keras_loads_every_kind_of_block(tmp_path: Path) -> None:
    """Layers without weights, lists, optional inputs and cells are built before they are called, in their own precision.

    A row of rows too: Keras gives each `Sequential` the global precision.
    """
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps([job("odd", build_graph(ODD), tmp_path)]))
    tools = ("loads_quietly", "keeps_its_precision", "clones", "gives_features")
    assert (
        failures(
            "keras_tools.py", jobs, *tools, KERAS_BACKEND="tensorflow", PYTHONPATH=str(CHECKS.parents[2])
        )
        == {}
    )
