"""The worker that builds a Keras model from its cleaned configuration, records it, and runs it for the proof.

It gets no configuration but a cleaned one, which names only layers that Keras itself has.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import tree

from specbuild.importing.keras.config import resize_config
from specbuild.importing.keras.reader import READER
from specbuild.importing.keras.recorder_worker import copy_values, graph_of, published_variables, record_model
from specbuild.runtimes.hdf5_files import extract_member, iterate_datasets, load_array
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_jobs import Job, RefusedJob, Tensors, Worker, open_worker

WEIGHTS_MEMBER = "model.weights.h5"  # of a `.keras` archive
BackendJob: Any = READER.runtime.load_parity_job()


def open_capture_worker(options: WorkerOptions) -> Worker:
    original, emitted = OriginalModel(), open_worker(READER.runtime.worker, options)
    return Worker(lambda job: (emitted if job["do"] == "emitted" else original).run_job(job))


class OriginalModel:
    """The configuration of a model, and the jobs on it."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.weights: Tensors = {}
        self.trained: set[str] = set()

    def run_job(self, job: Job) -> Tensors | None:
        if job["do"] == "capture":
            self.capture(job)
            return {}
        if job["do"] == "weights":
            return self.weights
        if job["do"] == "draw":
            return calibrate(draw_weights(self.weights, self.trained, job["seed"]), self.config)
        return OriginalJob(job, self.config).run()

    def capture(self, job: Job) -> None:
        """Build the model, read its weights, and write the trace."""
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        self.config = job["config"]
        model = build_from_config(self.config)
        sizes = graph_of(model).inputs
        if any(None in x.shape[1:] for x in sizes):
            shapes = ", ".join(f"{x.name} {'x'.join(map(str, x.shape[1:]))}" for x in sizes)
            raise RefusedJob(f"sizes of the inputs are open: {shapes}", "give them: --input image=224x224x3")
        if job["weights"]:
            load_weights(model, Path(job["weights"]))
        trace = record_model(model, job["names"])
        Path(job["trace"]).write_text(trace.to_json(), encoding="utf-8")
        self.weights = {name: np.asarray(v.numpy()) for name, v in published_variables(model)}
        self.trained = set(trace.trained)


def build_from_config(config: Mapping[str, Any]) -> Any:
    """Build the model of a configuration. Raises RefusedJob if Keras cannot."""
    keras.backend.clear_session()
    try:
        return keras.saving.deserialize_keras_object(copy.deepcopy(dict(config)), safe_mode=True)
    except Exception as error:  # of whatever the file says
        message = " ".join(str(error).split())[:300]
        raise RefusedJob(f"Keras cannot build it: {type(error).__name__}: {message}") from error


def load_weights(model: Any, path: Path) -> None:
    """Load the weights in a `.keras` file, in which no array may be larger than what is stored for it."""
    with tempfile.TemporaryDirectory(prefix="specbuild-") as folder:
        file = extract_member(path, WEIGHTS_MEMBER, Path(folder))
        try:
            with h5py.File(file, "r") as opened:
                for name, data in iterate_datasets(opened):
                    load_array(name, data)
            model.load_weights(file)
        except (OSError, KeyError, ValueError, TypeError, UnicodeError) as error:
            raise RefusedJob(f"its weights cannot be read: {str(error).splitlines()[0]}") from None


def calibrate(weights: Tensors, config: Mapping[str, Any]) -> Tensors:
    """Return weights whose statistics of batch norms are those of random inputs: no value grows, and no softmax is at its end."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model = build_from_config(config)
    named = dict(published_variables(model))
    for name, variable in named.items():
        variable.assign(weights[name])
    settle_statistics(model)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    random, graph = np.random.default_rng(0), graph_of(model)
    inputs = [random.normal(size=(4, *x.shape[1:])).astype(x.dtype) for x in graph.inputs]
    model(tree.pack_sequence_as(graph._inputs_struct, inputs), training=True)
    return {name: np.asarray(variable.numpy()) for name, variable in named.items()}


def settle_statistics(model: Any) -> None:
    """Let layers of normalization compute with the mean and variance that were assigned to them."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.finalize_state()


