"""The parity worker for PyTorch: `python -m specbuild.backends.torch.parity_worker OPTIONS` (as JSON).

Jobs are read from standard input; see `specbuild.runtimes.worker_loop`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from specbuild.backends.torch.calibrate import calibrate_weights
from specbuild.backends.torch.switches import SWITCHES
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
    import torch

    torch.set_num_threads(options.threads)
    switches = apply_switches(SWITCHES, {"torch": torch}, options)
    device: str | None = "cpu"
    if options.device == "cuda":
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    hello = {"framework": f"torch {torch.__version__}", "device": device, "switches": switches}
    serve_jobs(hello, lambda job: JobRunner(torch, job, options.device).run())


class JobRunner:
    """Runs one job: one emitted file, in some modes."""

    def __init__(self, torch: Any, job: Job, device: str):
        self.torch, self.job, self.device = torch, job, device
        self.dtype = getattr(torch, job["dtype"])

    def run(self) -> Tensors:
        """The results by key `kind:path`; of a calibration job, the scaled weights by name."""
        arrays = load_tensors(self.job["arrays"])
        weights = load_tensors(self.job["weights"])
        if self.job["calibrate"]:
            model, recorder = self.build_probed_model(self.torch.float64, weights)
            inputs = self.load_inputs(arrays, self.torch.float64)
            return calibrate_weights(self.torch, model, recorder, inputs)
        results: Tensors = {}
        model = self.build_model(self.read_source(), self.dtype, weights, {})
        if "forward" in self.job["modes"]:
            with self.torch.no_grad():
                outputs = self.call_model(model.eval(), self.load_inputs(arrays, self.dtype))
                results |= self.name_outputs("output", outputs)
        if self.job["steps"]:
            results |= self.record_steps(arrays, weights)
        if "gradients" in self.job["modes"]:
            results |= self.compute_gradients(self.set_evaluation_mode(model), arrays, "")
        if "train" in self.job["modes"]:
            results |= self.train_step(model.train(), arrays)
        return results

    def read_source(self) -> str:
        return Path(self.job["file"]).read_text(encoding="utf-8")

    def build_model(self, code: Any, dtype: Any, weights: Tensors, scope: dict[str, Any]) -> Any:
        """Execute the emitted file (text or syntax tree), instantiate its model and load the weights."""
        self.torch.set_default_dtype(dtype)
        model = execute_source(code, self.job, scope)[self.job["model"]]()
        state = {k: self.torch.from_numpy(v).to(dtype) for k, v in weights.items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        missing = [k for k in missing if not k.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise RuntimeError(f"missing weights: {missing}; unexpected weights: {unexpected}")
        return model.to(self.device)

    def build_probed_model(self, dtype: Any, weights: Tensors) -> tuple[Any, StepRecorder]:
        """The model in evaluation mode, with probes, and the recorder that they call."""
        nn = self.torch.nn
        recorder = StepRecorder(
            lambda path, value: None,
            lambda layer: list(layer.named_children()) if type(layer) is nn.Sequential else None,
        )
        code = insert_probes(self.read_source(), self.job["probes"])
        return self.build_model(code, dtype, weights, recorder.probe_functions).eval(), recorder

    def record_steps(self, arrays: Tensors, weights: Tensors) -> Tensors:
        """The value of each step."""
        values: Tensors = {}
        model, recorder = self.build_probed_model(self.dtype, weights)

        def record_value(path: str, value: Any) -> None:
            if isinstance(value, self.torch.Tensor):
                values[f"step:{path}"] = self.to_numpy(value)

        recorder.on_value, recorder.active = record_value, True
        with self.torch.no_grad():
            model(*self.load_inputs(arrays, self.dtype))
        return values

    def load_inputs(self, arrays: Tensors, dtype: Any) -> list[Any]:
        tensors = [self.torch.from_numpy(arrays[f"input:{n}"]) for n in self.job["inputs"]]
        return [(x.to(dtype) if x.is_floating_point() else x).to(self.device) for x in tensors]

    def call_model(self, model: Any, inputs: list[Any]) -> list[Any]:
        return order_outputs(model(*inputs), self.job["outputs"])

    def sum_outputs(self, outputs: list[Any], arrays: Tensors) -> Any:
        """The scalar to differentiate: the sum of outputs times cotangents; None if it has no gradient."""
        parts = [
            (y * self.torch.from_numpy(arrays[f"cotangent:{n}"]).to(y.dtype).to(self.device)).sum()
            for n, y in zip(self.job["outputs"], outputs, strict=True)
            if y.is_floating_point()
        ]
        total = sum(parts[1:], parts[0]) if parts else None
        return total if total is not None and total.requires_grad else None

    def set_evaluation_mode(self, model: Any) -> Any:
        """Put the model into evaluation mode, except recurrent layers.

        cuDNN computes their gradients in training mode only. Without dropout, both modes give the same
        result.
        """
        for module in model.eval().modules():
            if isinstance(module, self.torch.nn.RNNBase):
                module.train()
                module.dropout = 0.0
        return model

    def compute_gradients(self, model: Any, arrays: Tensors, prefix: str) -> Tensors:
        """The gradients of inputs and weights; with a `prefix` for the training step, the outputs too."""
        inputs = self.load_inputs(arrays, self.dtype)
        floats = [x.requires_grad_(True) for x in inputs if x.is_floating_point()]
        model.zero_grad(set_to_none=True)
        outputs = self.call_model(model, inputs)
        results = self.name_outputs(f"{prefix}output", outputs) if prefix else {}
        scalar = self.sum_outputs(outputs, arrays)
        if scalar is not None:
            scalar.backward()
        names = [n for n, x in zip(self.job["inputs"], inputs, strict=True) if x.is_floating_point()]
        results |= {
            f"{prefix}gradient:{n}": self.to_numpy(x.grad)
            for n, x in zip(names, floats, strict=True)
            if x.grad is not None
        }
        return results | {
            f"{prefix}weight_gradient:{n}": self.to_numpy(p.grad)
            for n, p in model.named_parameters()
            if p.grad is not None
        }

    def train_step(self, model: Any, arrays: Tensors) -> Tensors:
        """One step of plain gradient descent, with all dropout rates set to 0."""
        rates = []
        for module in model.modules():
            is_dropout = isinstance(module, self.torch.nn.modules.dropout._DropoutNd)
            if is_dropout or type(module).__name__ == "DropPath":  # a class of the emitted file
                name = "p" if is_dropout else "rate"
                rates.append(float(getattr(module, name)))
                setattr(module, name, 0.0)
        results = self.compute_gradients(model, arrays, "trained_")
        if any(p.grad is not None for p in model.parameters()):
            self.torch.optim.SGD(model.parameters(), lr=LEARNING_RATE).step()
        results |= {f"weight:{n}": self.to_numpy(p) for n, p in model.named_parameters()}
        results |= {
            f"statistic:{n}": self.to_numpy(b) for n, b in model.named_buffers() if b.is_floating_point()
        }
        return results | {f"rate:{i}": self.to_numpy(self.torch.tensor(r)) for i, r in enumerate(rates)}

    def name_outputs(self, kind: str, outputs: list[Any]) -> Tensors:
        return {f"{kind}:{n}": self.to_numpy(y) for n, y in zip(self.job["outputs"], outputs, strict=True)}

    def to_numpy(self, value: Any) -> Any:
        """A NumPy copy of a tensor; float16 and bfloat16 become float32."""
        value = value.detach().cpu()
        half = value.dtype in (self.torch.bfloat16, self.torch.float16)
        return (value.float() if half else value).numpy().copy()


if __name__ == "__main__":
    run_parity_worker(WorkerOptions(**json.loads(sys.argv[1])))
