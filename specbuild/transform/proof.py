"""The proof of a deployment: the trained model, when it is not trained, and the deployed one give the same outputs.

Both emitted files run in float64 on the same random inputs, in each framework. The weights are those of a file, or
random ones. They are also compared after rounding, as the file of the deployed model has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from specbuild.api import Model
from specbuild.backends.registry import load_backend
from specbuild.diagnostics.errors import SpecError
from specbuild.parity.case import ParityCase
from specbuild.parity.difference import fill_relative, measure_difference
from specbuild.parity.exchange import CaseExchange, ResultFile
from specbuild.parity.participants import Lineup, Participant
from specbuild.parity.tolerance import Tolerance, choose_case_tolerance
from specbuild.runtimes.jobs import WorkerOptions
from specbuild.runtimes.worker_process import WorkerFailure, WorkerProcess
from specbuild.transform.deployed_model import DeployedModel

if TYPE_CHECKING:
    from specbuild.parity.case import Arrays

TITLES = ("the trained model", "the deployed model")


class DeploymentProof(Struct, frozen=True):
    """How much the outputs differ in one framework, relative to the largest number of each."""

    title: str  # of the runtime
    difference: float
    output: str  # the one with the largest difference
    rounded: float | None  # with the weights as they are stored; None: they were not given
    tolerance: Tolerance
    problem: str = ""  # such as NaN

    @property
    def is_equal(self) -> bool:
        return not self.problem and self.difference <= self.tolerance.fail_above

    def require_equal(self, model: DeployedModel) -> None:
        """Raise SpecError SB904 unless the models are equal."""
        if self.is_equal:
            return
        reason = (
            self.problem or f"it differs by {self.difference:.1e}, more than {self.tolerance.fail_above:g}"
        )
        raise SpecError(
            "SB904",
            f"output `{self.output}` of the deployed {model.name} is not that of the trained one on {self.title}: "
            f"{reason}",
            hint="nothing was written; please report this with the spec",
        )


class ProofWeights(Struct, frozen=True):
    """Canonical weights: of the trained model, of the deployed one in float64, and those as they are stored."""

    trained: Arrays
    deployed: Arrays
    stored: Arrays | None


def find_participants(backends: Sequence[str]) -> list[Participant]:
    """Return the first runtime of each backend; raises SB603 if it is not installed, SB605 if there is none."""
    participants = []
    for name in backends:
        backend = load_backend(name)
        if not backend.runtimes:
            raise backend.missing_part("a runtime for parity")
        missing = [module for module in backend.runtimes[0].modules if find_spec(module) is None]
        if missing:
            raise backend.missing_package(missing[0])
        participants.append(Participant(backend, backend.runtimes[0]))
    return participants


def prove_deployment(
    model: DeployedModel, participant: Participant, weights: ProofWeights, seed: int = 0
) -> DeploymentProof:
    """Compare the outputs of both models in one framework. Raises SB902 if a file cannot be run."""
    with (
        tempfile.TemporaryDirectory(prefix="specbuild-") as folder,
        WorkerProcess(WorkerOptions(), participant.runtime) as process,
    ):
        run = DeploymentRun(participant, process, Path(folder), seed)
        try:
            expected, tolerance = run.compute_outputs(model.trained, weights.trained)
            outputs, _ = run.compute_outputs(model, weights.deployed)
            stored = None if weights.stored is None else run.compute_outputs(model, weights.stored)[0]
        except WorkerFailure as failure:
            raise SpecError("SB902", f"{participant.title}: {failure}", hint="nothing was written") from None
    output, difference, problem = compare_outputs(expected, outputs)
    rounded = None if stored is None else compare_outputs(expected, stored)[1]
    return DeploymentProof(participant.title, difference, output, rounded, tolerance, problem)


class DeploymentRun:
    """The files and jobs of one proof in one framework."""

    def __init__(self, participant: Participant, process: WorkerProcess, folder: Path, seed: int):
        self.lineup, self.process, self.folder, self.seed = Lineup(participant, ()), process, folder, seed
        self.inputs: Arrays | None = None
        self.count = 0

    def compute_outputs(self, model: Model, weights: Arrays) -> tuple[Arrays, Tolerance]:
        """Return the canonical outputs of a model by name, and how far they may differ."""
        participant = self.lineup.reference
        case = ParityCase(
            model.name,
            model.graph,
            weights=dict(weights),
            inputs=self.inputs,
            modes=("forward",),
            seed=self.seed,
            compiler=model.compilation.compiler,
        )
        self.count += 1
        exchange = CaseExchange(case, self.folder / str(self.count), self.lineup)
        self.inputs = exchange.inputs
        job = exchange.write_job(participant)
        self.process.run_job(job)
        results = ResultFile(job["out"])
        outputs = {
            name: exchange.to_canonical("output", name, participant.backend.name, results[f"output:{name}"])
            for name in exchange.outputs
        }
        return outputs, choose_case_tolerance(case, (participant,))


def compare_outputs(expected: Mapping[str, Any], outputs: Mapping[str, Any]) -> tuple[str, float, str]:
    """Return the output with the largest difference, the difference, and what is wrong with it, if anything."""
    differences = [
        measure_difference("output", name, value, outputs[name], TITLES) for name, value in expected.items()
    ]
    fill_relative(differences, "float64")
    worst = max(differences, key=lambda d: d.relative)
    return worst.path, worst.relative, worst.problem
