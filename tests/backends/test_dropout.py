"""What dropout does in training: how much falls, what falls together, and that the mean stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from specbuild.compiler.pipeline import build_graph, compile_source
from tests.backends.test_op_parity import text
from tests.system.test_emitted import chosen_names

pytestmark = pytest.mark.slow  # every test waits for processes of the frameworks

BATCH = 400
MAP = "{x: {C: 6, H: 5, W: 4}}"
FRAMES = "{x: {T: 3, C: 4, H: 5, W: 2}}"
# name: (inputs, steps, rate, axes of the output along which numbers fall together; 0 is the batch)
CASES: dict[str, tuple[str, str, float, tuple[int, ...]]] = {
    "dropout": (MAP, "- dropout: {rate: 0.3}", 0.3, ()),
    "dropout_maps": (MAP, "- dropout: {rate: 0.3, over: [H, W]}", 0.3, (2, 3)),
    "dropout_channels": (MAP, "- dropout: {rate: 0.3, over: C}", 0.3, (1,)),
    "dropout_of_frames": (FRAMES, "- dropout: {rate: 0.3, over: [H, W]}", 0.3, (3, 4)),
    "dropout_of_clips": (FRAMES, "- dropout: {rate: 0.3, over: [T, H, W]}", 0.3, (1, 3, 4)),
    "dropout_nothing": (MAP, "- dropout: {rate: 0}", 0.0, ()),
    "attention_weights": (
        MAP,
        "- slice: {over: H, stop: 1}\n  as: k\n- attention: {query: x, key: k, value: k, over: H, dropout: 0.3}",
        0.3,
        (1,),
    ),
    "drop_path": (MAP, "- drop_path: {rate: 0.3}", 0.3, (1, 2, 3)),
    "drop_path_of_frames": (FRAMES, "- drop_path: {rate: 0.3}", 0.3, (1, 2, 3, 4)),
    "drop_path_nothing": (MAP, "- drop_path: {rate: 0}", 0.0, (1, 2, 3)),
}
BLOCK = """
specbuild: 1
model: Net
params: {rate: 0.0}
inputs: {x: {C: 6, H: 5, W: 4}}
blocks:
  Residual:
    params: {rate: 0.0}
    inputs: [x]
    steps:
      - conv: {channels: x.C}
      - drop_path: {rate: rate}
      - add: [x, prev]
steps:
  - Residual: {rate: rate * i / 2}
    repeat: 3
"""
TORCH = """
import json, sys, numpy as np, torch
for name, job in json.load(open(sys.argv[1])).items():
    scope = {}
    exec(job["torch"], scope)
    net = scope["Net"]().train()
    x = torch.ones(job["batch"], *job["torch_shape"])
    found = {"evaluated": net.eval()(x)}
    net.train()
    for form, call in ("plain", net), ("compiled", torch.compile(net, fullgraph=True, backend="aot_eager")):
        for run in "first", "second":
            torch.manual_seed(0)
            found[f"{form}_{run}"] = call(x)
    np.savez(f"{sys.argv[2]}/{name}_torch.npz", **{k: v.detach().numpy() for k, v in found.items()})
"""
KERAS = """
import json, sys, numpy as np, keras, tensorflow as tf
for name, job in json.load(open(sys.argv[1])).items():
    scope = {}
    exec(job["keras"], scope)
    x = np.ones((job["batch"], *job["keras_shape"]), "float32")
    found = {}
    for form in "plain", "compiled":
        for run in "first", "second":
            keras.utils.set_random_seed(0)
            net = scope["Net"]()
            call = lambda x: net(x, training=True)
            found[f"{form}_{run}"] = (tf.function(call, jit_compile=True) if form == "compiled" else call)(x)
    found["evaluated"] = net(x, training=False)
    np.savez(f"{sys.argv[2]}/{name}_keras.npz", **{k: np.asarray(v) for k, v in found.items()})
"""
SCRIPTS = {"torch": TORCH, "keras": KERAS}


@pytest.fixture(scope="module", params=SCRIPTS)
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The cases of the chosen tests through a framework's file: outside of training, and twice in it with one seed,
    compiled or not."""
    backend, folder = request.param, tmp_path_factory.mktemp("dropout")
    jobs = {}
    for name in chosen_names(request):
        inputs, steps, *_ = CASES[name]
        model = build_graph(text(inputs, steps))
        channel_last = [*model.type.axes]
        channel_last.remove("C")
        sizes = {a: int(n) for a, n in model.type.sizes.items()}
        jobs[name] = {
            "batch": BATCH,
            "torch": compile_source(model, "torch"),
            "torch_shape": list(sizes.values()),
            "keras": compile_source(model, "keras"),
            "keras_shape": [sizes[a] for a in (*channel_last, "C")],
        }
    (folder / "jobs.json").write_text(json.dumps(jobs))
    env = {
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, "-c", SCRIPTS[backend], str(folder / "jobs.json"), str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]

    def result(name: str) -> Any:
        found = dict(np.load(folder / f"{name}_{backend}.npz"))
        if backend == "keras":  # channels from the end to where the spec has them
            place = list(jobs[name]["torch_shape"]).index(jobs[name]["keras_shape"][-1]) + 1
            found = {k: np.moveaxis(v, -1, place) for k, v in found.items()}
        return found

    return result


@pytest.mark.parametrize("form", ["plain", "compiled"])
@pytest.mark.parametrize("name", CASES)
def test_in_training(name: str, form: str, results: Any) -> None:
    rate, together = CASES[name][2:]
    y = results(name)[f"{form}_first"]
    fallen = y == 0
    np.testing.assert_allclose(y, np.where(fallen, 0, 1 / (1 - rate)), rtol=1e-6)
    for axis in together:
        assert (fallen == fallen.take([0], axis)).all(), f"axis {axis} does not fall together"
    apart = fallen[tuple(0 if axis in together else slice(None) for axis in range(y.ndim))]
    assert abs(apart.mean() - rate) <= 5 * (rate * (1 - rate) / apart.size) ** 0.5
    for axis in range(apart.ndim):
        assert rate == 0 or (apart != apart.take([0], axis)).any(), "more falls together than should"


@pytest.mark.parametrize("name", CASES)
def test_outside_of_training(name: str, results: Any) -> None:
    assert (results(name)["evaluated"] == 1).all()


@pytest.mark.parametrize("form", ["plain", "compiled"])
@pytest.mark.parametrize("name", CASES)
def test_a_seed_tells_what_falls(name: str, form: str, results: Any) -> None:
    found = results(name)
    np.testing.assert_array_equal(found[f"{form}_first"], found[f"{form}_second"])


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_rates_that_grow_are_told_by_their_rule(backend: str) -> None:
    written = compile_source(build_graph(BLOCK), backend)
    assert "rate * i / 2" in written
    assert "rate: float = 0.0" in written
