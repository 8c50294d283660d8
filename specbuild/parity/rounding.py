"""What is rounding, and what is an error: the numbers of the PyTorch file in float64 are the truth.

In a smaller type each file is some way from it. Where it moves as far itself, the type cannot tell the files apart: a
number beside the corner of a ReLU, or two beside each other in a max pooling, fall on the other side, and gradients
take another way; in training a norm of few numbers stretches rounding.

Keras may lose more digits than PyTorch: on PyTorch, its batch norm takes the variance as the mean of squares less the
square of the mean. What it gives there moves as far when weights and inputs move in their last digit; what an error
gives does not.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from specbuild.parity.difference import SENSITIVE_KINDS, Difference, fill_relative, measure_difference
from specbuild.parity.exchange import CaseExchange
from specbuild.parity.tolerance import LAST_DIGIT, Tolerance
from specbuild.runtimes.worker_process import WorkerProcess

MAX_PERTURBATIONS = 8  # of the truth, at most
MAX_KERAS_PERTURBATIONS = 4
STABLE_SHARE = (
    1 / 100
)  # numbers of Keras that move by less than this share of a difference are not shaken again


class Float64Reference:
    """What the PyTorch file of one case gives in float64, on the numbers of the case."""

    def __init__(self, exchange: CaseExchange, process: WorkerProcess, torch_job: dict[str, Any]):
        self.exchange, self.process, self.torch_job = exchange, process, torch_job
        self.reference_job = torch_job
        if exchange.case.dtype != "float64":
            self.reference_job = exchange.write_job("torch", "_truth", dtype="float64")
            process.run_job(self.reference_job)
        self.sensitivities: list[dict[str, float]] = []  # of every shake, by tensor

    def measure_errors(
        self,
        differences: list[Difference],
        keras: dict[str, Any],
        runtime: WorkerProcess,
        tolerance: Tolerance,
    ) -> None:
        """Fill in how far each file is from the truth; of what corners and norms stretch and is too far apart, how far
        the truth moves when weights and inputs do by what is still called equal; and of all that is left, how far
        Keras moves when they do in their last digit."""
        torch_error, keras_error = self.measure_distances(self.torch_job), self.measure_distances(keras)
        for d in differences:
            d.torch_error, d.keras_error = torch_error.get(d.key, 0.0), keras_error.get(d.key, 0.0)
        for number in range(MAX_PERTURBATIONS):
            if not (
                doubtful := [
                    d for d in doubtful_differences(differences, tolerance) if d.kind in SENSITIVE_KINDS
                ]
            ):
                break
            if number == len(self.sensitivities):
                self.sensitivities.append(self.perturb_reference(number, tolerance.perturbation))
            for d in doubtful:
                d.sensitivity = max(d.sensitivity, self.sensitivities[number].get(d.key, 0.0))
        for number in range(MAX_KERAS_PERTURBATIONS):
            doubtful = [
                d
                for d in doubtful_differences(differences, tolerance)
                if not number or d.keras_sensitivity >= STABLE_SHARE * d.relative
            ]
            if not doubtful:
                return
            moves = self.perturb_keras(number, keras, runtime)
            for d in doubtful:
                d.keras_sensitivity = max(d.keras_sensitivity, moves.get(d.key, 0.0))

    def perturb_reference(self, number: int, share: float) -> dict[str, float]:
        job = self.exchange.write_job(
            "torch", f"_shaken{number}", dtype="float64", perturbation=(number, share)
        )
        self.process.run_job(job)
        return self.measure_distances(job)

    def perturb_keras(self, number: int, keras: dict[str, Any], runtime: WorkerProcess) -> dict[str, float]:
        share = LAST_DIGIT[self.exchange.case.dtype]
        job = self.exchange.write_job(
            "keras", f"_{runtime.runtime}_shaken{number}", perturbation=(number, share)
        )
        runtime.run_job(job)
        return self.measure_distances(job, keras)

    def measure_distances(self, job: dict[str, Any], other: dict[str, Any] | None = None) -> dict[str, float]:
        """How far what a job gave is from the truth, or from what another gave, by tensor."""
        found = [
            measure_difference(*pair) for pair in self.exchange.pair_tensors(other or self.reference_job, job)
        ]
        fill_relative(found, self.exchange.case.dtype)
        return {d.key: d.relative for d in found}


def doubtful_differences(differences: list[Difference], tolerance: Tolerance) -> list[Difference]:
    return [d for d in differences if isfinite(d.relative) and tolerance.judge_difference(d) == "differs"]
