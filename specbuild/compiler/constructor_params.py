"""Builds a model and its blocks again with other values, to see whether the code of their classes is right for them.

A constructor with a parameter `width` promises to build what the spec describes for any width. If a value
that depends on `width` has become a plain number (the output size of a window, the result of a condition),
the promise would be false. So each block is elaborated again with other values, among them all constants that
the spec compares something with. Code generation compares the code: see `codegen/argument_checks.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from specbuild.compiler.condition_flips import TooManyEvaluations, find_flips
from specbuild.compiler.trial_values import (
    double_value,
    enlarge_value,
    list_alternatives,
    list_limits,
    other_values,
    raise_value,
)
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate.references import expose_value
from specbuild.expressions import concrete, freeze_lists
from specbuild.expressions.thresholds import ThresholdFinder
from specbuild.ir.graph import Block, Node, Variation, block_size_names
from specbuild.ir.prune import Pruner, prune_unused

ElaborateModel = Callable[[Mapping[str, Any]], Block]
MAX_ALTERNATIVES = 12  # values in place of one that the spec refuses
MAX_EFFORT = 40_000  # values to try times steps and names: beyond it, a constructor has no parameters


class ModelVariations:
    """Builds the variations of a model and of the blocks in it.

    `elaborate_with` elaborates the model for other values; the `documents` are the files that it comes from.
    The `pruner` is that of the model, so that they share block instances.
    """

    def __init__(self, elaborate_with: ElaborateModel, documents: Iterable[Any], pruner: Pruner):
        self.elaborate_with, self.pruner = elaborate_with, pruner
        self.comparisons = ThresholdFinder(documents)

    def vary_jointly(self, base: Block, names: Collection[str]) -> Iterator[Variation]:
        """Yield a few variations of all these parameters and input sizes together.

        First doubled values, which keep divisibility. A variation without a block is refused by the spec: it is
        yielded too, since to find that out is work. If it has no values either, its names cannot be arguments: even
        the doubled value of one alone is refused, or to try them would take too long.
        """
        current = read_values(base, names)
        doubled = {name: double_value(value) for name, value in current.items()}
        # each number grows by another amount, so that none stands for another one
        numbered = zip(range(1, len(current) + 1), current.items(), strict=True)
        raised = {name: raise_value(value, step) for step, (name, value) in numbered}
        tried = [self.vary(base, doubled), self.vary(base, raised)]
        yield from tried
        if keeps_steps(tried[0], base):
            yield self.vary(base, {name: enlarge_value(value) for name, value in current.items()})
        if any(variation.block is None for variation in tried):
            yield from self.vary_apart(base, doubled, tried[0].block is None)
        longer = {name: [*v, v[-1]] for name, v in current.items() if isinstance(v, list | tuple) and v}
        if longer:
            yield self.vary(base, longer)
        yield from (self.vary(base, {n: not v}) for n, v in current.items() if isinstance(v, bool))
        thresholds = self.comparisons.find_thresholds(names)
        if len(thresholds) * (10 + base.step_count) > MAX_EFFORT // 2:
            yield Variation(dict.fromkeys(names), None, takes_too_long=True)
            return
        for threshold in thresholds:
            changed = {
                n: threshold for n, v in current.items() if type(v) is type(threshold) and v != threshold
            }
            if changed:
                tried.append(self.vary(base, changed))
                yield tried[-1]
        done = [variation.changed for variation in tried if variation.block is not None]
        try:
            for flips in find_flips(base, names, done):
                for changed in flips:
                    variation = self.vary(base, changed)
                    yield variation
                    if variation.block is not None:
                        break
        except TooManyEvaluations:
            yield Variation(dict.fromkeys(names), None, takes_too_long=True)

    def vary_apart(self, base: Block, doubled: Mapping[str, Any], is_refused: bool) -> Iterator[Variation]:
        """Yield a variation of each name alone, and one of all values that were accepted in this way.

        A parameter with limits, its own or those of a block inside, gets other values until one is accepted.
        """
        accepted: dict[str, Any] = {}
        trials = MAX_EFFORT // (10 + base.step_count)  # for all names together
        for name, value in doubled.items():
            variation = self.vary(base, {name: value})
            yield variation
            if variation.block is None and name in base.params:
                others = list_alternatives(concrete(base.params[name]), read_definition(base, name))
                for other in islice(others, min(trials, MAX_ALTERNATIVES)):
                    trials -= 1
                    variation = self.vary(base, {name: other})
                    yield variation
                    if variation.block is not None:
                        break
            if variation.block is not None:
                accepted |= variation.changed
            elif base.rebuild is None and is_refused:
                yield Variation({name: None}, None)  # such as the size of an input that is a number
        if len(accepted) > 1:
            yield self.vary(base, accepted)

    def vary_singly(self, base: Block, names: Collection[str]) -> Iterator[Variation]:
        """Yield variations of one parameter or input size at a time.

        A variation without a block has the names of parameters that would take too long to try.
        """
        thresholds = self.comparisons.find_thresholds(names)
        if len(names) * (4 + len(thresholds)) * (base.step_count + len(names)) > MAX_EFFORT:
            yield Variation(dict.fromkeys(names), None, takes_too_long=True)
            return
        try:
            for flips in find_flips(base, names, ()):
                yield from (self.vary(base, changed) for changed in flips)
        except TooManyEvaluations:
            yield Variation(dict.fromkeys(names), None, takes_too_long=True)
            return
        for name, value in read_values(base, names).items():
            limits = list_limits(read_definition(base, name)) if name in base.params else ()
            others = [
                *other_values(value),
                *(t for t in limits if type(t) is type(value)),
                *(t for t in thresholds if type(t) is type(value)),
            ]
            for other in dict.fromkeys(map(freeze_lists, others)):
                if other != freeze_lists(value):
                    yield self.vary(base, {name: list(other) if isinstance(other, tuple) else other})
            enlarged = enlarge_value(value)
            if enlarged != value and keeps_steps(self.vary(base, {name: double_value(value)}), base):
                yield self.vary(base, {name: enlarged})

    def vary(self, base: Block, changed: Mapping[str, Any]) -> Variation:
        """Return a block with other values; without a block if the spec refuses them."""
        try:
            block = self.elaborate_with(changed) if base.rebuild is None else self.rebuild(base, changed)
        except (SpecError, SpecErrors):
            return Variation(changed, None)
        return Variation(changed, block)

    def rebuild(self, base: Block, changed: Mapping[str, Any]) -> Block:
        """Return an inner block with other values, and with the outputs of `base`; raises SpecError."""
        assert base.rebuild is not None
        params = {name: value for name, value in changed.items() if name in base.params}
        sizes = {name: value for name, value in changed.items() if name not in base.params}
        block = base.rebuild(params, sizes)
        for name in base.outputs:
            if name not in block.outputs:
                block = expose_value(block, name, block.at)
        block = block.with_outputs({name: block.outputs[name] for name in base.outputs})
        # others may use weights of a step that no output needs; a block that was pruned has no such users
        kept = {n.name for n in base.nodes if has_same_outputs(n, block.find_node(n.name))}
        return prune_unused(block, self.pruner, frozenset(kept))


def has_same_outputs(node: Node, other: Node | None) -> bool:
    """Return whether another block has a step with the same outputs."""
    if other is None or not (isinstance(node.op, Block) and isinstance(other.op, Block)):
        return other is not None
    return node.op.outputs.keys() == other.op.outputs.keys()


def keeps_steps(variation: Variation, base: Block) -> bool:
    """Return whether a variation has as many steps as the block: its values are no numbers of repeats."""
    return variation.block is not None and variation.block.step_count == base.step_count


def read_values(base: Block, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of parameters and input sizes in a block."""
    sizes = block_size_names(base)
    values = {}
    for name in names:
        source = sizes.get(name) if name not in base.params else None
        values[name] = concrete(base.params[name] if source is None else base.inputs[source[0]][source[1]])
    return values


def read_definition(base: Block, name: str) -> Any:
    """Return what the spec says of a parameter of a block: a mapping with its limits, or its default."""
    return (base.at.read_value().get("params") or {}).get(name)
