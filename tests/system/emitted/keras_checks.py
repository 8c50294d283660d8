"""Run as a program under one KERAS_BACKEND: every check of an emitted Keras file on every job."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np


def made(job: dict[str, Any]) -> Any:
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(Path(job["keras"]).read_text(), job["keras"], "exec"), scope)
    keras.utils.set_random_seed(0)
    return scope[job["model"]]()


def inputs(job: dict[str, Any], batch: int = 2) -> Any:
    random = np.random.default_rng(1)
    found = []
    for shape, dtype in job["keras_inputs"]:
        if dtype == "int32":
            found.append(random.integers(0, 5, (batch, *shape)).astype("int32"))
        elif dtype == "bool":
            found.append(random.random((batch, *shape)) < 0.8)
        else:
            found.append(random.normal(size=(batch, *shape)).astype("float32"))
    return found if len(found) > 1 else found[0]


def arrays(result: Any, names: list[str] | None = None) -> list[Any]:
    listed = (
        [result[n] for n in names or sorted(result)]
        if isinstance(result, dict)
        else list(result)
        if isinstance(result, list | tuple)
        else [result]
    )
    return [keras.ops.convert_to_numpy(y) for y in listed]


def counts_and_summary(job: dict[str, Any]) -> None:
    model = made(job)
    lines: list[str] = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    assert lines
    found = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert found == job["keras_parameters"], f"{found} for {job['keras_parameters']}"


def other_batch_sizes(job: dict[str, Any]) -> None:
    model = made(job)
    for batch in (1, 3):
        for y, shape in zip(
            arrays(model(inputs(job, batch), training=False), job["outputs"]),
            job["keras_outputs"],
            strict=True,
        ):
            assert list(y.shape) == [batch, *shape], f"{list(y.shape)} for {[batch, *shape]}"


def saves_and_reloads(job: dict[str, Any]) -> None:
    model = made(job)
    x = inputs(job)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        again = keras.models.load_model(path)
    for a, b in zip(arrays(model(x, training=False)), arrays(again(x, training=False)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def fits(job: dict[str, Any]) -> None:
    """Two training steps; compiled by XLA on JAX."""
    model = made(job)
    jit = keras.backend.backend() == "jax"
    x = inputs(job, 4)
    ys = model(x, training=False)
    named = ys if isinstance(ys, dict) else None
    targets = (
        {k: np.zeros(v.shape, "float32") for k, v in named.items()}
        if named
        else np.zeros(arrays(ys)[0].shape, "float32")
    )
    model.compile(
        optimizer=keras.optimizers.SGD(1e-4),
        loss=dict.fromkeys(named, "mse") if named else "mse",
        jit_compile=jit,
    )
    history = model.fit(x, targets, batch_size=2, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][-1])


CHECKS: tuple[Callable[[dict[str, Any]], None], ...] = (
    counts_and_summary,
    other_batch_sizes,
    saves_and_reloads,
    fits,
)


def main() -> None:
    failures = {}
    for job in json.loads(Path(sys.argv[1]).read_text()):
        for check in CHECKS:
            keras.backend.clear_session()
            try:
                check(job)
            except Exception as error:  # every failure of every job is reported
                failures[f"{job['name']}: {check.__name__}"] = f"{type(error).__name__}: {error}"[:600]
    print("FAILURES " + json.dumps(failures))


if __name__ == "__main__":
    main()