def restore_numbers(model: Any) -> None:
    """Give layers their fixed numbers in float64: Keras rounds those of a configuration to float32 on the way."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Rescaling):
            layer.scale, layer.offset = np.float64(layer.scale), np.float64(layer.offset)
        elif isinstance(layer, keras.layers.Normalization) and layer.input_mean is not None:
            for name in ("mean", "variance"):
                exact = np.asarray(getattr(layer, f"input_{name}"), "float64")
                shape = getattr(layer, name).shape
                setattr(layer, name, keras.ops.convert_to_tensor(np.broadcast_to(exact, shape)))


def draw_weights(weights: Tensors, trained: set[str], seed: int) -> Tensors:
    """Return random values for the weights and statistics, by their published names."""
    random = np.random.default_rng(seed)
    drawn: Tensors = {}
    for name, value in weights.items():
        shape, leaf = value.shape, name.rpartition("/")[2]
        if value.dtype.kind != "f":
            drawn[name] = value
            continue
        if name in trained:
            fan_in = int(np.prod(shape[:-1])) if len(shape) > 1 else 0
            fan_in = int(np.prod(shape[:-2])) if leaf == "depthwise_kernel" else fan_in
            noise = random.normal(size=shape)
            drawn[name] = (
                noise * (2 / fan_in) ** 0.5 if fan_in else 0.2 * noise + (leaf in ("gamma", "scale"))
            )
        elif leaf in ("moving_variance", "variance"):
            drawn[name] = random.uniform(0.5, 1.5, shape)
        else:
            drawn[name] = 0.1 * random.normal(size=shape)
    return drawn


class OriginalJob(BackendJob):  # type: ignore[misc]  # the backend says by name which class it is
    """Runs the original in float64: a parity job without an emitted file."""

    def __init__(self, job: Job, config: Mapping[str, Any]):
        super().__init__({**job, "dtype": "float64", "model": "original"})
        self.job["outputs"] = [key.partition(":")[2] for key in self.arrays if key.startswith("cotangent:")]
        self.config = config
        self.names: dict[str, str] = {}  # the published names by the path of the variable

    def run(self) -> Tensors:
        model = self.load_model({})
        self.set_training(model, False)
        results: Tensors = {}
        if "forward" in self.job["modes"]:
            results |= self.name_outputs("output", self.call_model(model, self.load_inputs()))
        if self.job["values"]:
            copies = copy_values(model, self.load_inputs(), self.job["values"])
            results |= {f"value:{number}": value for number, value in copies.items()}
        if "gradients" in self.job["modes"]:
            results |= self.run_backward(model, "")
        if "train" in self.job["modes"]:
            results |= self.train_step(model)
        return results

    def load_model(self, scope: Mapping[str, Any]) -> Any:
        model = super().load_model({self.job["model"]: None})
        settle_statistics(model)
        return model

    def create_model(self, model_class: Any) -> Any:
        """Return the model for inputs of the sizes of this job."""
        shapes = {name: self.arrays[f"input:{name}"].shape[1:] for name in self.job["inputs"]}
        config, _ = resize_config(self.config, {name: (shape, "") for name, shape in shapes.items()})
        model = build_from_config(config)
        restore_numbers(model)
        return model

    def trained_weights(self, model: Any) -> Mapping[str, Any]:
        return {name: v for name, v in self.named_variables(model).items() if v.trainable}

    def statistics(self, model: Any) -> Mapping[str, Any]:
        return {name: v for name, v in self.named_variables(model).items() if not v.trainable}

    def named_variables(self, model: Any) -> dict[str, Any]:
        named = dict(published_variables(model))
        self.names = {v.path: name for name, v in named.items()}
        if len(self.names) != len(named):
            raise RefusedJob("several weights have the same path", "give the layers names of their own")
        return named

    def call_model(self, model: Any, inputs: list[Any]) -> list[Any]:
        given = tree.pack_sequence_as(graph_of(model)._inputs_struct, inputs)
        return list(tree.flatten(model(given, training=self.is_training)))

    def differentiate(
        self, model: Any, inputs: list[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any], Mapping[str, Any]]:
        outputs, of_inputs, gradients = super().differentiate(model, inputs, cotangents)
        return outputs, of_inputs, {self.names[path]: value for path, value in gradients.items()}
