"""Decide whether a difference is rounding or an error. The reference is the PyTorch file, run in float64.

In a smaller dtype, both files differ from the reference. Some results are so sensitive that this difference
is large in correct files too. Rounding can move a number to the other side of a ReLU's corner, or exchange
two nearly equal numbers in a max pooling, so that gradients take another path; and a batch norm over few
numbers amplifies rounding in training. So weights and inputs are perturbed: if the reference changes as much
as the files differ, the difference is called rounding.

Keras may lose more digits than PyTorch: on the torch runtime, its batch norm computes the variance as the
mean of squares minus the square of the mean. Where it does, its results change as much when weights and
inputs change in their last digit. The result of an error does not.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from specbuild.parity.difference import SENSITIVE_KINDS, Difference, fill_relative, measure_difference
from specbuild.parity.exchange import CaseExchange
from specbuild.parity.tolerance import LAST_DIGIT, Tolerance
from specbuild.runtimes.worker_process import WorkerProcess

MAX_PERTURBATIONS = 8  # runs of the reference
MAX_KERAS_PERTURBATIONS = 4
STABLE_SHARE = 0.01  # a Keras tensor that changes by less than this share of its difference is not run again


class Float64Reference:
    """The results of a case's PyTorch file in float64; weights and inputs are rounded to the case's dtype."""

    def __init__(self, exchange: CaseExchange, process: WorkerProcess, torch_job: dict[str, Any]):
        self.exchange, self.process, self.torch_job = exchange, process, torch_job
        self.reference_job = torch_job
        if exchange.case.dtype != "float64":
            self.reference_job = exchange.write_job("torch", "_float64", dtype="float64")
            process.run_job(self.reference_job)
        self.sensitivities: list[dict[str, float]] = []  # for each perturbation: the change of every tensor

    def measure_errors(
        self,
        differences: list[Difference],
        keras_job: dict[str, Any],
        keras: WorkerProcess,
        tolerance: Tolerance,
    ) -> None:
        """Set the errors of each difference, and its sensitivities where they may change the verdict.

        Runs perturbed jobs, as long as a difference is above the tolerance and not yet explained by rounding.
        """
        torch_error, keras_error = self.measure_distances(self.torch_job), self.measure_distances(keras_job)
        for d in differences:
            d.torch_error, d.keras_error = torch_error.get(d.key, 0.0), keras_error.get(d.key, 0.0)
        for number in range(MAX_PERTURBATIONS):
            unexplained = [d for d in finite_failures(differences, tolerance) if d.kind in SENSITIVE_KINDS]
            if not unexplained:
                break
            if number == len(self.sensitivities):
                self.sensitivities.append(self.perturb_reference(number, tolerance.perturbation))
            for d in unexplained:
                d.sensitivity = max(d.sensitivity, self.sensitivities[number].get(d.key, 0.0))
        for number in range(MAX_KERAS_PERTURBATIONS):
            unexplained = [
                d
                for d in finite_failures(differences, tolerance)
                if not number or d.keras_sensitivity >= STABLE_SHARE * d.relative
            ]
            if not unexplained:
                return
            changes = self.perturb_keras(number, keras_job, keras)
            for d in unexplained:
                d.keras_sensitivity = max(d.keras_sensitivity, changes.get(d.key, 0.0))

    def perturb_reference(self, number: int, share: float) -> dict[str, float]:
        """Run the reference with perturbed weights and inputs, and return the change of each tensor."""
        label = f"_perturbed{number}"
        job = self.exchange.write_job("torch", label, dtype="float64", perturbation=(number, share))
        self.process.run_job(job)
        return self.measure_distances(job)

    def perturb_keras(self, number: int, keras_job: dict[str, Any], keras: WorkerProcess) -> dict[str, float]:
        """Run Keras with weights and inputs perturbed in the last digit, and return each tensor's change."""
        share = LAST_DIGIT[self.exchange.case.dtype]
        label = f"_{keras.runtime}_perturbed{number}"
        job = self.exchange.write_job("keras", label, perturbation=(number, share))
        keras.run_job(job)
        return self.measure_distances(job, keras_job)

    def measure_distances(self, job: dict[str, Any], base: dict[str, Any] | None = None) -> dict[str, float]:
        """The relative difference of each tensor of `job` from that of `base`, or from the reference."""
        pairs = self.exchange.pair_tensors(base or self.reference_job, job)
        differences = [measure_difference(*pair) for pair in pairs]
        fill_relative(differences, self.exchange.case.dtype)
        return {d.key: d.relative for d in differences}


def finite_failures(differences: list[Difference], tolerance: Tolerance) -> list[Difference]:
    """The differences that fail, without those that are infinite or NaN, which rounding cannot explain."""
    return [d for d in differences if isfinite(d.relative) and tolerance.judge_difference(d) == "differs"]
