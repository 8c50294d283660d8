"""Names of weights: from the original model's to the spec's own, and short rules for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from specbuild.compiler.weight_locations import WeightLocation
from specbuild.importing.named_values import Instance, Published
from specbuild.importing.plans import Plans

if TYPE_CHECKING:
    from specbuild.importing.trace import Array

MAX_LINES = 80  # of rules in a spec
SEPARATORS = "._/"
FIELDS = ("i", "j", "k", "m")
FIELD = re.compile(r"\{([^{}]*)\}")
Goal: TypeAlias = tuple[tuple[str, ...], bool]  # the own names of a published one, and whether it is reshaped
NUMBER = re.compile(
    r"(?<![0-9A-Za-z])[0-9]+(?![0-9A-Za-z])|(?<=_)[0-9]+(?=\.)|(?<=[a-z])[0-9]+(?=[./_-])|(?<=[a-z])[0-9]+(?=[a-z][/_])"
)


class CarriedWeight(Struct, frozen=True):
    """A tensor of the original model, or one part of it, with its own name in PyTorch and its path in the graph."""

    published: Published
    own: str
    slot: str  # the end of both names, if it is a tensor of a layer
    reshapes: bool


class KeyMap(Struct, frozen=True):
    """The weight of the spec for each tensor of the original model; `ignored` are those that the spec does not have."""

    weights: list[CarriedWeight]
    ignored: list[str]
    lines: list[str]  # of the rules in the spec; empty if all names are the same

    @property
    def is_strict(self) -> bool:
        return not self.lines

    @property
    def is_long(self) -> bool:
        """Whether the rules are left out of the spec, since its reader would see nothing but them."""
        return len(self.lines) > MAX_LINES

    def apply(
        self, published: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]
    ) -> dict[str, Array]:
        """Return tensors of the original under the spec's own names, in the shapes that they have there, without the rules."""
        carried: dict[str, Array] = {}
        for weight in self.weights:
            if weight.published.name in published:
                value, parts = published[weight.published.name], weight.published.parts
                size = value.shape[0] // parts if parts > 1 else 0
                part = value[size * weight.published.part :][:size] if parts > 1 else value
                carried[weight.own] = part.reshape(shapes[weight.own]) if weight.own in shapes else part
        return carried


def build_key_map(
    plans: Plans,
    locations: Sequence[WeightLocation],
    shapes: Mapping[str, tuple[int, ...]],
    naming: str,
) -> KeyMap:
    """Return where the tensors with these published shapes go in the compiled model. Raises ValueError for one that is nowhere."""
    own_names: dict[tuple[str, str], WeightLocation] = {}
    for location in locations:
        own_names[location.path.rpartition(".")[0], location.storage.name] = location
    compiled = {path for path, _ in own_names}
    carried: dict[tuple[str, int], CarriedWeight] = {}
    for path, slot, published in list_carried(plans, plans.plans[-1].instances[0], ""):
        if published.name not in shapes or path not in compiled:
            continue  # no output needs the step
        carried[published.name, published.part] = carry_weight(path, slot, published, own_names, shapes)
    mapped = {name for name, _ in carried}
    ignored = [name for name in shapes if name not in mapped]
    weights = list(carried.values())
    return KeyMap(weights, ignored, write_rules(weights, ignored, naming))


