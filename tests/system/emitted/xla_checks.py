"""Run as a program under one KERAS_BACKEND: what XLA compiles of an emitted Keras file computes the same."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tests.system.emitted.keras_checks import arrays, inputs, made


def compiled_by_xla(job: dict[str, Any]) -> None:
    """Inference as it is without XLA, and a training step."""
    model = made(job)
    x = inputs(job)
    plain = arrays(model(x, training=False))
    model.compile(optimizer=keras.optimizers.SGD(1e-4), loss="mse", jit_compile=True)
    for a, b in zip(plain, arrays(model.predict(x, verbose=0)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    if model.trainable_weights:
        assert np.isfinite(model.train_on_batch(x, np.zeros_like(plain[0])))


def main() -> None:
    failures = {}
    gc.freeze()  # so that `clear_session` need not look at what Keras has created on import
    for job in json.loads(Path(sys.argv[1]).read_text()):
        keras.backend.clear_session()
        try:
            compiled_by_xla(job)
        except Exception as error:  # every failure of every job is reported
            failures[job["name"]] = f"{type(error).__name__}: {error}"[:600]
    print("FAILURES " + json.dumps(failures))


if __name__ == "__main__":
    main()
