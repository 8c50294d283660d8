"""Load rules: how each tensor of an emitted model is filled from the canonical weights in a file."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.tree import Expr, Literal, TupleOf

TABLE_NAME = "weight_table"


class LoadRule(Struct, frozen=True):
    """How a tensor is loaded: the endings of the keys of its weights in the file, and their conversion."""

    keys: tuple[str, ...]
    order: tuple[int, ...]
    reshaped: bool = False  # to the tensor's sizes, in the axis order of the file
    stacked: bool = False  # several weights are stacked along a new axis; otherwise they are added
    gate_order: tuple[int, ...] | None = None  # the order of the equal parts of the first axis

    def table_items(self, features: frozenset[str]) -> tuple[Expr, ...]:
        """Return the rule as an entry of the table.

        `features` are the columns that any rule of the table needs.
        """
        keys = [Literal(key) for key in self.keys]
        items: list[Expr] = [
            TupleOf(tuple(keys)) if "several" in features else keys[0],
            number_tuple(self.order),
        ]
        if "reshaped" in features:
            items.append(Literal(self.reshaped))
        if "blocks" in features:
            items.append(number_tuple(self.gate_order or ()))
        return tuple(items)


def number_tuple(numbers: tuple[int, ...]) -> Expr:
    return TupleOf(tuple(map(Literal, numbers)))


def shorten_rules(full_rules: Mapping[str, LoadRule], separator: str) -> dict[str, LoadRule]:
    """Return rules by path endings: for each tensor, the longest matching ending is its rule.

    `full_rules` has the rule of each tensor by its path; `separator` separates the parts of a path. The
    result has as few endings as possible: tensors share a rule that is correct for all of them.
    """
    paths_by_ending: dict[str, list[str]] = {}
    for path in full_rules:
        for ending in path_endings(path, separator):
            paths_by_ending.setdefault(ending, []).append(path)
    rules: dict[str, LoadRule] = {}
    for path, full_rule in full_rules.items():
        for ending in path_endings(path, separator):
            rule = shorten_rule(path, ending, full_rule, separator)
            others = [
                shorten_rule(other, ending, full_rules[other], separator) for other in paths_by_ending[ending]
            ]
            if rule is not None and (ending == path or all(other == rule for other in others)):
                rules[ending] = rule
                break
    return rules


def path_endings(path: str, separator: str) -> list[str]:
    """For `stem/conv/kernel`: `kernel`, `conv/kernel`, `stem/conv/kernel`."""
    parts = path.split(separator)
    return [separator.join(parts[n:]) for n in reversed(range(len(parts)))]


def shorten_rule(path: str, ending: str, rule: LoadRule, separator: str) -> LoadRule | None:
    """Return the rule with only the endings of its keys.

    None if the keys do not begin like the tensor's path.
    """
    head = path.removesuffix(ending).replace(separator, ".")
    if not all(key.startswith(head) for key in rule.keys):
        return None
    return replace(rule, keys=tuple(key.removeprefix(head) for key in rule.keys))
