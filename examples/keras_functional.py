"""The emitted Keras model behind preprocessing layers, inside `keras.Sequential` and a functional model."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers
from sklearn.datasets import load_digits


def compiled(folder: str, name: str, *chosen: str) -> None:
    """Writes a file of this name into the folder."""
    spec = Path(__file__).with_name("resnet50_cbam.yaml")
    command = [sys.executable, "-m", "specbuild", "compile", spec, "--backend", "keras", *chosen]
    subprocess.run([*command, "-o", f"{folder}/{name}.py"], check=True)


def digits(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of 8x8 in three channels, 0 to 255, and which digits they are."""
    pictures, labels = load_digits(return_X_y=True)
    images = np.repeat(pictures[:count].reshape(-1, 8, 8, 1) * (255 / 16), 3, axis=-1)
    return images.astype("float32"), labels[:count]


def main(size: int, epochs: int, depths: list[int]) -> None:
    keras.utils.set_random_seed(0)
    images, labels = digits(16)
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder, "classifier")
        compiled(folder, "stages", "--features", "layer2,layer3", "--features-only")
        sys.path.insert(0, folder)
        import classifier
        import stages

        # A classifier of 8x8 pictures: what was emitted is one layer of a Sequential.
        sequential = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                layers.RandomTranslation(0.1, 0.1),
                layers.Resizing(size, size),
                layers.Rescaling(1 / 255),
                classifier.ResNet50CBAM(depths, image_shape=(size, size, 3)),
            ]
        )
        fitted(sequential, images, labels, epochs)
        sequential.save(f"{folder}/model.keras")
        again = keras.saving.load_model(f"{folder}/model.keras")
        logits = sequential(images[:2], training=False)
        np.testing.assert_allclose(again(images[:2], training=False), logits, rtol=1e-4, atol=1e-5)

        # Two of its stages in a functional model with a head of its own.
        image = keras.Input((8, 8, 3))
        x = layers.Rescaling(1 / 255)(layers.Resizing(size, size)(image))
        stage = stages.ResNet50CBAM(depths, image_shape=(size, size, 3))(x)
        pooled = [layers.GlobalAveragePooling2D()(stage[name]) for name in ("layer2", "layer3")]
        logits = layers.Dense(10)(layers.Dropout(0.1)(layers.Concatenate()(pooled)))
        fitted(keras.Model(image, logits), images, labels, epochs)


def fitted(model: keras.Model, images: np.ndarray, labels: np.ndarray, epochs: int) -> None:
    """Trains a model, which must help."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # Without XLA: to compile takes longer than these few steps.
    model.compile(keras.optimizers.Adam(5e-4), loss, jit_compile=False)
    losses = model.fit(images, labels, batch_size=len(images), epochs=epochs, verbose=0).history["loss"]
    print(f"{type(model).__name__}: losses {', '.join(f'{loss:.3f}' for loss in losses)}")
    assert losses[-1] < losses[0], losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="height and width of what the model sees")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--depths", type=int, nargs=4, default=[3, 4, 6, 3], help="blocks of each stage")
    main(**vars(parser.parse_args()))
