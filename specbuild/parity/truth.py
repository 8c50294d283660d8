"""What is rounding, and what is an error: the numbers of the PyTorch file in float64 are the truth.

In a smaller type each file is some way from it. Where it moves as far itself, the type cannot tell the files apart: a
number beside the corner of a ReLU, or two beside each other in a max pooling, fall on the other side, and gradients
take another way.
"""

from __future__ import annotations

from typing import Any

from specbuild.parity.difference import SLOPED, Difference, difference, related
from specbuild.parity.exchange import Exchange
from specbuild.parity.process import Process
from specbuild.parity.tolerance import Tolerance

SHAKES = 8  # at most


class Truth:
    """What the PyTorch file of one case gives in float64, on the numbers of the case."""

    def __init__(self, exchange: Exchange, process: Process, torch: dict[str, Any]):
        self.exchange, self.process, self.torch = exchange, process, torch
        self.job = torch
        if exchange.case.dtype != "float64":
            self.job = exchange.job("torch", "_truth", dtype="float64")
            process.ask(self.job)
        self.moves: list[dict[str, float]] = []  # of every shake, by tensor

    def measure(self, found: list[Difference], keras: dict[str, Any], tolerance: Tolerance) -> None:
        """Fill in how far each file is from the truth; and, of gradients that are too far apart, how far the truth
        moves when weights and inputs do by what is still called equal."""
        torch_error, keras_error = self.apart(self.torch), self.apart(keras)
        for d in found:
            d.torch_error, d.keras_error = torch_error.get(d.key, 0.0), keras_error.get(d.key, 0.0)
        for number in range(SHAKES):
            doubtful = [d for d in found if d.kind in SLOPED and tolerance.verdict(d) == "differs"]
            if not doubtful:
                return
            if number == len(self.moves):
                self.moves.append(self.shaken(number, tolerance.shake))
            for d in doubtful:
                d.moved = max(d.moved, self.moves[number].get(d.key, 0.0))

    def shaken(self, number: int, share: float) -> dict[str, float]:
        job = self.exchange.job("torch", f"_shaken{number}", dtype="float64", shake=(number, share))
        self.process.ask(job)
        return self.apart(job)

    def apart(self, job: dict[str, Any]) -> dict[str, float]:
        """How far what a job gave is from the truth, by tensor."""
        found = [difference(*pair) for pair in self.exchange.pairs(self.job, job)]
        related(found, self.exchange.case.dtype)
        return {d.key: d.relative for d in found}
