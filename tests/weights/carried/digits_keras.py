"""Run as a program under one KERAS_BACKEND, in a folder that holds digit_net_keras.py and carried weights."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

sys.path.insert(0, str(Path.cwd()))

from digit_net_keras import DigitNet, load_weights


def main(task: str) -> None:
    runtime = keras.backend.backend()
    keras.utils.set_random_seed(0)
    data = np.load("digits.npz")
    images, digits, train = data["images"][..., None], data["digits"], int(data["train"])

    def predicted(model: keras.Model) -> np.ndarray:
        return keras.ops.convert_to_numpy(model(images[train:], training=False))

    model = DigitNet()
    model.load_weights("carried.weights.h5")
    np.save(f"{runtime}.npy", predicted(model))
    if task == "all":
        archived = keras.saving.load_model("carried.keras")
        np.save("archive.npy", predicted(archived))
        own = DigitNet()
        load_weights(own, "carried.safetensors")
        np.save("loader.npy", predicted(own))
        model.compile(
            keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        model.fit(images[:512], digits[:512], batch_size=64, epochs=1, verbose=0)
        np.save("stepped.npy", predicted(model))
        model.save("stepped.keras")


if __name__ == "__main__":
    main(*sys.argv[1:])
