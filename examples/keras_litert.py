"""The emitted Keras model as a LiteRT file of builtin operators, with the same outputs."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

try:
    from ai_edge_litert.interpreter import Interpreter  # what runs on a device
except ImportError:
    Interpreter = tf.lite.Interpreter  # the same, as TensorFlow brings it


def compiled(folder: str) -> None:
    """Writes the model into the folder, and makes it importable."""
    spec = Path(__file__).with_name("resnet50_cbam.yaml")
    command = [sys.executable, "-m", "specbuild", "compile", spec, "--backend", "keras"]
    subprocess.run([*command, "-o", f"{folder}/classifier.py"], check=True)
    sys.path.insert(0, folder)


def main(size: int, depths: list[int]) -> None:
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        compiled(folder)
        from classifier import ResNet50CBAM

        model = ResNet50CBAM(depths, image_shape=(size, size, 3))
        for weight in model.weights:  # the attention counts, too
            if weight.path.endswith("attention_scale"):
                weight.assign(0.5)
        file = Path(folder, "model.tflite")
        # With only builtin operators allowed, the conversion fails where one is lacking.
        builtin = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
        model.export(file, format="litert", target_spec=builtin, verbose=False)

        interpreter = Interpreter(str(file))
        interpreter.allocate_tensors()
        used = {operator["op_name"] for operator in interpreter._get_ops_details()}
        print(f"{file.stat().st_size / 1e6:.0f} MB; operators: {', '.join(sorted(used))}")
        assert not any(name.startswith("Flex") for name in used), used

        image = np.random.default_rng(0).random((1, size, size, 3), "float32")
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
        interpreter.invoke()
        logits = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    expected = model.predict(image, verbose=0)
    largest = abs(expected).max()
    print(f"largest difference {abs(logits - expected).max():.1e}, of logits up to {largest:.1e}")
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-4 * largest)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=64, help="height and width of the image")
    parser.add_argument("--depths", type=int, nargs=4, default=[3, 4, 6, 3], help="blocks of each stage")
    main(**vars(parser.parse_args()))
