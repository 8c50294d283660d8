"""Run as a program: what Keras' own tools make of every emitted file; failures are printed as JSON.

`keras_tools.py JOBS [TOOL ...]`: without names, every tool.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tests.system.emitted.keras_checks import Subject, arrays, inputs, made


def assert_same(a: Any, b: Any, tolerance: float = 1e-5) -> None:
    for x, y in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_allclose(x.astype("float64"), y.astype("float64"), rtol=tolerance, atol=tolerance)


def loaded(model: Any) -> Any:
    """The model after it was written and read; a warning of Keras that something is not built is an error."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(unbuilt|build\\(\\)).*")
        path = Path(folder) / "model.keras"
        model.save(path)
        return keras.models.load_model(path)


def loads_quietly(subject: Subject) -> None:
    x, ys = subject.run(3)
    assert_same(ys, loaded(subject.model)(x, training=False))


def keeps_its_precision(subject: Subject) -> None:
    """Written under one policy and read under the other: the same layers compute in the same types."""
    x = inputs(subject.job, 2)
    for mine, other in (("mixed_bfloat16", "float32"), ("float32", "mixed_bfloat16")):
        try:
            keras.config.set_dtype_policy(mine)
            model = made(subject.job)
            ys = model(x, training=False)
            keras.config.set_dtype_policy(other)
            again = loaded(model)
            assert_same(ys, again(x, training=False), 1e-6)
        finally:
            keras.config.set_dtype_policy("float32")


def clones(subject: Subject) -> None:
    x, ys = subject.run(3)
    clone = keras.models.clone_model(subject.model)
    clone.set_weights(subject.model.get_weights())
    assert_same(ys, clone(x, training=False))


def gives_features(subject: Subject) -> None:
    """A model of the outputs of every layer, found by its name."""
    model, (x, _) = subject.model, subject.run(3)
    outputs = [model.get_layer(layer.name).output for layer in model.layers]
    keras.Model(model.inputs, outputs)(x, training=False)


def exports_to_saved_model(subject: Subject) -> None:
    import tensorflow as tf

    x, ys = subject.run(3)
    with tempfile.TemporaryDirectory() as folder:
        subject.model.export(folder, verbose=False)
        restored = tf.saved_model.load(folder)  # it must live as long as its functions
        served = restored.serve(x)
    assert_same(ys, served, 1e-4)


