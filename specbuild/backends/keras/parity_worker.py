"""The parity worker for Keras: runs an emitted file, and returns outputs, gradients and steps.

KERAS_BACKEND selects the runtime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from specbuild.backends.keras.switches import SWITCHES
from specbuild.runtimes.emitted_file import execute_source, order_outputs
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.parity_job import ParityJob
from specbuild.runtimes.probes import StepRecorder, insert_probes
from specbuild.runtimes.switches import apply_switches
from specbuild.runtimes.worker_jobs import Job, Tensors, Worker


def open_parity_worker(options: WorkerOptions) -> Worker:
    import keras

    keras.config.set_image_data_format("channels_last")  # a user's keras.json may say otherwise
    keras.config.set_epsilon(1e-7)
    runtime = keras.backend.backend()
    module = import_module(runtime)
    if runtime == "torch":
        module.set_num_threads(options.threads)
    switches = apply_switches(SWITCHES[runtime], {runtime: module, "keras": keras}, options)
    keras.initializers.Orthogonal.__call__ = make_zeros
    handshake = {
        "framework": f"keras {keras.__version__} on {runtime} {module.__version__}",
        "device": device_name(runtime, module, options),
        "switches": switches,
    }
    return Worker(lambda job: KerasJob(job).run(), handshake)


def device_name(runtime: str, module: Any, options: WorkerOptions) -> str | None:
    """Return the name of the device; None if the machine has none."""
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


class KerasJob(ParityJob):
    """Runs one job: one emitted file, in some modes. `module` is the module of the runtime."""

    def __init__(self, job: Job):
        import keras

        super().__init__(job)
        self.keras, self.runtime = keras, keras.backend.backend()
        self.module: Any = import_module(self.runtime)
        self.is_training = False
        keras.backend.clear_session()
        keras.config.set_floatx(job["dtype"])
        keras.config.set_dtype_policy(job["dtype"])
        if self.runtime == "jax":
            # Off in float32, as users have it: with float64 enabled, Keras' GRU without a bias mixes dtypes.
            self.module.config.update("jax_enable_x64", job["dtype"] == "float64")

    def to_tensor(self, array: Any) -> Any:
        dtype = self.job["dtype"] if array.dtype.kind == "f" else str(array.dtype)
        return self.keras.ops.convert_to_tensor(array, dtype=dtype)

    def to_numpy(self, tensor: Any) -> Any:
        if self.runtime == "torch":
            tensor = tensor.detach().cpu()
            if tensor.dtype in (self.module.bfloat16, self.module.float16):
                tensor = tensor.float()
            return tensor.numpy().copy()
        if self.keras.backend.standardize_dtype(tensor.dtype) in ("bfloat16", "float16"):
            # NumPy cannot convert a bfloat16 scalar of TensorFlow.
            tensor = self.keras.ops.cast(tensor, "float32")
        return np.asarray(self.keras.ops.convert_to_numpy(tensor))

    def trained_weights(self, model: Any) -> Mapping[str, Any]:
        return {v.path: v for v in model.trainable_variables}

    def statistics(self, model: Any) -> Mapping[str, Any]:
        return {v.path: v for v in model.non_trainable_variables if "seed_generator" not in v.path}

    def assign(self, variable: Any, tensor: Any) -> None:
        variable.assign(tensor)

    def read(self, variable: Any) -> Any:
        return variable.value

    def differentiate(
        self, model: Any, inputs: list[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any], Mapping[str, Any]]:
        variables = list(model.trainable_variables)
        differentiate = {
            "tensorflow": self.tensorflow_gradients,
            "jax": self.jax_gradients,
            "torch": self.torch_gradients,
        }[self.runtime]
        outputs, found = differentiate(model, inputs, variables, cotangents)
        gradients = iter(found)
        of_inputs = [next(gradients, None) if self.is_float(x) else None for x in inputs]
        return outputs, of_inputs, {v.path: next(gradients, None) for v in variables}

    def set_training(self, model: Any, training: bool) -> None:
        self.is_training = training

    def remove_dropout(self, model: Any) -> list[float]:
        dropouts = [x for x in nested_layers(model) if isinstance(x, self.keras.layers.Dropout)]
        rates = [float(x.rate) for x in dropouts]
        for x in dropouts:
            x.rate = 0.0
        return rates

    def sequential_layers(self, layer: Any) -> list[tuple[str, Any]] | None:
        is_sequential = type(layer) is self.keras.Sequential
        return [(x.name, x) for x in layer.layers] if is_sequential else None

    def record_steps(self, code: str) -> Tensors:
        """Return the value of each step.

        The function that builds the functional model is run a second time, on arrays instead of symbolic
        tensors, and with the layers of the first model, which hold the weights.
        """
        values: Tensors = {}

        def record_value(path: str, value: Any) -> None:
            if self.keras.ops.is_tensor(value):
                values[f"step:{path}"] = self.to_numpy(value)

        recorder = StepRecorder(
            record_value, self.sequential_layers, lambda layer: model.get_layer(layer.name)
        )
        scope = execute_source(insert_probes(code, self.job["probes"]), self.job, recorder.probe_functions)
        model = self.load_model(scope)
        inputs = dict(zip(self.job["inputs"], self.load_inputs(), strict=True))
        scope["keras"] = EagerKeras(self.keras, inputs)
        recorder.active = True
        scope[self.job["model"]]()
        return values

    def call_model(self, model: Any, inputs: list[Any]) -> list[Any]:
        result = model(inputs if len(inputs) > 1 else inputs[0], training=self.is_training)
        return order_outputs(result, self.job["outputs"])

    def is_float(self, tensor: Any) -> bool:
        return "float" in self.keras.backend.standardize_dtype(tensor.dtype)

    def sum_outputs(self, outputs: list[Any], cotangents: Sequence[Any]) -> Any:
        """Return the number to differentiate, as in the base class; None without float outputs."""
        ops = self.keras.ops
        pairs = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if self.is_float(y)]
        parts = [ops.sum(y * ops.cast(cotangent, y.dtype)) for y, cotangent in pairs]
        return sum(parts[1:], parts[0]) if parts else None

    def tensorflow_gradients(
        self, model: Any, inputs: list[Any], variables: list[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """Return the outputs, and the gradients of float inputs and then variables; none if there is no number."""
        tf = self.module
        floats = [x for x in inputs if self.is_float(x)]
        with tf.GradientTape() as tape:
            for x in floats:
                tape.watch(x)
            outputs = self.call_model(model, inputs)
            scalar = self.sum_outputs(outputs, cotangents)
        if scalar is None:
            return outputs, []
        gradients = tape.gradient(scalar, [*floats, *(v.value for v in variables)])
        return outputs, [None if g is None else tf.convert_to_tensor(g) for g in gradients]

    def torch_gradients(
        self, model: Any, inputs: list[Any], variables: list[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """As `tensorflow_gradients`."""
        floats = [x.requires_grad_(True) for x in inputs if self.is_float(x)]
        for v in variables:
            v.value.grad = None
        outputs = self.call_model(model, inputs)
        scalar = self.sum_outputs(outputs, cotangents)
        if scalar is None or not scalar.requires_grad:
            return outputs, []
        scalar.backward()
        return outputs, [x.grad for x in floats] + [v.value.grad for v in variables]

    def jax_gradients(
        self, model: Any, inputs: list[Any], variables: list[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any]]:
        """As `tensorflow_gradients`; in training, the model's statistics are updated."""
        jax, floats = self.module, [x for x in inputs if self.is_float(x)]

        def compute_loss(arguments: list[Any]) -> Any:
            float_values = iter(arguments[: len(floats)])
            values = [next(float_values) if any(x is y for y in floats) else x for x in inputs]
            result, state = model.stateless_call(
                arguments[len(floats) :],
                [v.value for v in model.non_trainable_variables],
                values if len(values) > 1 else values[0],
                training=self.is_training,
            )
            outputs = order_outputs(result, self.job["outputs"])
            scalar = self.sum_outputs(outputs, cotangents)
            return (0.0 if scalar is None else scalar), (outputs, state)

        arguments = [*floats, *(v.value for v in variables)]
        (_, (outputs, state)), gradients = jax.value_and_grad(compute_loss, has_aux=True)(arguments)
        if self.is_training:
            for variable, value in zip(model.non_trainable_variables, state, strict=True):
                variable.assign(value)
        return outputs, gradients


def nested_layers(layer: Any) -> list[Any]:
    """Return all layers inside a layer, in the order of their creation, each once.

    Keras' own `_flatten_layers` lists the layers of a Sequential backwards.
    """
    return list(dict.fromkeys(y for x in layer._layers for y in (x, *nested_layers(x))))


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
