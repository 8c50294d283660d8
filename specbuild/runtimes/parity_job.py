"""The part of a parity job that is the same in every framework: a base class for the workers of backends.

A job has an emitted file, the model's name in it, weights and inputs as arrays, the modes to run, and the probes for
steps. The result is a mapping from keys `kind:path` to arrays. The paths of weights are those that the backend gives
them (`Backend.weight_path_parts`); inputs, outputs and steps have the names of the spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.runtimes.emitted_file import execute_source, order_outputs
from specbuild.runtimes.jobs import LEARNING_RATE
from specbuild.runtimes.probes import StepRecorder, insert_probes
from specbuild.runtimes.worker_jobs import Job, Tensors, load_tensors


class ParityJob:
    """Runs one job. A worker's subclass fills in what depends on its framework.

    Required: `to_tensor`, `to_numpy`, `trained_weights`, and `assign`; for the modes "gradients" and "train" also
    `differentiate`. Each method that is optional says when a framework needs it.
    """

    def __init__(self, job: Job):
        self.job = job
        self.arrays, self.weights = load_tensors(job["arrays"]), load_tensors(job["weights"])

    # --------------------------------------------------------------------------- what a framework fills in

    def to_tensor(self, array: Any) -> Any:
        """Return an array as a tensor. Floats get the dtype of the job, `self.job["dtype"]`."""
        raise NotImplementedError

    def to_numpy(self, tensor: Any) -> Any:
        """Return a tensor as an array; float16 and bfloat16 as float32."""
        raise NotImplementedError

    def trained_weights(self, model: Any) -> Mapping[str, Any]:
        """Return the variables that training changes by gradients, by path."""
        raise NotImplementedError

    def statistics(self, model: Any) -> Mapping[str, Any]:
        """Return the other saved variables, such as running means, by path."""
        return {}

    def assign(self, variable: Any, tensor: Any) -> None:
        """Set the value of a variable."""
        raise NotImplementedError

    def read(self, variable: Any) -> Any:
        """Return the value of a variable, if it is not itself a tensor."""
        return variable

    def differentiate(
        self, model: Any, inputs: list[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any], Mapping[str, Any]]:
        """Return the outputs, and the gradients of `sum_outputs` with respect to inputs and trained weights.

        The gradients of inputs are in their order, None for integers; those of weights are by path.
        """
        raise NotImplementedError

    def create_model(self, model_class: Any) -> Any:
        """Return the model, from the class or function in the emitted file."""
        return model_class()

    def disable_gradients(self) -> AbstractContextManager[Any]:
        """Return the context in which a model is called when no gradients are asked for."""
        return nullcontext()

    def set_training(self, model: Any, training: bool) -> None:
        """Put the model into the mode for training or for evaluation, if it has such modes."""

    def remove_dropout(self, model: Any) -> list[float]:
        """Set all dropout rates to 0, and return what they were, in the order in which the layers were created.

        A rate of 0 can be missing: another backend may have no layer for it.
        """
        return []

    def sequential_layers(self, layer: Any) -> list[tuple[str, Any]] | None:
        """Return the names and layers of a layer that calls others one after another; None for any other layer."""
        return None

    # -------------------------------------------------------------------------------- what all frameworks do

    def run(self) -> Tensors:
        """Return the results of all modes by key."""
        results: Tensors = {}
        code = Path(self.job["file"]).read_text(encoding="utf-8")
        model = self.load_model(execute_source(code, self.job, {}))
        self.set_training(model, False)
        if "forward" in self.job["modes"]:
            with self.disable_gradients():
                results |= self.name_outputs("output", self.call_model(model, self.load_inputs()))
        if self.job["steps"]:
            results |= self.record_steps(code)
        if "gradients" in self.job["modes"]:
            results |= self.run_backward(model, "")
        if "train" in self.job["modes"]:
            results |= self.train_step(model)
        return results

    def load_model(self, scope: Mapping[str, Any]) -> Any:
        """Return the model that an executed file defines, with the weights of the job."""
        model = self.create_model(scope[self.job["model"]])
        variables = {**self.trained_weights(model), **self.statistics(model)}
        missing, unexpected = sorted(variables.keys() - self.weights), sorted(self.weights.keys() - variables)
        if missing or unexpected:
            raise RuntimeError(f"missing weights: {missing}; unexpected weights: {unexpected}")
        for path, variable in variables.items():
            before, array = self.read(variable), self.weights[path]
            if tuple(before.shape) != array.shape:
                raise RuntimeError(f"{path} has the shape {tuple(before.shape)}, its weights {array.shape}")
            self.assign(variable, self.to_tensor(array))
        return model

    def load_inputs(self) -> list[Any]:
        return [self.to_tensor(self.arrays[f"input:{name}"]) for name in self.job["inputs"]]

    def call_model(self, model: Any, inputs: list[Any]) -> list[Any]:
        return order_outputs(model(*inputs), self.job["outputs"])

    def name_outputs(self, kind: str, outputs: list[Any]) -> Tensors:
        pairs = zip(self.job["outputs"], outputs, strict=True)
        return {f"{kind}:{name}": self.to_numpy(value) for name, value in pairs}

    def sum_outputs(self, outputs: list[Any], cotangents: Sequence[Any]) -> Any:
        """Return the number to differentiate: the sum of float outputs times cotangents; 0 without any."""
        pairs = zip(outputs, cotangents, strict=True)
        return sum((y * cotangent).sum() for y, cotangent in pairs if "float" in str(y.dtype))

    def record_steps(self, code: str) -> Tensors:
        """Return the value of each step of a second model, whose code calls a recorder."""
        values: Tensors = {}

        def record_value(path: str, value: Any) -> None:
            if hasattr(value, "shape") and hasattr(value, "dtype"):
                values[f"step:{path}"] = self.to_numpy(value)

        model, recorder = self.load_probed_model(code, record_value)
        recorder.active = True
        with self.disable_gradients():
            self.call_model(model, self.load_inputs())
        return values

    def load_probed_model(
        self, code: str, record_value: Callable[[str, Any], None]
    ) -> tuple[Any, StepRecorder]:
        """Return the model for evaluation, whose code calls the recorder, and the recorder, which is not active yet."""
        recorder = StepRecorder(record_value, self.sequential_layers)
        scope = execute_source(insert_probes(code, self.job["probes"]), self.job, recorder.probe_functions)
        model = self.load_model(scope)
        self.set_training(model, False)
        return model, recorder

    def run_backward(self, model: Any, prefix: str) -> Tensors:
        """Return the gradients of inputs and weights; with a `prefix` for the training step, the outputs too."""
        cotangents = [self.to_tensor(self.arrays[f"cotangent:{name}"]) for name in self.job["outputs"]]
        outputs, inputs, weights = self.differentiate(model, self.load_inputs(), cotangents)
        results = self.name_outputs(f"{prefix}output", outputs) if prefix else {}
        gradients = {f"{prefix}gradient:{n}": g for n, g in zip(self.job["inputs"], inputs, strict=True)}
        gradients |= {f"{prefix}weight_gradient:{path}": g for path, g in weights.items()}
        return results | {key: self.to_numpy(g) for key, g in gradients.items() if g is not None}

    def train_step(self, model: Any) -> Tensors:
        """Run one step of plain gradient descent, with all dropout rates set to 0; return all that it changes."""
        self.set_training(model, True)
        rates = self.remove_dropout(model)
        results = self.run_backward(model, "trained_")
        trained = self.trained_weights(model)
        for path, variable in trained.items():
            gradient = results.get(f"trained_weight_gradient:{path}")
            if gradient is not None:
                value = self.to_numpy(self.read(variable)) - LEARNING_RATE * gradient
                self.assign(variable, self.to_tensor(value))
        results |= {f"weight:{path}": self.to_numpy(self.read(v)) for path, v in trained.items()}
        statistics = self.statistics(model)
        results |= {f"statistic:{path}": self.to_numpy(self.read(v)) for path, v in statistics.items()}
        return results | {f"rate:{i}": np.array(rate) for i, rate in enumerate(rates)}
