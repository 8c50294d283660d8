"""The runs of a proof: random weights and inputs, and the jobs that run both models on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from specbuild.api import Model
from specbuild.importing.importer import ImportedModel
from specbuild.importing.original_values import restore_value
from specbuild.ir.graph import Block, Output
from specbuild.ops.types import TensorType
from specbuild.parity.exchange import to_framework_order
from specbuild.parity.probe_plan import Probe
from specbuild.runtimes.jobs import Mode
from specbuild.runtimes.worker_jobs import Job, load_tensors, save_tensors

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays

BATCH_SIZE = 2  # not that of the recorded pass


class ProofWorker(Protocol):
    """Has the original, and runs the jobs of a proof; a process of its own, or this one."""

    def run_job(self, job: Job) -> None: ...


class ProofRuns:
    """The files and jobs of one proof."""

    def __init__(self, imported: ImportedModel, worker: ProofWorker, folder: Path, seed: int):
        self.imported, self.worker, self.folder = imported, worker, folder
        self.backend = imported.reader.backend
        self.random = np.random.default_rng(seed)
        self.seed = seed
        self.weights: Arrays = {}

    def draw_weights(self) -> None:
        """Draw weights under the original's names."""
        out = str(self.folder / "published.safetensors")
        self.worker.run_job({"do": "draw", "seed": self.seed, "out": out})
        self.weights = load_tensors(out)

    def measure_statistics(self, graph: Block) -> None:
        """Give the batch norms the statistics of the inputs that are drawn next."""
        state = self.random.bit_generator.state
        inputs = {n: self.draw_input(x) for n, x in graph.inputs.items()}
        self.random.bit_generator.state = state
        arrays = {f"input:{n}": self.move_input(n, graph, v) for n, v in inputs.items()}
        job = {"do": "original", "modes": ["measure"], "inputs": list(inputs), "values": []}
        measured = self.run_job(job, "original", arrays, self.weights)
        self.weights = {**self.weights, **{n: v for n, v in measured.items() if n in self.weights}}

    def draw_input(self, x: TensorType) -> Any:
        """Draw a canonical input."""
        shape = (BATCH_SIZE, *map(int, x.sizes.values()))
        if x.dtype == "int32":
            return self.random.integers(0, 2, shape).astype("int32")
        return self.random.random(shape) < 0.7 if x.dtype == "bool" else self.random.normal(size=shape)

    def move_input(self, name: str, graph: Block, value: Any, back: bool = False) -> Any:
        """Return a canonical input with its dimensions in the original's order; with `back`, the inverse."""
        given, own = graph.inputs[name].axes, self.imported.input_dims[name]
        first, second = (own, given) if back else (given, own)
        return value.transpose([0, *(1 + list(first).index(axis) for axis in second)])

    def draw_factors(self, output: Output) -> Any:
        lead = (BATCH_SIZE,) if output.type.batched else ()
        return self.random.normal(size=(*lead, *map(int, output.type.sizes.values())))

    def run_original(
        self,
        graph: Block,
        inputs: Arrays,
        factors: Sequence[Any],
        modes: Sequence[Mode],
        values: Sequence[int] = (),
    ) -> Arrays:
        """Run the original; its results are by kind and name. `values` are numbers of values in the trace to return."""
        arrays = {f"input:{n}": self.move_input(n, graph, v) for n, v in inputs.items()}
        for i, output in enumerate(graph.outputs.values()):
            arrays[f"cotangent:{i}"] = restore_value(
                factors[i], self.imported.outputs[i].dims, output.type, BATCH_SIZE
            )
        job = {"do": "original", "modes": list(modes), "inputs": list(inputs), "values": list(values)}
        return self.run_job(job, "original", arrays, self.weights)

    def run_emitted(
        self,
        model: Model,
        inputs: Arrays,
        factors: Sequence[Any],
        modes: Sequence[Mode],
        probes: Sequence[Probe] = (),
    ) -> Arrays:
        """Run the emitted model; with probes, the values of its steps are among the results."""
        file = self.folder / "emitted.py"
        file.write_text(model.source(self.imported.reader.backend_name), encoding="utf-8")
        backend = self.backend
        arrays = {
            f"input:{n}": to_framework_order(v, model.graph.inputs[n], backend) for n, v in inputs.items()
        }
        for (name, output), factor in zip(model.graph.outputs.items(), factors, strict=True):
            value = to_framework_order(factor, output.type, backend, output.order)
            arrays[f"cotangent:{name or 'output'}"] = value
        job = {
            "do": "emitted",
            "name": "imported",
            "file": str(file),
            "model": model.graph.name,
            "dtype": "float64",
            "modes": list(modes),
            "steps": bool(probes),
            "calibrate": False,
            "inputs": list(inputs),
            "outputs": [name or "output" for name in model.graph.outputs],
            "probes": [probe.to_json() for probe in probes],
        }
        weights = self.imported.carry_weights(self.weights)
        counters = backend.counter_names(weights)  # they are no values of the model
        own = {name: value for name, value in weights.items() if name not in counters}
        return self.run_job(job, "emitted", arrays, own)

    def run_job(self, job: Job, name: str, arrays: Arrays, weights: Mapping[str, Any]) -> Arrays:
        files = {key: str(self.folder / f"{key}_{name}.safetensors") for key in ("arrays", "weights", "out")}
        save_tensors(files["arrays"], arrays)
        save_tensors(files["weights"], dict(weights))
        self.worker.run_job({**job, **files})
        return dict(load_tensors(files["out"]))
