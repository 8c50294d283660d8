"""Runs emitted Keras files: `python -m specbuild.parity.keras_worker JOBS`; KERAS_BACKEND chooses the runtime."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np


def main(folder: Path) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    import keras

    for job in json.loads((folder / "jobs.json").read_text()):
        place = folder / job["name"]
        keras.backend.clear_session()
        keras.config.set_floatx(job["dtype"])
        keras.config.set_dtype_policy(job["dtype"])
        try:
            np.savez(place / "keras_out.npz", **run(keras, place, job))
        except Exception as error:  # reported by the parent, with the job's name
            (place / "keras_error.txt").write_text(f"{type(error).__name__}: {error}")
            if job.get("trace"):
                raise


def run(keras: Any, place: Path, job: dict[str, Any]) -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": f"emitted_{job['name']}"}
    exec(compile((place / "model_keras.py").read_text(), str(place / "model_keras.py"), "exec"), scope)
    model = scope[job["model"]]()
    weights = np.load(place / "keras_weights.npz")
    variables = {v.path: v for v in model.weights if "seed_generator" not in v.path}
    if set(variables) != set(weights.files):
        raise RuntimeError(
            f"weights missing {sorted(set(variables) - set(weights.files))} unexpected {sorted(set(weights.files) - set(variables))}"
        )
    for path, variable in variables.items():
        variable.assign(weights[path])
    arrays = np.load(place / "keras_inputs.npz")
    heads = np.load(place / "keras_heads.npz")
    inputs = [arrays[k] for k in job["inputs"]]
    training = job["mode"] == "train"
    outputs, gradients = differentiated(
        keras, model, inputs, [heads[n] for n in job["outputs"]], training, job
    )
    found = {f"output.{n}": np.asarray(y) for n, y in zip(job["outputs"], outputs, strict=True)}
    found |= gradients
    if training:
        found |= {
            f"state.{v.path}": np.asarray(v)
            for v in model.non_trainable_weights
            if "seed_generator" not in v.path
        }
    return found


def listed(result: Any) -> list[Any]:
    return (
        list(result.values())
        if isinstance(result, dict)
        else list(result)
        if isinstance(result, list | tuple)
        else [result]
    )


def numpy(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)


def differentiated(
    keras: Any, model: Any, inputs: list[Any], heads: list[Any], training: bool, job: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Outputs, and on TensorFlow the gradients of a random scalar of them."""
    if keras.backend.backend() != "tensorflow":
        tensors = [keras.ops.convert_to_tensor(x) for x in inputs]
        return [
            numpy(y) for y in listed(model(tensors if len(tensors) > 1 else tensors[0], training=training))
        ], {}
    import tensorflow as tf

    tensors = [tf.constant(x) for x in inputs]
    floats = [(n, x) for n, x in zip(job["inputs"], tensors, strict=True) if x.dtype.is_floating]
    variables = list(model.trainable_weights)
    with tf.GradientTape() as tape:
        for _, x in floats:
            tape.watch(x)
        outputs = listed(model(tensors if len(tensors) > 1 else tensors[0], training=training))
        scalar = sum(
            tf.reduce_sum(y * tf.cast(h, y.dtype))
            for y, h in zip(outputs, heads, strict=True)
            if y.dtype.is_floating
        )
    if isinstance(scalar, int):
        return [y.numpy() for y in outputs], {}
    gradients = tape.gradient(scalar, [x for _, x in floats] + [v.value for v in variables])
    names = [f"grad.{n}" for n, _ in floats] + [f"gradw.{v.path}" for v in variables]
    dense = [tf.convert_to_tensor(g) if g is not None else None for g in gradients]
    return [y.numpy() for y in outputs], {
        n: g.numpy() for n, g in zip(names, dense, strict=True) if g is not None
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
