"""An old Keras model goes on in PyTorch: its file becomes a spec, the emitted PyTorch model has its weights and is trained."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import torch
from keras import layers
from torch import nn


def make_old_model(size: int) -> keras.Model:
    """A model as somebody wrote it years ago: residual blocks, and layers without names of their own."""
    x = image = keras.Input((size, size, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    for channels in (8, 16):
        y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same")(x)))
        y = layers.BatchNormalization()(layers.Conv2D(channels, 3, padding="same")(y))
        x = layers.ReLU()(layers.Add()([y, layers.Conv2D(channels, 1)(x)]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(4, name="head")(x), name="old_net")


def run_specbuild(*arguments: str) -> str:
    """Runs a command, as one types it; what it says is printed and returned."""
    done = subprocess.run([sys.executable, "-m", "specbuild", *arguments], capture_output=True, text=True)
    print(f"$ specbuild {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    assert not done.returncode, done.returncode
    return done.stdout + done.stderr


def main(size: int, steps: int) -> None:
    keras.utils.set_random_seed(0)
    torch.manual_seed(0)
    old = make_old_model(size)
    pictures = np.random.default_rng(0).normal(size=(8, size, size, 3)).astype("float32")
    expected = np.asarray(old(pictures))
    with tempfile.TemporaryDirectory() as folder:
        at = f"{folder}/old_net"
        old.save(f"{at}.keras")
        report = run_specbuild("import", f"{at}.keras", "-o", f"{at}.yaml", "--weights", f"{at}.safetensors")
        assert "proved in float64" in report
        run_specbuild("compile", f"{at}.yaml", "--backend", "torch", "-o", f"{at}.py")
        run_specbuild("weights", "convert", f"{at}.yaml", f"{at}.safetensors", "-o", f"{at}.pt")
        sys.path.insert(0, folder)
        from old_net import OldNet

        model = OldNet().eval()
        model.load_state_dict(torch.load(f"{at}.pt", weights_only=True))
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2)
    with torch.no_grad():
        logits = model(images).numpy()
    print(f"largest difference from Keras {abs(logits - expected).max():.1e}")
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)

    labels = torch.arange(len(images)) % 4
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"loss in PyTorch: {losses[0]:.3f} to {losses[-1]:.3f}")
    assert losses[-1] < losses[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32, help="height and width of the image")
    parser.add_argument("--steps", type=int, default=5)
    main(**vars(parser.parse_args()))
