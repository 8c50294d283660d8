"""Runs emitted PyTorch files: `python -m specbuild.backends.torch.parity_worker PLACE`, jobs on standard input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from specbuild.backends.torch.calibrate import calibrated
from specbuild.runtimes.jobs import RATE, Place
from specbuild.runtimes.probes import Recorder, probed
from specbuild.runtimes.switches import applied
from specbuild.runtimes.worker_loop import Found, Job, executed, listed, read, serve


def main(place: Place) -> None:
    import torch

    torch.set_num_threads(place.threads)
    switches = applied({"torch": torch}, place)
    there = place.device == "cpu" or torch.cuda.is_available()
    name = torch.cuda.get_device_name() if there and place.device == "cuda" else "cpu"
    hello = {
        "framework": f"torch {torch.__version__}",
        "device": name if there else None,
        "switches": switches,
    }
    serve(hello, lambda job: Worker(torch, job, place.device).run())


class Worker:
    """One job."""

    def __init__(self, torch: Any, job: Job, device: str):
        self.torch, self.job, self.device = torch, job, device
        self.dtype = getattr(torch, job["dtype"])

    def run(self) -> Found:
        arrays = read(self.job["arrays"])
        weights = read(self.job["weights"])
        if self.job["calibrate"]:
            model, recorder = self.probed(self.torch.float64, weights)
            return calibrated(self.torch, model, recorder, self.inputs(arrays, self.torch.float64))
        found: Found = {}
        model = self.model(self.file(), self.dtype, weights, {})
        if "forward" in self.job["modes"]:
            with self.torch.no_grad():
                found |= self.named("output", self.called(model.eval(), self.inputs(arrays, self.dtype)))
        if self.job["steps"]:
            found |= self.steps(arrays, weights)
        if "gradients" in self.job["modes"]:
            found |= self.gradients(self.evaluated(model), arrays, "")
        if "train" in self.job["modes"]:
            found |= self.trained(model.train(), arrays)
        return found

    def file(self) -> str:
        return Path(self.job["file"]).read_text(encoding="utf-8")

    def model(self, code: Any, dtype: Any, weights: Found, scope: dict[str, Any]) -> Any:
        """The emitted model with these weights."""
        self.torch.set_default_dtype(dtype)
        model = executed(code, self.job, scope)[self.job["model"]]()
        state = {k: self.torch.from_numpy(v).to(dtype) for k, v in weights.items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        missing = [k for k in missing if not k.endswith("num_batches_tracked")]
        if missing or unexpected:
            raise RuntimeError(f"weights missing {missing} unexpected {unexpected}")
        return model.to(self.device)

    def probed(self, dtype: Any, weights: Found) -> tuple[Any, Recorder]:
        nn = self.torch.nn
        recorder = Recorder(
            lambda path, value: None,
            lambda layer: list(layer.named_children()) if type(layer) is nn.Sequential else None,
        )
        code = probed(self.file(), self.job["probes"])
        return self.model(code, dtype, weights, recorder.scope).eval(), recorder

    def steps(self, arrays: Found, weights: Found) -> Found:
        """What each step gives."""
        found: Found = {}
        model, recorder = self.probed(self.dtype, weights)

        def record(path: str, value: Any) -> None:
            if isinstance(value, self.torch.Tensor):
                found[f"step:{path}"] = self.numpy(value)

        recorder.record, recorder.active = record, True
        with self.torch.no_grad():
            model(*self.inputs(arrays, self.dtype))
        return found

    def inputs(self, arrays: Found, dtype: Any) -> list[Any]:
        tensors = [self.torch.from_numpy(arrays[f"input:{n}"]) for n in self.job["inputs"]]
        return [(x.to(dtype) if x.is_floating_point() else x).to(self.device) for x in tensors]

    def called(self, model: Any, inputs: list[Any]) -> list[Any]:
        return listed(model(*inputs), self.job["outputs"])

    def scalar(self, outputs: list[Any], arrays: Found) -> Any:
        """A random scalar of all outputs; None if none of them is of floats."""
        parts = [
            (y * self.torch.from_numpy(arrays[f"head:{n}"]).to(y.dtype).to(self.device)).sum()
            for n, y in zip(self.job["outputs"], outputs, strict=True)
            if y.is_floating_point()
        ]
        total = sum(parts[1:], parts[0]) if parts else None
        return total if total is not None and total.requires_grad else None

    def evaluated(self, model: Any) -> Any:
        """The model in evaluation, but for recurrent layers: cuDNN gives their gradients in training mode only, where
        without dropout they compute the same."""
        for module in model.eval().modules():
            if isinstance(module, self.torch.nn.RNNBase):
                module.train()
                module.dropout = 0.0
        return model

    def gradients(self, model: Any, arrays: Found, prefix: str) -> Found:
        """The gradients of inputs and weights; in training, the outputs too."""
        inputs = self.inputs(arrays, self.dtype)
        floats = [x.requires_grad_(True) for x in inputs if x.is_floating_point()]
        model.zero_grad(set_to_none=True)
        outputs = self.called(model, inputs)
        found = self.named(f"{prefix}output", outputs) if prefix else {}
        scalar = self.scalar(outputs, arrays)
        if scalar is not None:
            scalar.backward()
        names = [n for n, x in zip(self.job["inputs"], inputs, strict=True) if x.is_floating_point()]
        found |= {
            f"{prefix}gradient:{n}": self.numpy(x.grad)
            for n, x in zip(names, floats, strict=True)
            if x.grad is not None
        }
        return found | {
            f"{prefix}weight_gradient:{n}": self.numpy(p.grad)
            for n, p in model.named_parameters()
            if p.grad is not None
        }

    def trained(self, model: Any, arrays: Found) -> Found:
        """One step of plain gradient descent, with dropout off."""
        rates = []
        for module in model.modules():
            known = isinstance(module, self.torch.nn.modules.dropout._DropoutNd)
            if known or type(module).__name__ == "DropPath":  # the file's own
                name = "p" if known else "rate"
                rates.append(float(getattr(module, name)))
                setattr(module, name, 0.0)
        found = self.gradients(model, arrays, "trained_")
        if any(p.grad is not None for p in model.parameters()):
            self.torch.optim.SGD(model.parameters(), lr=RATE).step()
        found |= {f"weight:{n}": self.numpy(p) for n, p in model.named_parameters()}
        found |= {f"statistic:{n}": self.numpy(b) for n, b in model.named_buffers() if b.is_floating_point()}
        return found | {f"rate:{i}": self.numpy(self.torch.tensor(r)) for i, r in enumerate(rates)}

    def named(self, kind: str, outputs: list[Any]) -> Found:
        return {f"{kind}:{n}": self.numpy(y) for n, y in zip(self.job["outputs"], outputs, strict=True)}

    def numpy(self, value: Any) -> Any:
        value = value.detach().cpu()
        half = value.dtype in (self.torch.bfloat16, self.torch.float16)
        return (value.float() if half else value).numpy().copy()


if __name__ == "__main__":
    main(Place(**json.loads(sys.argv[1])))
