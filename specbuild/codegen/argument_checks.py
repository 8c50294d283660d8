"""Finds out for which arguments the constructor of a class is right.

A class is made from the instances of its block in the file. Three sources say what it is for other arguments:

* **Proved.** Code that keeps the expression of the spec, such as `2 * width`, is right for every width.
* **Tried.** A value in the code may have lost its expression. So the block is built again with other values
  (a variation), and merged with the instances: if the code of the class stays the same, it serves them.
* **Refused.** What the code itself requires (see `requirements`) is checked in the constructor. If a variation
  that meets these requirements needs other code, the parameter becomes a plain number in the class, and the
  constructor has it no longer. Only where the instances of the file differ in the parameter, or other values need
  other steps, the constructor keeps it and refuses what it cannot serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any

from msgspec import Struct

from specbuild.codegen.class_spec import Guard
from specbuild.codegen.constructions import literal_expression
from specbuild.codegen.from_expression import expression_code, negate
from specbuild.codegen.list_lengths import refuse_other_lengths
from specbuild.codegen.lowered_steps import LoweredBlock
from specbuild.codegen.merge_code import StructureMismatch
from specbuild.codegen.merge_instances import InstanceMerger, bind_names
from specbuild.codegen.merged_params import instance_values
from specbuild.codegen.printer import print_expression
from specbuild.codegen.requirements import (
    is_met,
    is_true,
    join_codes,
    refused_by,
    require_minimum,
    require_multiple,
)
from specbuild.codegen.tree import Infix, Literal, Name, Prefix, TupleOf
from specbuild.codegen.variation_pool import constant_names
from specbuild.expressions import Expression, freeze_lists
from specbuild.ir.graph import block_size_names

MakeMerger = Callable[[Sequence[LoweredBlock]], InstanceMerger]
MAX_MERGED = (
    400_000  # steps and parameters of instances and variations, each time that they are merged for a trial
)


class Candidate(Struct, frozen=True, eq=False):
    """A variation of a block; `lowered` is None if a block inside it has no class that serves it."""

    changed: Mapping[str, Any]  # empty if it is only a part of another variation
    values: Mapping[str, Any]  # of all parameters and input sizes
    lowered: LoweredBlock | None


class TooMuchMerging(Exception):
    """Raised when it takes too long to find out which variations a class serves."""


class MergeMeter:
    """The work of merging variations so far, for one build of the classes."""

    def __init__(self) -> None:
        self.merged_count = 0

    def count_merge(self, plain: InstanceMerger, variations: int) -> None:
        """Count a merge of the instances of a class with variations. Raises TooMuchMerging."""
        block = plain.instances[0].block
        self.merged_count += (len(plain.instances) + variations) * (
            len(plain.merged_steps) + len(block.params)
        )
        if self.merged_count > MAX_MERGED:
            raise TooMuchMerging


def serve_variations(
    make_merger: MakeMerger, plain: InstanceMerger, candidates: Sequence[Candidate], meter: MergeMeter
) -> tuple[InstanceMerger, list[Candidate]]:
    """Return the class of the instances with those variations that need no other code, and these variations.

    `plain` is the class of the instances alone. Raises TooMuchMerging.
    """
    todo = [[c for c in candidates if c.lowered is not None]]
    if not todo[0]:
        return plain, []
    code = class_code(plain)

    def merge_with(variations: Sequence[Candidate]) -> InstanceMerger | None:
        meter.count_merge(plain, len(variations))
        merger = try_merge(make_merger, variations)
        return merger if merger is not None and class_code(merger) == code else None

    parts: list[list[Candidate]] = []
    merger: InstanceMerger | None = None
    while todo:
        part = todo.pop()
        if (merger := merge_with(part)) is not None:
            parts.append(part)
        elif len(part) > 1:
            todo += [part[: len(part) // 2], part[len(part) // 2 :]]
    accepted = [candidate for part in parts for candidate in part]
    if merger is None or accepted != parts[-1]:
        merger = merge_with(accepted)
    if merger is not None:
        return merger, accepted
    served, accepted = plain, []
    for part in parts:  # each alone needs no other code, but together they do
        if (merger := merge_with([*accepted, *part])) is not None:
            served, accepted = merger, [*accepted, *part]
    return served, accepted


def class_code(merger: InstanceMerger) -> Any:
    """Return a comparable form of the code of a class, without the defaults of parameters."""
    steps = [(step.key, step.member, step.inits, step.call) for step in merger.merged_steps]
    return (
        tuple(merger.constructor_params),
        merger.derived,
        steps,
        merger.sizes.used,
        merger.flags,
        merger.presence,
        merger.size_checks,
    )


def try_merge(make_merger: MakeMerger, candidates: Sequence[Candidate]) -> InstanceMerger | None:
    """Return the merger of the instances and these variations; None if a variation does not fit."""
    try:
        merger = make_merger([c.lowered for c in candidates if c.lowered is not None])
        merger.merge()
    except StructureMismatch:
        return None
    if merger.is_model and merger.flags:
        return None  # a model has no steps that only some of its instances have
    return merger


class ClassLimits(Struct):
    """What a class does about the variations that it does not serve."""

    guards: list[Guard]
    numbers: set[str]  # parameters that must become plain numbers


def find_limits(plain: InstanceMerger, right: Sequence[Candidate], wrong: list[Candidate]) -> ClassLimits:
    """Return how a class refuses the values that it is wrong for, and which parameters it cannot have."""
    limits = ClassLimits([], set())
    constants = constant_names(plain.instances)
    wrong = [c for c in wrong if can_ask_for(plain, c) and not hangs_on_input(plain, c.values)]
    unseen = list(refuse_pairs(plain, right, wrong, sizes)) if (sizes := unseen_sizes(plain)) else []
    wrong = [c for c in wrong if not refused_by(unseen, c.values)]
    for guard in explain_wrong(plain, right, wrong):
        if any(refused_by([guard], c.values) for c in wrong):
            limits.guards.append(guard)
            wrong = [c for c in wrong if not refused_by([guard], c.values)]
    for name in plain.constructor_params:
        if not any([*c.changed] == [name] for c in wrong):
            continue
        if name in constants:
            limits.numbers.add(name)
        elif any(name in instance_values(lowered.block) for lowered in plain.instances):
            guard = refuse_others(name, plain)
            if any(refused_by([guard], c.values) for c in wrong):  # not `first must be True or False`
                limits.guards.append(guard)
    if not limits.numbers:  # wrong only together, or a block inside them is wrong
        left = [c for c in wrong if not refused_by(limits.guards, c.values)]
        limits.numbers = {
            n for c in left for n in c.changed if n in constants and n in plain.constructor_params
        }
    return limits


def explain_wrong(
    plain: InstanceMerger, right: Sequence[Candidate], wrong: Sequence[Candidate]
) -> Iterator[Guard]:
    """Yield guards that say why values are wrong, the most certain first."""
    yield from refuse_other_steps(plain, right, wrong)
    yield from refuse_small_values(plain, right, wrong)
    yield from refuse_pairs(plain, right, wrong)
    lists = [(name, c.values[name]) for c in wrong for name in c.changed if len(c.changed) == 1]
    lists = [(name, value) for name, value in lists if isinstance(value, list | tuple)]
    yield from refuse_other_lengths(plain, [c.values for c in right], lists)


def can_ask_for(plain: InstanceMerger, variation: Candidate) -> bool:
    """Return whether a caller can get a variation: the constructor has every parameter that it changes."""
    params = {*plain.instances[0].block.params}
    return not params.intersection(variation.changed).difference(plain.constructor_params)


def hangs_on_input(plain: InstanceMerger, values: Mapping[str, Any]) -> bool:
    """Return whether another size of an input that the constructor does not get would make a class right.

    A shortcut, for example, needs as many channels as come in: other ones are right where these come in.
    """
    sizes = unseen_sizes(plain)
    for condition in other_step_conditions(plain):
        unseen = sizes.intersection(condition.names)
        if is_true(condition, values) and unseen:
            numbers = {value for value in values.values() if type(value) is int}
            if any(not is_true(condition, {**values, **dict.fromkeys(unseen, n)}) for n in numbers):
                return True
    return False


def refuse_other_steps(
    plain: InstanceMerger, right: Sequence[Candidate], wrong: Iterable[Candidate]
) -> list[Guard]:
    """Refuse the values for which the class would need other steps than it has.

    A condition counts if it reads only parameters of the constructor, explains a wrong variation, and leaves
    another value for each parameter.
    """
    chosen: list[Expression] = []
    known = {*plain.constructor_params}
    left, needed = list(wrong), [e for e in other_step_conditions(plain) if {*e.names} <= known]
    needed = [e for e in needed if not any(is_true(e, c.values) for c in right)]
    varied = {name for c in right for name in c.changed}
    needed = [e for e in needed if len({*e.names}) > 1 or varied.issuperset(e.names)]
    while needed and left:  # the condition that explains most first: others often follow from it
        best = max(needed, key=lambda condition: sum(is_true(condition, c.values) for c in left))
        explained = [c for c in left if is_true(best, c.values)]
        if not explained:
            break
        chosen.append(best)
        left = [c for c in left if c not in explained]
    if not chosen:
        return []
    code = join_codes("or", [expression_code(condition) for condition in chosen])
    name = plain.instances[0].block.name
    match code:
        case Infix("!=", Infix("%", whole, divisor), Literal(0)):
            return [require_multiple([whole], [divisor])]
        case Prefix("not") | Infix("!=" | "not in"):
            return [Guard(code, f"this {name} is only for {print_expression(negate(code))}")]
    return [Guard(code, f"this {name} has no code for {print_expression(code)}")]


def other_step_conditions(plain: InstanceMerger) -> Iterable[Expression]:
    """Yield the conditions under which a class would have another step, or one fewer.

    A parameter that the constructor has not, and that has one value, is this value in them.
    """
    fixed = fixed_params(plain)
    for condition in dict.fromkeys(chain(step_conditions(plain), group_conditions(plain))):
        if fixed.keys().isdisjoint(condition.names):
            yield condition
        elif (bound := bind_names(condition, fixed)) is not None:
            yield bound


def fixed_params(plain: InstanceMerger) -> dict[str, Any]:
    """Return the values of the parameters that the constructor does not take."""
    block = plain.instances[0].block
    names = constant_names(plain.instances) & {*block.params} - {*plain.constructor_params}
    values = instance_values(block)
    return {name: freeze_lists(values[name]) for name in names if name in values}


def step_conditions(plain: InstanceMerger) -> Iterator[Expression]:
    for index, step in enumerate(plain.merged_steps):
        steps = [lowered.steps[index] for lowered in plain.instances]
        conditions = {s.when for s in steps if s.when is not None}
        skipped = {s.is_skipped for s in steps}
        if len(conditions) == len(skipped) == 1 and step.key not in plain.flags:
            [condition] = conditions
            yield condition if skipped == {True} else condition.opposite


def group_conditions(plain: InstanceMerger) -> Iterator[Expression]:
    """Yield when a group of steps would be left out that every instance has."""
    first, *others = (lowered.block.groups for lowered in plain.instances)
    for path, group in first.items():
        if group.when is not None and all(path in o and o[path].when == group.when for o in others):
            yield group.when.opposite


def refuse_small_values(
    plain: InstanceMerger, right: Sequence[Candidate], wrong: Sequence[Candidate]
) -> Iterable[Guard]:
    """Refuse 0, or 0 and 1, for a number if just these values of it are wrong."""
    for name in plain.constructor_params:
        used = [v[name] for v in (instance_values(x.block) for x in plain.instances) if name in v]
        bad = [c.values[name] for c in wrong if [*c.changed] == [name]]
        good = [*used, *(c.values[name] for c in right if [*c.changed] == [name])]
        if bad and used and all(type(value) is int for value in (*bad, *good)):
            limit = max(bad) + 1
            if limit <= 2 and min(good) >= limit:
                yield require_minimum(Name(name), limit, name)


def unseen_sizes(plain: InstanceMerger) -> frozenset[str]:
    """Return the sizes of inputs that the constructor does not get: the framework compares them when it runs."""
    return frozenset(block_size_names(plain.instances[0].block)) - {*plain.constructor_params}


def refuse_pairs(
    plain: InstanceMerger,
    right: Sequence[Candidate],
    wrong: Sequence[Candidate],
    unseen: frozenset[str] = frozenset(),
) -> Iterator[Guard]:
    """Refuse two numbers that are both larger than in the file, or not equal as there, if just these are wrong.

    Those that are equal may only be so under a flag, as in the first stage. With `unseen` sizes, only pairs with one.
    """
    scopes = [instance_values(lowered.block) for lowered in plain.instances]
    names = (*plain.constructor_params, *sorted(unseen))
    columns = {name: [scope[name] for scope in scopes if name in scope] for name in names}
    flags = [name for name, values in columns.items() if {*map(type, values)} == {bool}]
    columns = {name: values for name, values in columns.items() if {*map(type, values)} == {int}}
    known = (*scopes, *(c.values for c in right))
    for pair in combinations(columns, 2):
        if unseen and len(unseen.intersection(pair)) != 1:
            continue
        causes = [c for c in wrong if [*c.changed] in ([pair[0]], [pair[1]])]
        guards = list(guards_of_pair(plain.instances[0].block.name, pair, columns, flags)) if causes else []
        for guard in guards[1:] if unseen else guards:  # a large size does not show that an argument is wrong
            explains = all(is_met(guard, c.values) for c in causes)
            if explains and not any(is_met(guard, values) for values in known):
                yield guard


def guards_of_pair(
    block: str, pair: tuple[str, str], columns: Mapping[str, list[int]], flags: Sequence[str]
) -> Iterator[Guard]:
    """Yield guards that may say which pairs of numbers are wrong: a stride and a dilation, a width and its input."""
    larger = join_codes("and", [Infix(">", Name(name), Literal(min(columns[name]))) for name in pair])
    yield Guard(larger, f"this {block} has no code for {print_expression(larger)}")
    if len({*columns[pair[0]]}) > 1:
        equal = Infix("==", Name(pair[0]), Name(pair[1]))
        yield Guard(negate(equal), f"this {block} is only for {print_expression(equal)}")
        for flag in map(Name, flags):
            for condition, word in ((flag, "with"), (negate(flag), "without")):
                message = f"{word} {flag.text}, this {block} is only for {print_expression(equal)}"
                yield Guard(Infix("and", condition, negate(equal)), message)


def refuse_others(name: str, plain: InstanceMerger) -> Guard:
    """Refuse all values but those that the file uses."""
    values = [instance_values(lowered.block).get(name) for lowered in plain.instances]
    known = tuple(dict.fromkeys(literal_expression(value) for value in values))
    text = " or ".join(print_expression(value) for value in known)
    return Guard(Infix("not in", Name(name), TupleOf(known)), f"{name} must be {text}")
