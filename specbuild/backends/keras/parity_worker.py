"""Runs emitted Keras files: `python -m specbuild.backends.keras.parity_worker PLACE`; KERAS_BACKEND chooses the runtime."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.runtimes.jobs import LEARNING_RATE, WorkerOptions
from specbuild.runtimes.probes import StepRecorder, insert_probes
from specbuild.runtimes.switches import apply_switches
from specbuild.runtimes.worker_loop import (
    Job,
    Tensors,
    execute_source,
    load_tensors,
    order_outputs,
    serve_jobs,
)


def run_parity_worker(options: WorkerOptions) -> None:
    import keras

    keras.config.set_image_data_format("channels_last")  # whatever a user's keras.json says
    keras.config.set_epsilon(1e-7)
    runtime = keras.backend.backend()
    module = import_module(runtime)
    if runtime == "torch":
        module.set_num_threads(options.threads)
    switches = apply_switches({runtime: module, "keras": keras}, options)
    keras.initializers.Orthogonal.__call__ = make_zeros
    hello = {
        "framework": f"keras {keras.__version__} on {runtime} {module.__version__}",
        "device": device_name(runtime, module, options),
        "switches": switches,
    }
    serve_jobs(hello, lambda job: JobRunner(keras, module, job).run())


def device_name(runtime: str, module: Any, options: WorkerOptions) -> str | None:
    """The name of the device; None if it is not there."""
    if options.device == "cpu":
        return "cpu"
    if runtime == "torch":
        return str(module.cuda.get_device_name()) if module.cuda.is_available() else None
    if runtime == "jax":
        try:
            return str(module.devices("gpu")[0].device_kind)
        except RuntimeError:
            return None
    found = module.config.list_physical_devices("GPU")
    return str(module.config.experimental.get_device_details(found[0]).get("device_name")) if found else None


def make_zeros(initializer: Any, shape: Any, dtype: Any = None) -> Any:
    """In place of an orthogonal matrix: JAX and PyTorch take none apart in a half type, and weights are given anyway."""
    import keras

    return keras.ops.zeros(shape, dtype or keras.config.floatx())


class JobRunner:
    """One job."""

    def __init__(self, keras: Any, module: Any, job: Job):
        self.keras, self.module, self.job = keras, module, job
        self.runtime = keras.backend.backend()
        self.gradient_pairs: list[tuple[Any, Any]] = []  # the last gradients, each with its variable

    def run(self) -> Tensors:
        keras = self.keras
        keras.backend.clear_session()
        keras.config.set_floatx(self.job["dtype"])
        keras.config.set_dtype_policy(self.job["dtype"])
        if self.runtime == "jax":
            # off in float32, as a user has it: Keras' GRU without a bias mixes types otherwise
            self.module.config.update("jax_enable_x64", self.job["dtype"] == "float64")
        arrays, weights = load_tensors(self.job["arrays"]), load_tensors(self.job["weights"])
        found: Tensors = {}
        model = self.build_model(execute_source(self.read_source(), self.job, {}), weights)
        if "forward" in self.job["modes"]:
            found |= self.name_outputs("output", self.call_model(model, self.load_inputs(arrays), False))
        if self.job["steps"]:
            found |= self.record_steps(arrays, weights)
        if "gradients" in self.job["modes"]:
            found |= self.compute_gradients(model, arrays, "")
        if "train" in self.job["modes"]:
            found |= self.train_step(model, arrays)
        return found

    def read_source(self) -> str:
        return Path(self.job["file"]).read_text(encoding="utf-8")

    def build_model(self, scope: dict[str, Any], weights: Tensors) -> Any:
        """The emitted model with these weights."""
        model = scope[self.job["model"]]()
        variables = {v.path: v for v in model.weights if "seed_generator" not in v.path}
        if set(variables) != set(weights):
            missing, unexpected = sorted(set(variables) - set(weights)), sorted(set(weights) - set(variables))
            raise RuntimeError(f"weights missing {missing} unexpected {unexpected}")
        for path, variable in variables.items():
            variable.assign(weights[path])
        return model

    def record_steps(self, arrays: Tensors, weights: Tensors) -> Tensors:
        """What each step gives: the function that joins the model is run once more, on numbers instead of symbols,
        with the layers that hold the weights."""
        keras, found = self.keras, {}

        def record(path: str, value: Any) -> None:
            if keras.ops.is_tensor(value):
                found[f"step:{path}"] = self.to_numpy(value)

        recorder = StepRecorder(
            record,
            lambda layer: [(x.name, x) for x in layer.layers] if type(layer) is keras.Sequential else None,
            lambda layer: model.get_layer(layer.name),
        )
        scope = execute_source(
            insert_probes(self.read_source(), self.job["probes"]), self.job, recorder.probe_functions
        )
        model = self.build_model(scope, weights)
        given = dict(zip(self.job["inputs"], self.load_inputs(arrays), strict=True))
        scope["keras"] = EagerKeras(keras, given)
        recorder.active = True
        scope[self.job["model"]]()
        return dict(found)

    def load_inputs(self, arrays: Tensors) -> list[Any]:
        found = []
        for name in self.job["inputs"]:
            x = arrays[f"input:{name}"]
            dtype = self.job["dtype"] if x.dtype.kind == "f" else str(x.dtype)
            found.append(self.keras.ops.convert_to_tensor(x, dtype=dtype))
        return found

    def call_model(self, model: Any, inputs: list[Any], training: bool) -> list[Any]:
        result = model(inputs if len(inputs) > 1 else inputs[0], training=training)
        return order_outputs(result, self.job["outputs"])

    def compute_gradients(self, model: Any, arrays: Tensors, prefix: str) -> Tensors:
        """The gradients of inputs and weights; in training, the outputs too. Statistics are left as they become."""
        training = bool(prefix)
        inputs = self.load_inputs(arrays)
        names = [n for n in self.job["inputs"] if arrays[f"input:{n}"].dtype.kind == "f"]
        variables = list(model.trainable_variables)
        take = {
            "tensorflow": self.tensorflow_gradients,
            "jax": self.jax_gradients,
            "torch": self.torch_gradients,
        }[self.runtime]
        outputs, taken = take(model, inputs, variables, arrays, training)
        found = self.name_outputs(f"{prefix}output", outputs) if prefix else {}
        keys = [f"{prefix}gradient:{n}" for n in names]
        keys += [f"{prefix}weight_gradient:{v.path}" for v in variables]
        self.gradient_pairs = list(zip(taken[len(names) :], variables, strict=True)) if taken else []
        return found | {k: self.to_numpy(g) for k, g in zip(keys, taken, strict=False) if g is not None}

    def sum_outputs(self, outputs: list[Any], arrays: Tensors) -> Any:
        """A random scalar of all outputs; None if none of them is of floats."""
        ops = self.keras.ops
        parts = [
            ops.sum(y * ops.cast(ops.convert_to_tensor(arrays[f"cotangent:{n}"]), y.dtype))
            for n, y in zip(self.job["outputs"], outputs, strict=True)
            if "float" in self.keras.backend.standardize_dtype(y.dtype)
        ]
        return sum(parts[1:], parts[0]) if parts else None

    def float_inputs(self, inputs: list[Any]) -> list[Any]:
        return [x for x in inputs if "float" in self.keras.backend.standardize_dtype(x.dtype)]

    def tensorflow_gradients(
        self, model: Any, inputs: list[Any], variables: list[Any], arrays: Tensors, training: bool
    ) -> tuple[list[Any], list[Any]]:
        tf = self.module
        floats = self.float_inputs(inputs)
        with tf.GradientTape() as tape:
            for x in floats:
                tape.watch(x)
            outputs = self.call_model(model, inputs, training)
            scalar = self.sum_outputs(outputs, arrays)
        if scalar is None:
            return outputs, []
        taken = tape.gradient(scalar, [*floats, *(v.value for v in variables)])
        return outputs, [None if g is None else tf.convert_to_tensor(g) for g in taken]

    def torch_gradients(
        self, model: Any, inputs: list[Any], variables: list[Any], arrays: Tensors, training: bool
    ) -> tuple[list[Any], list[Any]]:
        floats = [x.requires_grad_(True) for x in self.float_inputs(inputs)]
        for v in variables:
            v.value.grad = None
        outputs = self.call_model(model, inputs, training)
        scalar = self.sum_outputs(outputs, arrays)
        if scalar is None or not scalar.requires_grad:
            return outputs, []
        scalar.backward()
        return outputs, [x.grad for x in floats] + [v.value.grad for v in variables]

    def jax_gradients(
        self, model: Any, inputs: list[Any], variables: list[Any], arrays: Tensors, training: bool
    ) -> tuple[list[Any], list[Any]]:
        jax, floats = self.module, self.float_inputs(inputs)

        def compute_loss(free: list[Any]) -> Any:
            given = iter(free[: len(floats)])
            whole = [next(given) if any(x is y for y in floats) else x for x in inputs]
            result, others = model.stateless_call(
                free[len(floats) :],
                [v.value for v in model.non_trainable_variables],
                whole if len(whole) > 1 else whole[0],
                training=training,
            )
            outputs = order_outputs(result, self.job["outputs"])
            total = self.sum_outputs(outputs, arrays)
            return (0.0 if total is None else total), (outputs, others)

        free = [*floats, *(v.value for v in variables)]
        (_, (outputs, others)), taken = jax.value_and_grad(compute_loss, has_aux=True)(free)
        if training:
            for v, value in zip(model.non_trainable_variables, others, strict=True):
                v.assign(value)
        return outputs, taken

    def train_step(self, model: Any, arrays: Tensors) -> Tensors:
        """One step of plain gradient descent, with dropout off."""
        dropouts = [x for x in nested_layers(model) if isinstance(x, self.keras.layers.Dropout)]
        rates = [float(x.rate) for x in dropouts]
        for x in dropouts:
            x.rate = 0.0
        found = self.compute_gradients(model, arrays, "trained_")
        pairs = [(g, v) for g, v in self.gradient_pairs if g is not None]
        if pairs:
            gradients, variables = zip(*pairs, strict=True)
            self.keras.optimizers.SGD(learning_rate=LEARNING_RATE).apply(list(gradients), list(variables))
        found |= {f"weight:{v.path}": self.to_numpy(v.value) for v in model.trainable_variables}
        found |= {
            f"statistic:{v.path}": self.to_numpy(v.value)
            for v in model.non_trainable_variables
            if "seed_generator" not in v.path
        }
        return found | {f"rate:{i}": np.array(r) for i, r in enumerate(rates)}

    def name_outputs(self, kind: str, outputs: list[Any]) -> Tensors:
        return {f"{kind}:{n}": self.to_numpy(y) for n, y in zip(self.job["outputs"], outputs, strict=True)}

    def to_numpy(self, value: Any) -> Any:
        if self.runtime == "torch":
            value = value.detach().cpu()
            if value.dtype in (self.module.bfloat16, self.module.float16):
                value = value.float()
            return value.numpy().copy()
        if self.keras.backend.standardize_dtype(value.dtype) in ("bfloat16", "float16"):
            value = self.keras.ops.cast(value, "float32")  # NumPy takes no single bfloat16 of TensorFlow
        return np.asarray(self.keras.ops.convert_to_numpy(value))


def nested_layers(layer: Any) -> list[Any]:
    """Every layer inside one, once, in the order in which they were made; Keras' own list has rows backwards."""
    found: dict[int, Any] = {}
    for x in layer._layers:
        found |= {id(y): y for y in (x, *nested_layers(x)) if id(y) not in found}
    return list(found.values())


class EagerKeras:
    """Keras, but for the two words by which a function joins a model: inputs are numbers, and a model is not made."""

    def __init__(self, keras: Any, inputs: dict[str, Any]):
        self.keras, self.inputs = keras, inputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self.keras, name)

    def Input(self, shape: Any, *, name: str, dtype: Any = None) -> Any:
        return self.inputs[name]

    def Model(self, *args: Any, **kwargs: Any) -> None:
        return None


if __name__ == "__main__":
    run_parity_worker(WorkerOptions(**json.loads(sys.argv[1])))
