"""The proof of an import: the emitted model and the original compute the same numbers, in float64.

Random weights are drawn under the original's names and carried by the rules in the spec, so that these are proved
too. Compared are outputs, gradients of inputs and of every weight, a step of training with the statistics of the
batch, and the number of parameters, on another number of samples than in the recorded pass; then outputs alone on a
larger image, where both take it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from specbuild.api import Model, load
from specbuild.compiler.weight_locations import count_parameters
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.importer import ImportedModel
from specbuild.importing.named_values import BATCH, NamedValue
from specbuild.ir.graph import Block, Output
from specbuild.ops.types import TensorType
from specbuild.parity.exchange import from_framework_order, to_framework_order
from specbuild.runtimes.jobs import Mode
from specbuild.runtimes.worker_jobs import Job, RefusedJob, load_tensors, save_tensors
from specbuild.runtimes.worker_process import WorkerFailure
from specbuild.weights.statistics import relative_difference

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays

BATCH_SIZE = 2  # not that of the recorded pass
LARGER = 32  # how much larger the other image is
TOLERANCE = 1e-9
ROUNDED_TOLERANCE = 1e-5  # where the original itself computes a part in float32


class ProofWorker(Protocol):
    """Has the original, and runs the jobs of a proof; a process of its own, or this one."""

    def run_job(self, job: Job) -> None: ...


@dataclass
class Proof:
    """The largest relative difference of each kind; `problem` says why there is none.

    `image` is what was found on a larger image: a difference, or why it was not compared. `training` says why the
    original itself cannot be trained on this input, if so.
    """

    differences: dict[str, tuple[float, str]] = field(default_factory=dict)  # and where it is
    parameters: int = 0
    original_parameters: int = 0
    image: float | str = ""
    training: str = ""
    problem: str = ""
    rounding: str = ""  # what the original computes in float32

    @property
    def is_equal(self) -> bool:
        tolerance = ROUNDED_TOLERANCE if self.rounding else TOLERANCE
        values = [value for value, _ in self.differences.values()]
        values += [self.image] if isinstance(self.image, float) else []
        has_all = "output" in self.differences and self.parameters == self.original_parameters
        return not self.problem and has_all and all(value <= tolerance for value in values)

    def note(self, kind: str, place: str, value: float) -> None:
        if value >= self.differences.get(kind, (-1.0, ""))[0]:
            self.differences[kind] = value, place


def prove_import(imported: ImportedModel, worker: ProofWorker, seed: int = 0) -> Proof:
    """Compare the emitted model with the original, which the worker has."""
    proof = Proof(original_parameters=count_original(imported))
    proof.rounding = imported.reader.find_rounding(imported.trace)
    proof.parameters = count_parameters(imported.model.graph, imported.reader.backend_name)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        run = ProofRun(imported, worker, Path(name), seed)
        try:
            run.draw_weights()
            run.compare(imported.model, ("forward", "gradients", "train"), proof)
        except (RefusedJob, WorkerFailure) as failure:
            proof.problem = str(failure)
        except (SpecError, SpecErrors) as error:
            proof.problem = str(error)
        if not proof.problem:
            proof.image = run.compare_larger()
    return proof


def count_original(imported: ImportedModel) -> int:
    """Return the number of trained values of the original that the spec has too."""
    trained, ignored = set(imported.trace.trained), set(imported.key_map.ignored)
    return sum(
        int(np.prod(shape)) for name, shape in imported.trace.weights.items() if name in trained - ignored
    )


class ProofRun:
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

    def compare(self, model: Model, modes: Sequence[Mode], proof: Proof) -> None:
        """Run both models on the same numbers, and note the differences."""
        inputs = {n: self.draw_input(x) for n, x in model.graph.inputs.items()}
        outputs = list(model.graph.outputs.items())
        factors = [self.draw_factors(output) for _, output in outputs]
        try:
            original = self.run_original(model.graph, inputs, factors, modes)
        except WorkerFailure as failure:
            if "train" not in modes:
                raise
            proof.training = str(failure)
            modes = [mode for mode in modes if mode != "train"]
            original = self.run_original(model.graph, inputs, factors, modes)
        emitted = self.run_emitted(model, inputs, factors, modes)
        for i, (name, output) in enumerate(outputs):
            for kind in ("output", "trained_output"):
                key = f"{kind}:{name or 'output'}"
                if key in emitted and f"{kind}:{i}" in original:
                    mine = from_framework_order(emitted[key], output.type, self.backend, output.order)
                    theirs = self.arrange_output(original[f"{kind}:{i}"], i, output)
                    proof.note(kind, name or "output", measure(theirs, mine))
        for name in inputs:
            for kind in ("gradient", "trained_gradient"):
                if f"{kind}:{name}" in emitted and f"{kind}:{name}" in original:
                    value = from_framework_order(
                        emitted[f"{kind}:{name}"], model.graph.inputs[name], self.backend
                    )
                    theirs = self.move_input(name, model.graph, original[f"{kind}:{name}"], back=True)
                    proof.note(kind, name, measure(theirs, value))
        for kind in ("weight_gradient", "trained_weight_gradient", "statistic"):
            self.compare_weights(kind, original, emitted, proof)

    def compare_weights(self, kind: str, original: Arrays, emitted: Arrays, proof: Proof) -> None:
        """Compare gradients or statistics of weights; those of the original are carried by the rules."""
        found = select(original, kind)
        if not found:
            return
        whole = {n: found.get(n, np.zeros_like(v, dtype="float64")) for n, v in self.weights.items()}
        carried, own = self.imported.carry_weights(whole), select(emitted, kind)
        scale = max((float(np.max(np.abs(v))) for v in found.values() if v.size), default=1.0)
        for name, value in own.items():
            if name in carried:
                proof.note(kind, name, measure(carried[name], value, 1e-3 * scale))

    # -------------------------------------------------------------------------------------- arrays

    def draw_input(self, x: TensorType) -> Any:
        """Draw a canonical input."""
        shape = (BATCH_SIZE, *map(int, x.sizes.values()))
        if x.dtype == "int32":
            return self.random.integers(0, 2, shape).astype("int32")
        return self.random.random(shape) < 0.7 if x.dtype == "bool" else self.random.normal(size=shape)

    def move_input(self, name: str, graph: Block, value: Any, back: bool = False) -> Any:
        """Return a canonical input with its dimensions in the original's order, or the way back."""
        given, own = graph.inputs[name].axes, self.imported.input_dims[name]
        first, second = (own, given) if back else (given, own)
        return value.transpose([0, *(1 + list(first).index(axis) for axis in second)])

    def draw_factors(self, output: Output) -> Any:
        lead = (BATCH_SIZE,) if output.type.batched else ()
        return self.random.normal(size=(*lead, *map(int, output.type.sizes.values())))

    def arrange_output(self, value: Any, number: int, output: Output) -> Any:
        """Return an output of the original in canonical order."""
        dims = self.imported.outputs[number].dims
        axes = [axis for dim in dims for axis in dim]
        order = ([BATCH] if output.type.batched else []) + list(output.type.axes)
        sizes = {BATCH: BATCH_SIZE, **{a: int(n) for a, n in output.type.sizes.items()}}
        return value.reshape([sizes[a] for a in axes]).transpose([axes.index(a) for a in order])

    # ---------------------------------------------------------------------------------------- jobs

    def run_original(
        self, graph: Block, inputs: Arrays, factors: Sequence[Any], modes: Sequence[Mode]
    ) -> Arrays:
        arrays = {f"input:{n}": self.move_input(n, graph, v) for n, v in inputs.items()}
        for i, output in enumerate(graph.outputs.values()):
            arrays[f"cotangent:{i}"] = arrange_factors(factors[i], self.imported.outputs[i], output.type)
        job = {"do": "original", "modes": list(modes), "inputs": list(inputs)}
        return self.run_job(job, "original", arrays, self.weights)

    def run_emitted(
        self, model: Model, inputs: Arrays, factors: Sequence[Any], modes: Sequence[Mode]
    ) -> Arrays:
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
            "steps": False,
            "calibrate": False,
            "inputs": list(inputs),
            "outputs": [name or "output" for name in model.graph.outputs],
            "probes": [],
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

    def compare_larger(self) -> float | str:
        """Return the difference of the outputs on a larger image, or why it was not compared."""
        text = self.imported.with_image_size(LARGER)
        if text is None:
            return "there is no image"
        proof = Proof()
        try:
            self.compare(load(text, **self.imported.values), ("forward",), proof)
        except (SpecError, SpecErrors) as error:
            return f"the spec is for this image size: {str(error).splitlines()[0]}"
        except (RefusedJob, WorkerFailure, ValueError) as failure:
            return f"not compared: {failure}"
        return proof.differences["output"][0]


def arrange_factors(value: Any, output: NamedValue, shape: TensorType) -> Any:
    """Return canonical factors in the order of the original's output."""
    order = ([BATCH] if shape.batched else []) + list(shape.axes)
    axes = [axis for dim in output.dims for axis in dim]
    sizes = {BATCH: BATCH_SIZE, **{a: int(n) for a, n in shape.sizes.items()}}
    moved = value.transpose([order.index(a) for a in axes])
    return moved.reshape([int(np.prod([sizes[a] for a in dim])) for dim in output.dims])


def select(results: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the results of one kind by what follows it in their keys."""
    return {key.partition(":")[2]: v for key, v in results.items() if key.partition(":")[0] == kind}


def measure(original: Any, emitted: Any, least: float = 0.0) -> float:
    """Return the largest difference over the largest number, or over `least` if that is larger."""
    if original.shape != emitted.shape:
        return float("inf")
    size = float(np.max(np.abs(original))) if original.size else 0.0
    share = min(1.0, size / least) if least else 1.0
    return relative_difference(original, emitted) * share
