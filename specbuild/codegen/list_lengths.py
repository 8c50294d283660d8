"""The lengths of lists that the code of a class reads by index: it has an item for each, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from specbuild.codegen.class_spec import Guard
from specbuild.codegen.merge_instances import InstanceMerger
from specbuild.codegen.merged_params import instance_values
from specbuild.codegen.printer import print_expression
from specbuild.codegen.tree import Call, Conditional, Expr, Index, Infix, Literal, Name, Prefix
from specbuild.codegen.tree_walk import walk_expression


class ListReads(Struct):
    """How code reads the lists among some parameters: `stages`, or an item of one, `stages[0]`."""

    names: frozenset[str]
    least: dict[Expr, int] = field(default_factory=dict)  # list -> the length that its indices always need
    most: dict[Expr, int] = field(default_factory=dict)  # list -> the length that some of its indices need
    whole: set[Expr] = field(default_factory=set)  # lists that are read otherwise, too

    def read(self, part: object, asked: frozenset[Expr] = frozenset()) -> None:
        """Add what a piece of code reads; only for some lengths of the lists that are `asked` for theirs."""
        match part:
            case Index(of, (Literal(int(index)),)) if self.is_list(of) and index >= 0:
                self.most[of] = max(self.most.get(of, 0), index + 1)
                if of not in asked:
                    self.least[of] = max(self.least.get(of, 0), index + 1)
                if not isinstance(of, Name):
                    self.read(of, asked)
            case Name() | Index() if self.is_list(part):
                self.whole.add(part)
            case Conditional(test, then, otherwise):
                self.read_condition(test)
                self.read((then, otherwise), asked | find_asked(test))
            case tuple():
                for item in part:
                    self.read(item, asked)
            case _ if isinstance(part, Struct):
                for name in type(part).__struct_fields__:
                    self.read(getattr(part, name), asked)

    def read_condition(self, part: Expr) -> None:
        """Add what a condition reads. The length of a list, there, only tells which items there are."""
        match part:
            case Infix(_, left, right):
                self.read_condition(left)
                self.read_condition(right)
            case Prefix("not", operand):
                self.read_condition(operand)
            case Call(Name("len"), (of,)) if self.is_list(of):
                pass
            case _:
                self.read(part)

    def is_list(self, code: object) -> bool:
        match code:
            case Name(name):
                return name in self.names
            case Index(of, (Literal(int()),)):
                return self.is_list(of)
        return False


def find_asked(condition: Expr) -> frozenset[Expr]:
    """Return the lists for whose length a condition asks."""
    calls = (part for part in walk_expression(condition) if isinstance(part, Call))
    return frozenset(call.args[0] for call in calls if call.function == Name("len"))


def require_lengths(merger: InstanceMerger) -> Iterator[Guard]:
    """Require that a list has the items that are read, and no others if none but these are."""
    scopes = [instance_values(lowered.block) for lowered in merger.instances]
    names = {
        name
        for name in merger.constructor_params
        if all(isinstance(scope.get(name), list | tuple) for scope in scopes)
    }
    if not names:
        return
    reads = ListReads(frozenset(names))
    for step in merger.merged_steps:
        condition = merger.flags.get(step.key)
        asked = frozenset[Expr]() if condition is None else find_asked(condition)
        reads.read((step.member, step.inits, step.call), asked)
    reads.read(tuple(merger.derived.values()))
    for condition in merger.flags.values():
        reads.read_condition(condition)
    for listed, most in sorted(reads.most.items(), key=lambda item: print_expression(item[0])):
        least = reads.least.get(listed, 0)
        if least:
            yield limit_length(listed, "<", least)
        if listed not in reads.whole:
            yield limit_length(listed, ">", most)


def limit_length(listed: Expr, operator: str, number: int) -> Guard:
    """Refuse lists that are shorter than a number, longer, or both."""
    limit = {"<": "at least ", ">": "at most ", "!=": ""}[operator]
    count = "1 item" if number == 1 else f"{number} items"
    condition = Infix(operator, Call(Name("len"), (listed,)), Literal(number))
    return Guard(condition, f"{print_expression(listed)} must have {limit}{count}")


def refuse_other_lengths(
    plain: InstanceMerger, right: Sequence[Mapping[str, Any]], wrong: Sequence[tuple[str, Sequence[Any]]]
) -> Iterator[Guard]:
    """Refuse lists that are shorter or longer than those for which a class is right, if just such ones are wrong.

    `right` are all values of each variation that is right, `wrong` are single values that are not.
    """
    scopes = [*(instance_values(lowered.block) for lowered in plain.instances), *right]
    for name in dict.fromkeys(name for name, _ in wrong):
        served = {len(scope[name]) for scope in scopes}
        refused = {len(values) for n, values in wrong if n == name}
        if not refused.isdisjoint(range(min(served), max(served) + 1)):
            continue
        if min(refused) < min(served):
            yield limit_length(Name(name), "<", min(served))
        if max(refused) > max(served):
            yield limit_length(Name(name), ">", max(served))


def join_limits(guards: Iterable[Guard]) -> tuple[Guard, ...]:
    """Write one guard for each end of the lengths of a list, and one for both if they are equal."""
    joined: dict[Any, Guard] = {}
    limits: dict[tuple[Expr, str], int] = {}  # list, end of its lengths -> the narrowest limit
    for guard in guards:
        match guard.condition:
            case Infix("<" | ">" as operator, Call(Name("len"), (listed,)), Literal(int(number))):
                narrower = max if operator == "<" else min
                limits[listed, operator] = narrower(number, limits.get((listed, operator), number))
                joined[listed, operator] = guard
            case _:
                joined[guard.condition] = guard
    for (listed, end), number in limits.items():
        least, most = limits.get((listed, "<")), limits.get((listed, ">"))
        joined[listed, end] = limit_length(listed, "!=" if least == most else end, number)
        if least == most and end == ">":
            del joined[listed, end]  # said by the other one
    return tuple(joined.values())
