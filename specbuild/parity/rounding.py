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

from specbuild.parity.difference import SHAKEN, Difference, difference, related
from specbuild.parity.exchange import Exchange
from specbuild.parity.tolerance import LAST_DIGIT, Tolerance
from specbuild.runtimes.worker_process import Process

SHAKES = 8  # of the truth, at most
KERAS_SHAKES = 4
STILL = 1 / 100  # numbers of Keras that move by less than this share of a difference are not shaken again


class Truth:
    """What the PyTorch file of one case gives in float64, on the numbers of the case."""

    def __init__(self, exchange: Exchange, process: Process, torch: dict[str, Any]):
        self.exchange, self.process, self.torch = exchange, process, torch
        self.job = torch
        if exchange.case.dtype != "float64":
            self.job = exchange.job("torch", "_truth", dtype="float64")
            process.ask(self.job)
        self.moves: list[dict[str, float]] = []  # of every shake, by tensor

    def measure(
        self, found: list[Difference], keras: dict[str, Any], runtime: Process, tolerance: Tolerance
    ) -> None:
        """Fill in how far each file is from the truth; of what corners and norms stretch and is too far apart, how far
        the truth moves when weights and inputs do by what is still called equal; and of all that is left, how far
        Keras moves when they do in their last digit."""
        torch_error, keras_error = self.apart(self.torch), self.apart(keras)
        for d in found:
            d.torch_error, d.keras_error = torch_error.get(d.key, 0.0), keras_error.get(d.key, 0.0)
        for number in range(SHAKES):
            if not (doubtful := [d for d in doubts(found, tolerance) if d.kind in SHAKEN]):
                break
            if number == len(self.moves):
                self.moves.append(self.shaken(number, tolerance.shake))
            for d in doubtful:
                d.moved = max(d.moved, self.moves[number].get(d.key, 0.0))
        for number in range(KERAS_SHAKES):
            doubtful = [
                d for d in doubts(found, tolerance) if not number or d.keras_moved >= STILL * d.relative
            ]
            if not doubtful:
                return
            moves = self.keras_shaken(number, keras, runtime)
            for d in doubtful:
                d.keras_moved = max(d.keras_moved, moves.get(d.key, 0.0))

    def shaken(self, number: int, share: float) -> dict[str, float]:
        job = self.exchange.job("torch", f"_shaken{number}", dtype="float64", shake=(number, share))
        self.process.ask(job)
        return self.apart(job)

    def keras_shaken(self, number: int, keras: dict[str, Any], runtime: Process) -> dict[str, float]:
        share = LAST_DIGIT[self.exchange.case.dtype]
        job = self.exchange.job("keras", f"_{runtime.runtime}_shaken{number}", shake=(number, share))
        runtime.ask(job)
        return self.apart(job, keras)

    def apart(self, job: dict[str, Any], other: dict[str, Any] | None = None) -> dict[str, float]:
        """How far what a job gave is from the truth, or from what another gave, by tensor."""
        found = [difference(*pair) for pair in self.exchange.pairs(other or self.job, job)]
        related(found, self.exchange.case.dtype)
        return {d.key: d.relative for d in found}


def doubts(found: list[Difference], tolerance: Tolerance) -> list[Difference]:
    return [d for d in found if isfinite(d.relative) and tolerance.verdict(d) == "differs"]