def carry_weight(
    path: str,
    slot: str,
    published: Published,
    own_names: Mapping[tuple[str, str], WeightLocation],
    shapes: Mapping[str, tuple[int, ...]],
) -> CarriedWeight:
    if slot == "num_batches_tracked":
        mean = own_names[path, "running_mean"].framework_path
        return CarriedWeight(published, mean.replace("running_mean", slot), slot, False)
    location = own_names[path, slot]
    shape = shapes[published.name]
    if published.parts > 1:
        shape = (shape[0] // published.parts, *shape[1:])
    return CarriedWeight(published, location.framework_path, slot, shape != location.framework_shape)


def list_carried(plans: Plans, instance: Instance, prefix: str) -> Iterator[tuple[str, str, Published]]:
    """Yield the path of each step with weights in the spec, the slot, and the published tensor."""
    plan, number = plans.places[instance]
    for row in plan.rows:
        step = row.steps.get(number)
        if step is None or step.reused is not None:
            continue
        path = f"{prefix}{row.paths.get(number) or row.path or step.op}"
        if step.instance is not None:
            yield from list_carried(plans, step.instance, f"{path}.")
        for slot, published in step.weights.items():
            yield path, slot, published


# ------------------------------------------------------------------------------------------------- rules


class Rule(Struct, frozen=True, dict=True):
    """One line of `weights`: a template, and what becomes of the names that match it."""

    template: str
    targets: tuple[str, ...]  # empty: ignored
    reshapes: bool = False

    def write(self) -> str:
        key = f'"{self.template}"' if self.template[0] in '{*"' else self.template
        if not self.targets:
            return f"    {key}: {{ignore: true}}"
        if len(self.targets) > 1:
            targets = ", ".join(f'"{t}"' for t in self.targets)
            extra = ", reshape: true" if self.reshapes else ""
            return f"    {key}:\n      {{split: 0, into: [{targets}]{extra}}}"
        [target] = self.targets
        if self.reshapes:
            quoted = f'"{target}"' if "{" in target else target
            return f"    {key}: {{to: {quoted}, reshape: true}}"
        return f'    {key}: "{target}"' if target[0] == "{" else f"    {key}: {target}"

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        pieces = []
        for i, piece in enumerate(FIELD.split(self.template)):
            value = ".+" if piece == "rest" else "[0-9]+"
            pieces.append(re.escape(piece) if i % 2 == 0 else f"(?P<{piece}>{value})")
        return re.compile("".join(pieces))

    def apply(self, name: str) -> Goal | None:
        """Return the own names for a published one, and whether it is reshaped; None if the rule does not match."""
        match = self.pattern.fullmatch(name)
        if match is None:
            return None
        return tuple(FIELD.sub(lambda field: match[field[1]], t) for t in self.targets), self.reshapes


def write_rules(weights: Sequence[CarriedWeight], ignored: Sequence[str], naming: str) -> list[str]:
    """Return the lines of rules that say where each tensor goes; none if all names and shapes are the same."""
    parts: dict[str, list[CarriedWeight]] = {}
    for weight in weights:
        parts.setdefault(weight.published.name, []).append(weight)
    wanted: dict[str, Goal] = dict.fromkeys(ignored, ((), False))
    for name, own in parts.items():
        own.sort(key=lambda w: w.published.part)
        wanted[name] = tuple(w.own for w in own), any(w.reshapes for w in own)
    chooser = RuleChooser(wanted, {name: found[0].slot for name, found in parts.items()})
    rules = chooser.choose_rules()
    return [f"  {naming}:", *(rule.write() for rule in rules)] if rules else []


def list_candidates(name: str, goal: Goal, slot: str) -> Iterator[Rule]:
    """Yield rules for names like this one: with fields in place of numbers, the most general first."""
    whole, (targets, reshapes) = name, goal
    if (
        slot
        and targets
        and name.endswith(slot)
        and all(t.endswith((f".{slot}", f"/{slot}")) for t in targets)
    ):
        name = f"{name[: -len(slot)]}{{rest}}"
        targets = tuple(f"{t[: -len(slot)]}{{rest}}" for t in targets)
    forms = [(name, targets), *([(whole, goal[0])] if reshapes else [])]
    if len(targets) == 1:
        forms.insert(0, share_rest(whole, targets[0] if "{" not in targets[0] else goal[0][0]))
    for own, own_targets in forms:
        count = min(len(NUMBER.findall(own)), len(FIELDS))
        for size in range(count, -1, -1):
            for chosen in combinations(range(count), size):
                yield generalize(own, own_targets, reshapes, chosen)
    yield Rule(whole, goal[0], reshapes)


def share_rest(name: str, target: str) -> tuple[str, tuple[str, ...]]:
    """Return a name and its target with a field in place of the words that both end with."""
    length = 0
    while length < min(len(name), len(target)) and name[-length - 1] == target[-length - 1]:
        length += 1
    while length and not (is_start(name, length) and is_start(target, length)):
        length -= 1
    if not length or length == len(name) == len(target):
        return name, (target,)
    return f"{name[:-length]}{{rest}}", (f"{target[:-length]}{{rest}}",)


def is_start(name: str, length: int) -> bool:
    """Return whether the last letters of a name, as many as `length`, begin a word."""
    return len(name) == length or name[-length - 1] in SEPARATORS


def generalize(name: str, targets: tuple[str, ...], reshapes: bool, chosen: Sequence[int]) -> Rule:
    """Return a rule with fields in place of these numbers of a name, and of the same numbers in its targets."""
    matches = list(NUMBER.finditer(name))
    fields = {i: (matches[i][0], field) for i, field in zip(chosen, FIELDS, strict=False)}
    template, end = "", 0
    for i, match in enumerate(matches):
        template += name[end : match.start()] + (f"{{{fields[i][1]}}}" if i in fields else match[0])
        end = match.end()
    numbers = list(fields.values())
    return Rule(template + name[end:], tuple(fill_numbers(t, numbers) for t in targets), reshapes)


def fill_numbers(target: str, numbers: Sequence[tuple[str, str]]) -> str:
    """Put fields in place of the numbers that come from the published name, in their order."""
    waiting = list(numbers)

    def take_field(match: re.Match[str]) -> str:
        for i, (number, field) in enumerate(waiting):
            if number == match[0]:
                del waiting[: i + 1]
                return f"{{{field}}}"
        return match[0]

    return NUMBER.sub(take_field, target)


class RuleChooser:
    """Chooses few rules, in an order in which the first that matches a name is right for it.

    It finds them from the last to the first: each is the rule that corrects most names, and earlier rules correct the names that it
    makes wrong. `wanted` has the goal of each published name, `slots` the slot of the layer that it belongs to.
    """

    def __init__(self, wanted: Mapping[str, Goal], slots: Mapping[str, str]):
        self.wanted, self.slots = wanted, slots
        self.matches: dict[
            Rule, dict[str, bool]
        ] = {}  # the names that a rule matches, and whether it is right
        self.matching: dict[str, list[Rule]] = {name: [] for name in wanted}  # the rules that match a name
        self.gains: dict[
            Rule, int
        ] = {}  # how many names a rule would correct, less those that it would make wrong
        self.wrong: set[str] = set()

    def choose_rules(self) -> list[Rule]:
        changed = [name for name, goal in self.wanted.items() if goal != ((name,), False)]
        for name in changed:
            self.add_candidates(name)
        for name in changed:
            self.mark_name(name, True)
        rules: list[Rule] = []
        while self.wrong:
            best = max(self.gains, key=self.rank_rule)
            if self.gains[best] <= 0:  # a name that must not change, but all rules so far change it
                self.add_candidates(min(self.wrong))
                best = max(self.gains, key=self.rank_rule)
            rules.insert(0, best)
            for name, right in self.matches[best].items():
                self.mark_name(name, not right)
        return sort_rules(rules, self.wanted)

    def add_candidates(self, name: str) -> None:
        """Add the rules that are right for a name."""
        for rule in list_candidates(name, self.wanted[name], self.slots.get(name, "")):
            if rule in self.matches:
                continue
            results = ((other, rule.apply(other)) for other in self.wanted)
            found = {other: goal == self.wanted[other] for other, goal in results if goal is not None}
            self.matches[rule] = found
            for other in found:
                self.matching[other].append(rule)
            mended = sum(right and other in self.wrong for other, right in found.items())
            self.gains[rule] = mended - sum(
                not right and other not in self.wrong for other, right in found.items()
            )

    def mark_name(self, name: str, is_wrong: bool) -> None:
        if is_wrong != (name in self.wrong):
            (self.wrong.add if is_wrong else self.wrong.discard)(name)
            for rule in self.matching[name]:
                self.gains[rule] += 1 if is_wrong else -1

    def rank_rule(self, rule: Rule) -> tuple[int, int, bool]:
        is_for_layer = "{rest}" in rule.template
        return self.gains[rule], int(is_for_layer) - rule.template.count("{"), is_for_layer


def sort_rules(rules: list[Rule], wanted: Mapping[str, Goal]) -> list[Rule]:
    """Return the rules in the order of the names that they are for, if they are right in this order too."""

    def find_rule(name: str, order: Sequence[Rule]) -> Rule | None:
        return next((rule for rule in order if rule.apply(name) is not None), None)

    used = dict.fromkeys(find_rule(name, rules) for name in wanted)
    ordered = [rule for rule in used if rule is not None]
    for name, goal in wanted.items():
        rule = find_rule(name, ordered)
        if (rule.apply(name) if rule is not None else ((name,), False)) != goal:
            return rules
    return ordered
