"""A timm model becomes a spec and gets CBAM in every block, which changes nothing yet: PyTorch, Keras and LiteRT give timm's logits."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
import timm
import torch

EDITED = """specbuild: 1
model: WithAttention
imports: {{Network: network.yaml}}
inputs: {{image: {{C: 3, H: {size}, W: {size}}}}}
steps:
  - Network
edits:
  - insert: {{CBAM: {{reduction: 8}}}}
    after: layer*.*.bn2
    as: attention
    start: identity
"""


def run_specbuild(*arguments: object) -> str:
    """Runs a command, as one types it; what it says is printed and returned."""
    command = [sys.executable, "-m", "specbuild", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"$ specbuild {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}")
    assert not done.returncode, done.returncode
    return done.stdout + done.stderr


def run_litert(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """The logits of the model as a LiteRT file of builtin operators."""
    builtin = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export("edited.tflite", format="litert", target_spec=builtin, verbose=False)
    interpreter = tf.lite.Interpreter("edited.tflite")
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def main(model: str, size: int, litert: bool) -> None:
    torch.manual_seed(0)
    original = timm.create_model(model).eval()  # timm's initial weights; nothing is downloaded
    image = torch.randn(1, 3, size, size)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        os.chdir(folder)
        report = run_specbuild(
            "import", f"timm:{model}", "--input", f"image=3x{size}x{size}", "-o", "network.yaml"
        )
        assert "proved in float64" in report
        Path("edited.yaml").write_text(EDITED.format(size=size), encoding="utf-8")

        # All weights of timm go into the edited model; those of the attention are new.
        torch.save(original.state_dict(), "timm.pt")
        for file in ("edited.pt", "edited.weights.h5"):
            new = ("--allow-missing", "**.attention.**", "--allow-missing", "**.attention_scale")
            report = run_specbuild("weights", "convert", "edited.yaml", "timm.pt", "-o", file, *new)
            assert " 0 mismatched, 0 left over" in report
        for backend in ("torch", "keras"):
            run_specbuild("compile", "edited.yaml", "--backend", backend, "-o", f"edited_{backend}.py")

        sys.path.insert(0, folder)
        import edited_keras
        import edited_torch

        expected = original(image).numpy()
        in_torch = edited_torch.WithAttention().eval()
        in_torch.load_state_dict(torch.load("edited.pt", weights_only=True))
        in_keras = edited_keras.WithAttention()
        picture = image.permute(0, 2, 3, 1).numpy()
        in_keras(picture)
        in_keras.load_weights("edited.weights.h5")
        found = {
            "PyTorch": in_torch(image).numpy(),
            "Keras": np.asarray(in_keras(picture)),
        }
        if litert:
            found["LiteRT"] = run_litert(in_keras, picture)
        os.chdir(Path(folder).parent)
    largest = abs(expected).max()
    for name, logits in found.items():
        print(f"{name}: largest difference {abs(logits - expected).max():.1e}, of logits up to {largest:.1e}")
        np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * largest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18", help="a network of timm with the blocks of a ResNet")
    parser.add_argument("--size", type=int, default=64, help="height and width of the image")
    parser.add_argument(
        "--litert", action=argparse.BooleanOptionalAction, default=True, help="make a LiteRT file, too"
    )
    main(**vars(parser.parse_args()))
