"""Decide whether a difference is rounding or an error, by running the file of the reference in float64.

In a smaller dtype, both files differ from the reference. Some results are so sensitive that this difference
is large in correct files too. Rounding can move a number to the other side of a ReLU's corner, or exchange
two nearly equal numbers in a max pooling, so that gradients take another path; and a batch norm over few
numbers amplifies rounding in training. So weights and inputs are perturbed: if the reference changes as much
as the files differ, the difference is called rounding.

The other framework may lose more digits than the reference: Keras on PyTorch computes the variance of a batch
norm as the mean of squares minus the square of the mean. Where it does, its results change as much when
weights and inputs change in their last digit. A result that is wrong does not change like that.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from specbuild.parity.difference import SENSITIVE_KINDS, Difference, fill_relative, measure_difference
from specbuild.parity.exchange import CaseExchange
from specbuild.parity.participants import Participant
from specbuild.parity.tolerance import LAST_DIGIT, Tolerance
from specbuild.runtimes.worker_process import WorkerProcess

MAX_PERTURBATIONS = 8  # runs of the reference
MAX_OTHER_PERTURBATIONS = 4  # runs of the other
STABLE_SHARE = 0.01  # a tensor that changes by less than this share of its difference is not run again


class Float64Reference:
    """The results of the reference in float64; weights and inputs are rounded to the case's dtype."""

    def __init__(self, exchange: CaseExchange, process: WorkerProcess, case_job: dict[str, Any]):
        self.exchange, self.process, self.case_job = exchange, process, case_job
        self.float64_job = case_job
        if exchange.case.dtype != "float64":
            self.float64_job = exchange.write_job(exchange.reference, "_float64", dtype="float64")
            process.run_job(self.float64_job)
        self.sensitivities: list[dict[str, float]] = []  # for each perturbation: the change of every tensor

    def measure_errors(
        self,
        differences: list[Difference],
        job: dict[str, Any],
        other: tuple[Participant, WorkerProcess],
        tolerance: Tolerance,
    ) -> None:
        """Set the errors of each difference, and its sensitivities where they may change the verdict.

        Runs perturbed jobs, as long as a difference is above the tolerance and not yet explained by rounding.
        """
        reference_error, other_error = self.measure_distances(self.case_job), self.measure_distances(job)
        for d in differences:
            d.reference_error = reference_error.get(d.key, 0.0)
            d.other_error = other_error.get(d.key, 0.0)
        for number in range(MAX_PERTURBATIONS):
            unexplained = [d for d in finite_failures(differences, tolerance) if d.kind in SENSITIVE_KINDS]
            if not unexplained:
                break
            if number == len(self.sensitivities):
                self.sensitivities.append(self.perturb_reference(number, tolerance.perturbation))
            for d in unexplained:
                d.sensitivity = max(d.sensitivity, self.sensitivities[number].get(d.key, 0.0))
        for number in range(MAX_OTHER_PERTURBATIONS if tolerance.perturbs_other else 0):
            unexplained = [
                d
                for d in finite_failures(differences, tolerance)
                if not number or d.other_sensitivity >= STABLE_SHARE * d.relative
            ]
            if not unexplained:
                return
            changes = self.perturb_other(number, job, *other)
            for d in unexplained:
                d.other_sensitivity = max(d.other_sensitivity, changes.get(d.key, 0.0))

    def perturb_reference(self, number: int, share: float) -> dict[str, float]:
        """Run the reference with perturbed weights and inputs, and return the change of each tensor."""
        job = self.exchange.write_job(
            self.exchange.reference, f"_perturbed{number}", dtype="float64", perturbation=(number, share)
        )
        self.process.run_job(job)
        return self.measure_distances(job)

    def perturb_other(
        self, number: int, job: dict[str, Any], other: Participant, process: WorkerProcess
    ) -> dict[str, float]:
        """Run the compared backend with inputs and weights changed in the last digit, and return each tensor's change."""
        share = LAST_DIGIT[self.exchange.case.dtype]
        perturbed = self.exchange.write_job(other, f"_perturbed{number}", perturbation=(number, share))
        process.run_job(perturbed)
        return self.measure_distances(perturbed, job)

    def measure_distances(self, job: dict[str, Any], base: dict[str, Any] | None = None) -> dict[str, float]:
        """Return the relative difference of each tensor of `job` from that of `base`, or from the reference."""
        pairs = self.exchange.pair_tensors(base or self.float64_job, job)
        differences = [measure_difference(*pair) for pair in pairs]
        fill_relative(differences, self.exchange.case.dtype)
        return {d.key: d.relative for d in differences}


def finite_failures(differences: list[Difference], tolerance: Tolerance) -> list[Difference]:
    """Return the differences that fail, without those that are infinite or NaN, which rounding cannot explain."""
    return [d for d in differences if isfinite(d.relative) and tolerance.judge_difference(d) == "differs"]
