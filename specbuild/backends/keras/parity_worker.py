"""The parity worker for Keras: `python -m specbuild.backends.keras.parity_worker OPTIONS` (as JSON).

KERAS_BACKEND selects the runtime. Jobs are read from standard input; see `specbuild.runtimes.worker_loop`.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.backends.keras.switches import SWITCHES
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

    keras.config.set_image_data_format("channels_last")  # a user's keras.json may say otherwise
    keras.config.set_epsilon(1e-7)
    runtime = keras.backend.backend()
    module = import_module(runtime)
    if runtime == "torch":
        module.set_num_threads(options.threads)
    switches = apply_switches(SWITCHES[runtime], {runtime: module, "keras": keras}, options)
    keras.initializers.Orthogonal.__call__ = make_zeros
    hello = {
        "framework": f"keras {keras.__version__} on {runtime} {module.__version__}",
        "device": device_name(runtime, module, options),
        "switches": switches,
    }
    serve_jobs(hello, lambda job: JobRunner(keras, module, job).run())


def device_name(runtime: str, module: Any, options: WorkerOptions) -> str | None:
    """The name of the device; None if the machine has none."""
    if options.device == "cpu":
        return "cpu"
    if runtime == "torch":
        return str(module.cuda.get_device_name()) if module.cuda.is_available() else None
    if runtime == "jax":
        try:
            return str(module.devices("gpu")[0].device_kind)
        except RuntimeError:
            return None
    gpus = module.config.list_physical_devices("GPU")
    return str(module.config.experimental.get_device_details(gpus[0]).get("device_name")) if gpus else None


def make_zeros(initializer: Any, shape: Any, dtype: Any = None) -> Any:
    """Return zeros instead of orthogonal initial values, which fail in half precision on JAX and PyTorch.

    The weights are assigned afterwards anyway.
    """
    import keras

    return keras.ops.zeros(shape, dtype or keras.config.floatx())


class JobRunner:
    """Runs one job: one emitted file, in some modes. `module` is the module of the runtime."""

    def __init__(self, keras: Any, module: Any, job: Job):
        self.keras, self.module, self.job = keras, module, job
        self.runtime = keras.backend.backend()
        self.gradient_pairs: list[tuple[Any, Any]] = []  # of the last call: gradient and variable

    def run(self) -> Tensors:
        """The results by key `kind:path`."""
        keras = self.keras
        keras.backend.clear_session()
        keras.config.set_floatx(self.job["dtype"])
        keras.config.set_dtype_policy(self.job["dtype"])
        if self.runtime == "jax":
            # Off in float32, as users have it: with float64 enabled, Keras' GRU without a bias mixes dtypes.
            self.module.config.update("jax_enable_x64", self.job["dtype"] == "float64")
        arrays, weights = load_tensors(self.job["arrays"]), load_tensors(self.job["weights"])
        results: Tensors = {}
        model = self.build_model(execute_source(self.read_source(), self.job, {}), weights)
        if "forward" in self.job["modes"]:
            results |= self.name_outputs("output", self.call_model(model, self.load_inputs(arrays), False))
        if self.job["steps"]:
            results |= self.record_steps(arrays, weights)
        if "gradients" in self.job["modes"]:
            results |= self.compute_gradients(model, arrays, "")
        if "train" in self.job["modes"]:
            results |= self.train_step(model, arrays)
        return results

    def read_source(self) -> str:
        return Path(self.job["file"]).read_text(encoding="utf-8")

    def build_model(self, scope: dict[str, Any], weights: Tensors) -> Any:
        """Instantiate the model that an executed file defines, and assign its weights."""
        model = scope[self.job["model"]]()
        variables = {v.path: v for v in model.weights if "seed_generator" not in v.path}
        if set(variables) != set(weights):
            missing, unexpected = sorted(set(variables) - set(weights)), sorted(set(weights) - set(variables))
            raise RuntimeError(f"missing weights: {missing}; unexpected weights: {unexpected}")
        for path, variable in variables.items():
            variable.assign(weights[path])
        return model

    def record_steps(self, arrays: Tensors, weights: Tensors) -> Tensors:
        """The value of each step.

        The function that builds the functional model is run a second time, on arrays instead of symbolic
        tensors, and with the layers of the first model, which hold the weights.
        """
        keras, values = self.keras, {}

        def record_value(path: str, value: Any) -> None:
            if keras.ops.is_tensor(value):
                values[f"step:{path}"] = self.to_numpy(value)

        recorder = StepRecorder(
            record_value,
            lambda layer: [(x.name, x) for x in layer.layers] if type(layer) is keras.Sequential else None,
            lambda layer: model.get_layer(layer.name),
        )
        code = insert_probes(self.read_source(), self.job["probes"])
        scope = execute_source(code, self.job, recorder.probe_functions)
        model = self.build_model(scope, weights)
        inputs = dict(zip(self.job["inputs"], self.load_inputs(arrays), strict=True))
        scope["keras"] = EagerKeras(keras, inputs)
        recorder.active = True
        scope[self.job["model"]]()
        return values

    def load_inputs(self, arrays: Tensors) -> list[Any]:
        inputs = []
        for name in self.job["inputs"]:
            x = arrays[f"input:{name}"]
            dtype = self.job["dtype"] if x.dtype.kind == "f" else str(x.dtype)
            inputs.append(self.keras.ops.convert_to_tensor(x, dtype=dtype))
        return inputs

    def call_model(self, model: Any, inputs: list[Any], training: bool) -> list[Any]:
        result = model(inputs if len(inputs) > 1 else inputs[0], training=training)
        return order_outputs(result, self.job["outputs"])

    def compute_gradients(self, model: Any, arrays: Tensors, prefix: str) -> Tensors:
        """The gradients of inputs and weights; with a `prefix` for the training step, the outputs too.

        In training, the model's statistics are updated.
        """
        training = bool(prefix)
        inputs = self.load_inputs(arrays)
        names = [n for n in self.job["inputs"] if arrays[f"input:{n}"].dtype.kind == "f"]
        variables = list(model.trainable_variables)
        differentiate = {
            "tensorflow": self.tensorflow_gradients,
            "jax": self.jax_gradients,
            "torch": self.torch_gradients,
        }[self.runtime]
        outputs, gradients = differentiate(model, inputs, variables, arrays, training)
        results = self.name_outputs(f"{prefix}output", outputs) if prefix else {}
        keys = [f"{prefix}gradient:{n}" for n in names]
        keys += [f"{prefix}weight_gradient:{v.path}" for v in variables]
        weight_gradients = gradients[len(names) :]
        self.gradient_pairs = list(zip(weight_gradients, variables, strict=True)) if gradients else []
        return results | {k: self.to_numpy(g) for k, g in zip(keys, gradients, strict=False) if g is not None}

    def sum_outputs(self, outputs: list[Any], arrays: Tensors) -> Any:
        """The scalar to differentiate: the sum of outputs times cotangents; None without float outputs."""
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
        """The outputs, and the gradients of float inputs and then variables; none if there is no scalar."""
        tf = self.module
        floats = self.float_inputs(inputs)
        with tf.GradientTape() as tape:
            for x in floats:
                tape.watch(x)
            outputs = self.call_model(model, inputs, training)
            scalar = self.sum_outputs(outputs, arrays)
        if scalar is None:
            return outputs, []
        gradients = tape.gradient(scalar, [*floats, *(v.value for v in variables)])
        return outputs, [None if g is None else tf.convert_to_tensor(g) for g in gradients]

    def torch_gradients(
        self, model: Any, inputs: list[Any], variables: list[Any], arrays: Tensors, training: bool
    ) -> tuple[list[Any], list[Any]]:
        """As `tensorflow_gradients`."""
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
        """As `tensorflow_gradients`."""
        jax, floats = self.module, self.float_inputs(inputs)

        def compute_loss(arguments: list[Any]) -> Any:
            float_values = iter(arguments[: len(floats)])
            values = [next(float_values) if any(x is y for y in floats) else x for x in inputs]
            result, state = model.stateless_call(
                arguments[len(floats) :],
                [v.value for v in model.non_trainable_variables],
                values if len(values) > 1 else values[0],
                training=training,
            )
            outputs = order_outputs(result, self.job["outputs"])
            scalar = self.sum_outputs(outputs, arrays)
            return (0.0 if scalar is None else scalar), (outputs, state)

        arguments = [*floats, *(v.value for v in variables)]
        (_, (outputs, state)), gradients = jax.value_and_grad(compute_loss, has_aux=True)(arguments)
        if training:
            for variable, value in zip(model.non_trainable_variables, state, strict=True):
                variable.assign(value)
        return outputs, gradients

    def train_step(self, model: Any, arrays: Tensors) -> Tensors:
        """One step of plain gradient descent, with all dropout rates set to 0."""
        dropouts = [x for x in nested_layers(model) if isinstance(x, self.keras.layers.Dropout)]
        rates = [float(x.rate) for x in dropouts]
        for x in dropouts:
            x.rate = 0.0
        results = self.compute_gradients(model, arrays, "trained_")
        pairs = [(g, v) for g, v in self.gradient_pairs if g is not None]
        if pairs:
            gradients, variables = zip(*pairs, strict=True)
            self.keras.optimizers.SGD(learning_rate=LEARNING_RATE).apply(list(gradients), list(variables))
        results |= {f"weight:{v.path}": self.to_numpy(v.value) for v in model.trainable_variables}
        results |= {
            f"statistic:{v.path}": self.to_numpy(v.value)
            for v in model.non_trainable_variables
            if "seed_generator" not in v.path
        }
        return results | {f"rate:{i}": np.array(r) for i, r in enumerate(rates)}

    def name_outputs(self, kind: str, outputs: list[Any]) -> Tensors:
        return {f"{kind}:{n}": self.to_numpy(y) for n, y in zip(self.job["outputs"], outputs, strict=True)}

    def to_numpy(self, value: Any) -> Any:
        """A NumPy copy of a tensor; float16 and bfloat16 become float32."""
        if self.runtime == "torch":
            value = value.detach().cpu()
            if value.dtype in (self.module.bfloat16, self.module.float16):
                value = value.float()
            return value.numpy().copy()
        if self.keras.backend.standardize_dtype(value.dtype) in ("bfloat16", "float16"):
            # NumPy cannot convert a bfloat16 scalar of TensorFlow.
            value = self.keras.ops.cast(value, "float32")
        return np.asarray(self.keras.ops.convert_to_numpy(value))


def nested_layers(layer: Any) -> list[Any]:
    """All layers inside a layer, in the order of their creation, each once.

    Keras' own `_flatten_layers` lists the layers of a Sequential backwards.
    """
    layers: dict[int, Any] = {}
    for x in layer._layers:
        layers |= {id(y): y for y in (x, *nested_layers(x)) if id(y) not in layers}
    return list(layers.values())


class EagerKeras:
    """The module `keras`, except that `Input` returns an array and `Model` does nothing."""

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