def exports_to_litert(subject: Subject) -> None:
    """Only built-in operations; the same numbers."""
    import tensorflow as tf

    x, ys = subject.run(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        subject.model.export(path, format="litert", verbose=False)
        interpreter = tf.lite.Interpreter(str(path))
    for detail in interpreter.get_input_details():
        interpreter.resize_tensor_input(detail["index"], (1, *detail["shape"][1:]))
    interpreter.allocate_tensors()
    given = dict(zip((i.name for i in subject.model.inputs), x if isinstance(x, list) else [x], strict=True))
    for detail in interpreter.get_input_details():
        name = detail["name"].removeprefix("serving_default_").partition(":")[0]
        interpreter.set_tensor(detail["index"], given[name])
    interpreter.invoke()
    found = [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]
    if len(found) == 1:
        assert_same(ys, found, 1e-3)


def exports_to_onnx(subject: Subject) -> None:
    """Under KERAS_BACKEND=torch, where Keras needs no further converter; the numbers of ONNX Runtime."""
    import onnxruntime

    x, ys = subject.run(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        subject.model.export(path, format="onnx", verbose=False)
        session = onnxruntime.InferenceSession(path)
    given = x if isinstance(x, list) else [x]
    found = session.run(None, {i.name: a for i, a in zip(session.get_inputs(), given, strict=True)})
    assert_same(ys, found, 1e-3)


def quantizes(subject: Subject) -> None:
    model = made(subject.job)
    model.set_weights(subject.model.get_weights())
    x, _ = subject.run(3)
    model.quantize("int8")
    assert all(np.isfinite(y).all() for y in arrays(model(x, training=False)) if y.dtype.kind == "f")


def adapts_with_lora(subject: Subject) -> None:
    """Every layer that can gets LoRA weights (arXiv 2106.09685); the model is trained, written and read."""
    model = made(subject.job)
    x = inputs(subject.job, 2)
    model(x, training=False)
    adapted = [layer for layer in list_layers(model) if hasattr(layer, "enable_lora") and layer.built]
    for layer in adapted:
        layer.enable_lora(2)
    assert all(layer.lora_enabled for layer in adapted)
    model.compile("sgd", "mse")
    before = model(x, training=False)
    targets = keras.tree.map_structure(keras.ops.zeros_like, before)
    losses = model.train_on_batch(x, targets)
    assert np.isfinite(np.asarray(losses)).all()
    assert_same(model(x, training=False), loaded(model)(x, training=False))


def list_layers(layer: Any) -> list[Any]:
    """The layer and all layers inside it, each once."""
    found: dict[int, Any] = {}
    waiting = [layer]
    while waiting:
        each = waiting.pop()
        if id(each) not in found:
            found[id(each)] = each
            waiting += each._layers
    return list(found.values())


def computes_in_float16(subject: Subject) -> None:
    """Under `mixed_float16`, every output is a number."""
    x = inputs(subject.job, 2)
    try:
        keras.config.set_dtype_policy("mixed_float16")
        outputs = arrays(made(subject.job)(x, training=False))
        assert all(np.isfinite(y).all() for y in outputs if y.dtype.kind == "f")
    finally:
        keras.config.set_dtype_policy("float32")


def is_drawn(subject: Subject) -> None:
    """By `plot_model`, which needs pydot and Graphviz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.png"
        keras.utils.plot_model(subject.model, path, expand_nested=True, show_shapes=True)
        assert path.stat().st_size > 1000


def takes_any_size(subject: Subject) -> None:
    """Images whose sides are not given: the same numbers, where the network allows it."""
    if not any(len(shape) > 2 for shape, _ in subject.job["keras_inputs"]):
        return
    shapes = {
        f"{i.name}_shape": (*((None,) * (len(i.shape) - 2)), i.shape[-1])
        for i in subject.model.inputs
        if len(i.shape) > 3
    }
    scope: dict[str, Any] = {"__name__": "emitted"}
    exec(compile(Path(subject.job["keras"]).read_text(), subject.job["keras"], "exec"), scope)
    model = scope[subject.job["model"]](**shapes)
    model.set_weights(subject.model.get_weights())
    x, ys = subject.run(3)
    assert_same(ys, model(x, training=False))


Tool = Callable[[Subject], None]
TOOLS: tuple[Tool, ...] = (
    loads_quietly,
    keeps_its_precision,
    clones,
    gives_features,
    takes_any_size,
    quantizes,
    adapts_with_lora,
    computes_in_float16,
    is_drawn,
    exports_to_saved_model,
    exports_to_litert,
    exports_to_onnx,
)


def list_usual_tools() -> list[Tool]:
    """Return the tools of the runtime: those that need TensorFlow, or PyTorch, are left out under another."""
    runtime = keras.backend.backend()
    of_one = {exports_to_saved_model: "tensorflow", exports_to_litert: "tensorflow", exports_to_onnx: "torch"}
    return [tool for tool in TOOLS if of_one.get(tool, runtime) == runtime]


def main(jobs: Path, chosen: list[str]) -> None:
    failures = {}
    tools = [tool for tool in TOOLS if tool.__name__ in chosen] if chosen else list_usual_tools()
    gc.freeze()
    for job in json.loads(jobs.read_text()):
        keras.backend.clear_session()
        try:
            subject = Subject(job)
        except Exception as error:
            failures[f"{job['name']}: construction"] = f"{type(error).__name__}: {error}"[:600]
            continue
        for tool in tools:
            begin = time.monotonic()
            try:
                tool(subject)
            except Exception as error:  # every failure of every job is reported
                told = f"{type(error).__name__}: {error}"
                failures[f"{job['name']}: {tool.__name__}"] = told[:600]
                print(job["name"], tool.__name__, told[:400].replace("\n", " "), file=sys.stderr, flush=True)
            print(
                f"{job['name']} {tool.__name__} {time.monotonic() - begin:.1f}", file=sys.stderr, flush=True
            )
    print("FAILURES " + json.dumps(failures))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
