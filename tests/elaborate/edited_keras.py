"""Run as a program: edited Keras models beside the original, whose weights they take; what is new, what stays."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

from specbuild import load

RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.normal(size=(2, 64, 64, 3)).astype("float32")


def identity(original: str, edited: str) -> dict[str, Any]:
    """The weights that only one of the models has, and whether with those of both they do the same."""
    before, after = (load(Path(file)).build("keras") for file in (original, edited))
    values = {v.path: RANDOM.uniform(0.5, 1, v.shape) / max(1, *v.shape[:1]) for v in before.variables}
    for model in (before, after):
        for v in model.variables:
            if v.path in values:
                v.assign(values[v.path])
    a, b = (keras.ops.convert_to_numpy(model(IMAGES, training=False)) for model in (before, after))
    paths = {v.path for v in after.variables}
    same = bool((a == b).all()) and float(np.std(a)) > 0
    return {"new": sorted(paths - set(values)), "lost": sorted(set(values) - paths), "same": same}


def frozen(file: str) -> dict[str, Any]:
    """The weights that are trained, and the statistics that move; the same from a file that was saved."""
    model = load(Path(file)).build("keras")
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        again = keras.models.load_model(Path(folder) / "model.keras")
    begun = {v.path: v.numpy() for v in model.non_trainable_variables}
    model(IMAGES, training=True)
    moved = [v.path for v in model.non_trainable_variables if (v.numpy() != begun[v.path]).any()]
    return {
        "trained": sorted(v.path for v in model.trainable_variables),
        "moved": sorted(moved),
        "after loading": len(again.trainable_variables),
    }


if __name__ == "__main__":
    original, edited, *others = sys.argv[1:]
    print(json.dumps({"identity": identity(original, edited), "frozen": [frozen(file) for file in others]}))
