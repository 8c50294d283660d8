"""Run as a program: an edited Keras model beside the original, whose weights it takes; what is new, what changes."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

from specbuild import load


def main(original: str, edited: str) -> None:
    before = load(Path(original)).build("keras")
    after = load(Path(edited)).build("keras")
    random = np.random.default_rng(0)
    values = {
        v.path: random.uniform(0.5, 1.0, v.shape) / max(1, v.shape[0] if v.shape else 1)
        for v in before.variables
    }
    for v in before.variables:
        v.assign(values[v.path])
    for v in after.variables:
        if v.path in values:
            v.assign(values[v.path])
    x = random.normal(size=(2, 64, 64, 3)).astype("float32")
    a, b = (keras.ops.convert_to_numpy(model(x, training=False)) for model in (before, after))
    paths = {v.path for v in after.variables}
    print(
        json.dumps(
            {
                "new": sorted(paths - set(values)),
                "lost": sorted(set(values) - paths),
                "same": bool((a == b).all()),
                "spread": float(np.std(a)),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
