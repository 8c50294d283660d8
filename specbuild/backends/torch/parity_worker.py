"""The parity worker for PyTorch: runs an emitted file, and returns outputs, gradients and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from specbuild.backends.torch.calibrate import calibrate_weights
from specbuild.backends.torch.reserved import MEMBER_ATTRIBUTES
from specbuild.backends.torch.switches import SWITCHES
from specbuild.frontend.names import read_alias
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.parity_job import ParityJob
from specbuild.runtimes.switches import apply_switches
from specbuild.runtimes.worker_jobs import Job, Tensors, Worker


def open_parity_worker(options: WorkerOptions) -> Worker:
    import torch

    torch.set_num_threads(options.threads)
    switches = apply_switches(SWITCHES, {"torch": torch}, options)
    device: str | None = "cpu"
    if options.device == "cuda":
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    handshake = {"framework": f"torch {torch.__version__}", "device": device, "switches": switches}
    return Worker(lambda job: TorchJob(torch, job, options.device).run(), handshake)


class TorchJob(ParityJob):
    """Runs one job: one emitted file, in some modes, or the calibration of its weights in float64."""

    def __init__(self, torch: Any, job: Job, device: str):
        super().__init__({**job, "dtype": "float64"} if job["calibrate"] else job)
        self.torch, self.device = torch, device
        self.dtype = getattr(torch, self.job["dtype"])
        torch.set_default_dtype(self.dtype)

    def run(self) -> Tensors:
        """Return the results by key `kind:path`; of a calibration job, the scaled weights by name."""
        if not self.job["calibrate"]:
            return super().run()
        code = Path(self.job["file"]).read_text(encoding="utf-8")
        model, recorder = self.load_probed_model(code, lambda path, value: None)
        return calibrate_weights(self.torch, model, recorder, self.load_inputs())

    def to_tensor(self, array: Any) -> Any:
        tensor = self.torch.from_numpy(np.asarray(array))
        return tensor.to(self.device, self.dtype if tensor.is_floating_point() else tensor.dtype)

    def to_numpy(self, tensor: Any) -> Any:
        tensor = tensor.detach().cpu()
        half = tensor.dtype in (self.torch.bfloat16, self.torch.float16)
        return (tensor.float() if half else tensor).numpy().copy()

    def trained_weights(self, model: Any) -> Mapping[str, Any]:
        return dict(model.named_parameters())

    def statistics(self, model: Any) -> Mapping[str, Any]:
        """Return the buffers that are saved, without the counters of batch norms."""
        saved = model.state_dict(keep_vars=True).items()
        return {
            name: tensor
            for name, tensor in saved
            if not isinstance(tensor, self.torch.nn.Parameter) and not name.endswith("num_batches_tracked")
        }

    def assign(self, variable: Any, tensor: Any) -> None:
        with self.torch.no_grad():
            variable.copy_(tensor)

    def differentiate(
        self, model: Any, inputs: list[Any], cotangents: Sequence[Any]
    ) -> tuple[list[Any], list[Any], Mapping[str, Any]]:
        for x in inputs:
            x.requires_grad_(x.is_floating_point())
        model.zero_grad(set_to_none=True)
        train_recurrent_layers(self.torch, model)
        outputs = self.call_model(model, inputs)
        total = self.sum_outputs(outputs, cotangents)
        if isinstance(total, self.torch.Tensor) and total.requires_grad:
            total.backward()
        return outputs, [x.grad for x in inputs], {name: p.grad for name, p in model.named_parameters()}

    def create_model(self, model_class: Any) -> Any:
        return model_class().to(self.device)

    def disable_gradients(self) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = self.torch.no_grad()
        return context

    def set_training(self, model: Any, training: bool) -> None:
        model.train(training)

    def remove_dropout(self, model: Any) -> list[float]:
        rates = []
        for module in model.modules():
            is_dropout = isinstance(module, self.torch.nn.modules.dropout._DropoutNd)
            if is_dropout or type(module).__name__ == "DropPath":  # a class of the emitted file
                name = "p" if is_dropout else "rate"
                rates.append(float(getattr(module, name)))
                setattr(module, name, 0.0)
        return rates

    def sequential_layers(self, layer: Any) -> list[tuple[str, Any]] | None:
        return name_members(layer) if type(layer) is self.torch.nn.Sequential else None


def train_recurrent_layers(torch: Any, model: Any) -> None:
    """Put recurrent layers, without their dropout, into training mode; everything else stays as it is.

    cuDNN computes their gradients in training mode only. Without dropout, both modes give the same result.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.RNNBase):
            module.train()
            module.dropout = 0.0


def name_members(sequential: Any) -> list[tuple[str, Any]]:
    """Return the layers of a Sequential, each with its name in the spec."""
    return [(read_alias(name, MEMBER_ATTRIBUTES), layer) for name, layer in sequential.named_children()]
