"""Collects the variations of a model's blocks, lowered to steps, until the work for one build of its classes is spent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.model_lowering import LoweredModel, count_effort
from specbuild.diagnostics.errors import SpecError
from specbuild.ir.graph import Variation

# Steps and instances of variations that are lowered for one build of the classes, and twice those of the model. NFNet with
# one more block takes 17,002.
MAX_EFFORT = 17_500
TRIAL_EFFORT = 3  # what a variation takes beside its steps


class Trial(Struct, frozen=True, eq=False):
    """A variation of an instance; `lowered` is None if the spec refuses it, or the backend cannot express it."""

    base: LoweredBlock
    variation: Variation
    lowered: LoweredBlock | None = None


class TrialCollector:
    """The trials of one build. Only steps are counted, so that every machine tries the same."""

    def __init__(self, model: LoweredModel):
        self.model = model
        self.trials: list[Trial] = []
        self.extra_effort = model.lowering.effort  # a large model takes long by itself

    @property
    def effort(self) -> int:
        return self.model.lowering.effort + self.extra_effort

    def collect(self, base: LoweredBlock, names: Iterable[str], variations: Iterator[Variation]) -> None:
        """Add variations of an instance. Its arguments `names` count as not tried if the work is spent before."""
        while self.effort <= MAX_EFFORT:
            variation = next(variations, None)
            if variation is None:
                return
            self.add_trial(base, variation)
        self.trials.append(Trial(base, Variation(dict.fromkeys(names), None, takes_too_long=True)))

    def add_trial(self, base: LoweredBlock, variation: Variation) -> None:
        self.extra_effort += TRIAL_EFFORT
        if variation.block is None:
            self.extra_effort += count_effort(base.block) // 2  # it was elaborated in part
            self.trials.append(Trial(base, variation))
            return
        try:
            lowered = self.model.lower_variation(variation.block, base)
        except SpecError:
            return  # the backend cannot express it
        self.trials.append(Trial(base, variation, lowered))

    def count_build(self) -> None:
        """Count the work for one more round, which merges all that is lowered."""
        self.extra_effort += self.model.lowering.effort // 4
