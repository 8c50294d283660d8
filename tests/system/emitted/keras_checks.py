"""Run as a program under one KERAS_BACKEND: every check of an emitted Keras file on every job."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

# Their 1x1 convolution with stride 2 and few channels: oneDNN writes beyond its memory in the gradient, see
# `ENVIRONMENT` in test_emitted.py. Without oneDNN, PyTorch cannot train every other model of Keras.
WITHOUT_ONEDNN = {"gated_classifier"}


def select_kernels(name: str) -> AbstractContextManager[Any]:
    """Switch oneDNN off where PyTorch would crash."""
    if keras.backend.backend() == "torch" and name in WITHOUT_ONEDNN:
        import torch

        return torch.backends.mkldnn.flags(enabled=False)
    return nullcontext()


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


class Subject:
    """An emitted model, built once for all checks: on JAX, building and the first call of each batch size take seconds."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.job, self.model = job, made(job)
        self.results: dict[int, tuple[Any, Any]] = {}

    def run(self, batch: int) -> tuple[Any, Any]:
        """Inputs of a batch size, and what the model gives for them."""
        if batch not in self.results:
            x = inputs(self.job, batch)
            self.results[batch] = x, self.model(x, training=False)
        return self.results[batch]


def counts_and_summary(subject: Subject) -> None:
    lines: list[str] = []
    subject.model.summary(print_fn=lambda line, **_: lines.append(line))
    assert lines
    found = sum(int(np.prod(w.shape)) for w in subject.model.trainable_weights)
    wanted = subject.job["keras_parameters"]
    assert found == wanted, f"{found} for {wanted}"


def other_batch_sizes(subject: Subject) -> None:
    """One sample and three; three on JAX, which compiles every op for each size: the code is that of the other runtimes."""
    for batch in (3,) if keras.backend.backend() == "jax" else (1, 3):
        ys = arrays(subject.run(batch)[1], subject.job["outputs"])
        for y, shape in zip(ys, subject.job["keras_outputs"], strict=True):
            assert list(y.shape) == [batch, *shape], f"{list(y.shape)} for {[batch, *shape]}"


def saves_and_reloads(subject: Subject) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(unbuilt|build\\(\\)).*")
        path = Path(folder) / "model.keras"
        subject.model.save(path)
        again = keras.models.load_model(path)
    x, ys = subject.run(3)
    for a, b in zip(arrays(ys), arrays(again(x, training=False)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def fits(subject: Subject) -> None:
    """Two training steps on batches of three; compiled by XLA on JAX."""
    _, ys = subject.run(3)
    named = ys if isinstance(ys, dict) else None
    targets = (
        {k: np.zeros((6, *v.shape[1:]), "float32") for k, v in named.items()}
        if named
        else np.zeros((6, *arrays(ys)[0].shape[1:]), "float32")
    )
    subject.model.compile(
        optimizer=keras.optimizers.SGD(1e-4),
        loss=dict.fromkeys(named, "mse") if named else "mse",
        jit_compile=keras.backend.backend() == "jax",
    )
    history = subject.model.fit(inputs(subject.job, 6), targets, batch_size=3, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][-1])


CHECKS: tuple[Callable[[Subject], None], ...] = (
    counts_and_summary,
    other_batch_sizes,
    saves_and_reloads,
    fits,
)


def main() -> None:
    failures = {}
    gc.freeze()  # so that `clear_session` need not look at what Keras has created on import
    for job in json.loads(Path(sys.argv[1]).read_text()):
        keras.backend.clear_session()
        try:
            subject = Subject(job)
        except Exception as error:
            failures[f"{job['name']}: construction"] = f"{type(error).__name__}: {error}"[:600]
            continue
        for check in CHECKS:
            try:
                with select_kernels(job["name"]):
                    check(subject)
            except Exception as error:  # every failure of every job is reported
                failures[f"{job['name']}: {check.__name__}"] = f"{type(error).__name__}: {error}"[:600]
    print("FAILURES " + json.dumps(failures))


if __name__ == "__main__":
    main()
