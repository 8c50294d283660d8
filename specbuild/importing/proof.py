"""The proof of an import: the emitted model and the original compute the same numbers, in float64.

Random weights are drawn under the original's names and carried by the rules in the spec, so that these are proved
too. Compared are outputs, gradients of inputs and of every weight, a step of training with the statistics of the
batch, and the number of parameters, on another number of samples than in the recorded pass; then outputs alone on a
larger image, where both take it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, field

from specbuild.api import Model
from specbuild.compiler.weight_locations import count_parameters
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.importing.first_difference import FirstDifference, PairedStep, find_first_value, pair_steps
from specbuild.importing.importer import ImportedModel
from specbuild.importing.original_values import arrange_value, measure_values
from specbuild.importing.proof_runs import BATCH_SIZE, ProofRuns, ProofWorker
from specbuild.parity.exchange import from_framework_order
from specbuild.parity.probe_plan import plan_probes
from specbuild.parity.trace import trace_steps
from specbuild.runtimes.jobs import Mode
from specbuild.runtimes.worker_jobs import RefusedJob
from specbuild.runtimes.worker_process import WorkerFailure

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays

LARGER = 32  # how much larger the other image is
TOLERANCE = 1e-9
UNSTABLE = 1e-2  # differences below this may be those of rounding
ROUNDED_TOLERANCE = 1e-5  # where the original itself computes a part in float32


class Proof(Struct):
    """The largest relative difference of each kind; `problem` says why there is none.

    `image` is what was found on a larger image: a difference, or why it was not compared. `training` says why a
    step of training was not compared, if so.
    """

    differences: dict[str, tuple[float, str]] = field(default_factory=dict)  # and where it is
    parameters: int = 0
    original_parameters: int = 0
    image: float | str = ""
    training: str = ""
    problem: str = ""
    rounding: str = ""  # what the original computes in float32
    first: FirstDifference | None = None  # where they begin to differ
    unstable: dict[str, tuple[float, str]] = field(default_factory=dict)  # differences with random statistics

    @property
    def tolerance(self) -> float:
        return ROUNDED_TOLERANCE if self.rounding else TOLERANCE

    @property
    def is_equal(self) -> bool:
        values = [value for value, _ in self.differences.values()]
        values += [self.image] if isinstance(self.image, float) else []
        has_all = "output" in self.differences and self.parameters == self.original_parameters
        return not self.problem and has_all and all(value <= self.tolerance for value in values)

    def note(self, kind: str, place: str, value: float) -> None:
        if value >= self.differences.get(kind, (-1.0, ""))[0]:
            self.differences[kind] = value, place


def prove_import(imported: ImportedModel, worker: ProofWorker, seed: int = 0) -> Proof:
    """Compare the emitted model with the original, which the worker has."""
    proof = Proof(original_parameters=count_original(imported))
    proof.rounding = imported.reader.find_rounding(imported.trace)
    proof.parameters = count_parameters(imported.model.graph, imported.reader.backend_name)
    with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
        runs = ProofRuns(imported, worker, Path(name), seed)
        comparison = ProofComparison(imported, runs)
        proof.training = imported.trace.untrained
        modes: list[Mode] = ["forward", "gradients"] if proof.training else ["forward", "gradients", "train"]
        try:
            runs.draw_weights()
            comparison.compare(imported.model, modes, proof)
        except (RefusedJob, WorkerFailure) as failure:
            proof.problem = str(failure)
        except (SpecError, SpecErrors) as error:
            proof.problem = str(error)
        if comparison.needs_statistics(proof):
            comparison.repeat_with_statistics(modes, proof)
        if not proof.problem:
            proof.image = comparison.compare_larger()
        if not proof.problem and not proof.is_equal:
            proof.first = comparison.find_first_difference(proof)
    return proof


def count_original(imported: ImportedModel) -> int:
    """Return the number of trained values of the original that the spec has too."""
    trained, ignored = set(imported.trace.trained), set(imported.key_map.ignored)
    return sum(
        int(np.prod(shape)) for name, shape in imported.trace.weights.items() if name in trained - ignored
    )


class ProofComparison:
    """Compares the results of both models for the same numbers."""

    def __init__(self, imported: ImportedModel, runs: ProofRuns):
        self.imported, self.runs, self.backend = imported, runs, imported.reader.backend

    def compare(self, model: Model, modes: Sequence[Mode], proof: Proof) -> None:
        """Run both models on the same numbers, and note the differences."""
        inputs = {n: self.runs.draw_input(x) for n, x in model.graph.inputs.items()}
        outputs = list(model.graph.outputs.items())
        factors = [self.runs.draw_factors(output) for _, output in outputs]
        try:
            original = self.runs.run_original(model.graph, inputs, factors, modes)
        except (RefusedJob, WorkerFailure) as failure:
            if "train" not in modes:
                raise
            is_failure = isinstance(failure, WorkerFailure)
            proof.training = f"the original fails on this input: {failure}" if is_failure else str(failure)
            modes = [mode for mode in modes if mode != "train"]
            original = self.runs.run_original(model.graph, inputs, factors, modes)
        emitted = self.runs.run_emitted(model, inputs, factors, modes)
        for i, (name, output) in enumerate(outputs):
            for kind in ("output", "trained_output"):
                key = f"{kind}:{name or 'output'}"
                if key in emitted and f"{kind}:{i}" in original:
                    mine = from_framework_order(emitted[key], output.type, self.backend, output.order)
                    dims = self.imported.outputs[i].dims
                    theirs = arrange_value(original[f"{kind}:{i}"], dims, output.type, BATCH_SIZE)
                    proof.note(kind, name or "output", measure_values(theirs, mine))
        for name in inputs:
            for kind in ("gradient", "trained_gradient"):
                if f"{kind}:{name}" in emitted and f"{kind}:{name}" in original:
                    value = from_framework_order(
                        emitted[f"{kind}:{name}"], model.graph.inputs[name], self.backend
                    )
                    theirs = self.runs.move_input(name, model.graph, original[f"{kind}:{name}"], back=True)
                    proof.note(kind, name, measure_values(theirs, value))
        for kind in ("weight_gradient", "trained_weight_gradient", "statistic"):
            self.compare_weights(kind, original, emitted, proof)

    def needs_statistics(self, proof: Proof) -> bool:
        """Return whether rounding may be all that differs: the values grow where statistics are random."""
        small = proof.tolerance < max((v for v, _ in proof.differences.values()), default=0.0) < UNSTABLE
        has_norms = any(name.endswith("running_var") for name in self.imported.trace.weights)
        is_possible = self.imported.reader.measures_statistics and not proof.training
        return not proof.problem and small and has_norms and is_possible

    def repeat_with_statistics(self, modes: Sequence[Mode], proof: Proof) -> None:
        """Compare once more, with the statistics that the data has at every norm, to the same tolerance."""
        proof.unstable, proof.differences = proof.differences, {}
        try:
            self.runs.measure_statistics(self.imported.model.graph)
            self.compare(self.imported.model, modes, proof)
        except (RefusedJob, WorkerFailure) as failure:
            proof.problem = str(failure)

    def compare_weights(self, kind: str, original: Arrays, emitted: Arrays, proof: Proof) -> None:
        """Compare gradients or statistics of weights; those of the original are carried by the rules."""
        found = select_kind(original, kind)
        if not found:
            return
        whole = {n: found.get(n, np.zeros_like(v, dtype="float64")) for n, v in self.runs.weights.items()}
        carried, own = self.imported.carry_weights(whole), select_kind(emitted, kind)
        scale = max((float(np.max(np.abs(v))) for v in found.values() if v.size), default=1.0)
        for name, value in own.items():
            if name in carried:
                proof.note(kind, name, measure_values(carried[name], value, 1e-3 * scale))

    def find_first_difference(self, proof: Proof) -> FirstDifference | None:
        """Return where the models begin to differ: in the pass that was compared, else on the larger image.

        If no value differs, it is the step whose weight has the gradient that differs most.
        """
        name = self.imported.reader.backend_name
        pairs = pair_steps(self.imported.plans, self.imported.model.graph)
        for model in (self.imported.model, self.load_larger()):
            if model is None:
                continue
            try:
                found = self.compare_steps(
                    model, pair_steps(self.imported.plans, model.graph), proof.tolerance
                )
            except (RefusedJob, WorkerFailure, SpecError, SpecErrors, ValueError):
                continue  # reported already: this pass could not be compared
            if found is not None:
                return found
        own = {
            w.framework_path: w.path.rpartition(".")[0] for w in self.imported.model.compile_for(name).weights
        }
        kinds = [kind for kind in proof.differences if "weight_gradient" in kind or kind == "statistic"]
        for kind in sorted(kinds, key=lambda kind: -proof.differences[kind][0]):
            size, place = proof.differences[kind]
            if size > proof.tolerance and own.get(place) in pairs:
                return pairs[own[place]].differ(kind.replace("_", " "), size)
        return None

    def compare_steps(
        self, model: Model, pairs: Mapping[str, PairedStep], tolerance: float
    ) -> FirstDifference | None:
        inputs = {n: self.runs.draw_input(x) for n, x in model.graph.inputs.items()}
        factors = [self.runs.draw_factors(output) for output in model.graph.outputs.values()]
        numbers = [mark.number for mark in self.imported.landmarks]
        plan = plan_probes(model.compile_for(self.imported.reader.backend_name))
        original = self.runs.run_original(model.graph, inputs, factors, ("forward",), numbers)
        emitted = self.runs.run_emitted(model, inputs, factors, ("forward",), plan.probes)
        traced = list(trace_steps({self.imported.reader.backend_name: plan.top}))
        return find_first_value(self.imported, pairs, traced, original, emitted, BATCH_SIZE, tolerance)

    def load_larger(self) -> Model | None:
        """Return the model for a larger image; None if there is no image, or the spec is for this size."""
        text = self.imported.with_image_size(LARGER)
        try:
            return self.imported.tables.load_spec(text, self.imported.values) if text is not None else None
        except (SpecError, SpecErrors):
            return None

    def compare_larger(self) -> float | str:
        """Return the difference of the outputs on a larger image, or why it was not compared."""
        text = self.imported.with_image_size(LARGER)
        if text is None:
            return "there is no image"
        proof = Proof()
        try:
            self.compare(self.imported.tables.load_spec(text, self.imported.values), ("forward",), proof)
        except (SpecError, SpecErrors) as error:
            return f"the spec is for this image size: {str(error).splitlines()[0]}"
        except (RefusedJob, WorkerFailure, ValueError) as failure:
            return f"not compared: {failure}"
        return proof.differences["output"][0]


def select_kind(results: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Return the results of one kind by what follows it in their keys."""
    return {key.partition(":")[2]: v for key, v in results.items() if key.partition(":")[0] == kind}
