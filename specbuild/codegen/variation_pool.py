"""The variations of a model's blocks, lowered to steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.merged_params import instance_values
from specbuild.codegen.model_lowering import LoweredModel
from specbuild.codegen.trials import Trial
from specbuild.ir.graph import BlockArgument, definition_key


class VariationPool:
    """The lowered variations, and the blocks inside them, which are variations of other instances."""

    def __init__(self, model: LoweredModel, trials: Iterable[Trial]):
        self.by_block: dict[str, list[LoweredBlock]] = {}  # definition -> variations, without equal ones
        self.changed: dict[LoweredBlock, Mapping[str, Any]] = {}  # what a variation of an instance changes
        self.bases: dict[LoweredBlock, LoweredBlock] = {}  # the instance that it varies
        self.untried: dict[LoweredBlock, set[str]] = {}  # instance -> parameters without a variation
        self.too_long: dict[LoweredBlock, set[str]] = {}  # those of them that take too long to try
        self.equal: dict[Any, LoweredBlock] = {}  # key -> the first instance or variation with this key
        self.first_equal: dict[LoweredBlock, LoweredBlock] = {}  # what `find_equal` found so far
        self.instances = set(model.instances)
        for lowered in model.instances:
            self.equal.setdefault(equality_key(lowered), lowered)
        for trial in trials:
            self.add_trial(trial)
        for lowered in model.lowered_blocks():
            if lowered not in self.instances and (
                lowered in self.changed or self.find_equal(lowered) is lowered
            ):
                self.by_block.setdefault(definition_key(lowered.block), []).append(lowered)

    def add_trial(self, trial: Trial) -> None:
        changed = trial.variation.changed
        if trial.lowered is not None:
            self.changed[trial.lowered], self.bases[trial.lowered] = changed, trial.base
        elif None in changed.values():
            self.untried.setdefault(trial.base, set()).update(changed)
            if trial.variation.takes_too_long:
                self.too_long.setdefault(trial.base, set()).update(changed)

    def find_equal(self, lowered: LoweredBlock) -> LoweredBlock:
        """Return the first instance or variation that has the same code as a variation; an instance itself."""
        if lowered in self.instances:
            return lowered
        first = self.first_equal.get(lowered)
        if first is None:
            first = self.first_equal[lowered] = self.equal.setdefault(equality_key(lowered), lowered)
        return first

    def find_untried(self, instances: Sequence[LoweredBlock]) -> set[str]:
        """Return the parameters that were not tried, and have one value in these instances."""
        names = {name for lowered in instances for name in self.untried.get(lowered, ())}
        return names & constant_names(instances)

    def find_too_long(self, instances: Sequence[LoweredBlock]) -> list[str]:
        """Return the parameters and input sizes of these instances that take too long to try."""
        names = {name for lowered in instances for name in self.too_long.get(lowered, ())}
        return [name for name in instance_values(instances[0].block) if name in names]

    def find_variations(
        self, instances: Sequence[LoweredBlock]
    ) -> Iterator[tuple[LoweredBlock, Mapping[str, Any]]]:
        """Yield the variations that one class with these instances might serve, and what each changes."""
        layouts = [input_layouts(lowered) for lowered in instances]
        for lowered in self.by_block.get(definition_key(instances[0].block), ()):
            base = self.bases.get(lowered)
            if input_layouts(lowered) in layouts and (base is None or base in instances):
                yield lowered, self.changed.get(lowered, {})


def constant_names(instances: Sequence[LoweredBlock]) -> set[str]:
    """Return the parameters and input sizes that have one value in all these instances."""
    first, *others = (instance_values(lowered.block) for lowered in instances)
    return {name for name, value in first.items() if all(o.get(name) == value for o in others)}


def input_layouts(lowered: LoweredBlock) -> list[Any]:
    return [value.layout for value in lowered.inputs.values()]


def equality_key(lowered: LoweredBlock) -> Any:
    """Return a key that is equal for blocks with the same code."""
    block = lowered.block
    choices = [(n, v.cache_key) for n, v in block.params.items() if isinstance(v, BlockArgument)]
    return (
        definition_key(block),
        repr((instance_values(block), choices, list(block.outputs), input_layouts(lowered))),
        tuple(x.dtype for x in block.inputs.values()),
        tuple(edit for edit, _ in block.applied_edits),
        block.form,
    )
