"""Values of arguments at which a condition in a block changes: with them, the block has other steps.

`when: 2 * width > 5` is true for a width of 4, and false for one of 2. To find such values, conditions are
evaluated alone, which costs little; only then is the block built with one of them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from specbuild.compiler.opaque_values import OpaqueValues
from specbuild.compiler.trial_values import raise_value
from specbuild.expressions import Expression, ExpressionError, concrete, parse_expression
from specbuild.expressions.evaluator import evaluate_tree
from specbuild.ir.graph import Block, BlockArgument, block_size_names

Reader = Callable[[Expression, Mapping[str, Any]], Any]
MAX_SMALL = 64
MAX_FLIPS = 3  # values of a name that flip one condition
MAX_EVALUATIONS = 20_000  # for one block


class TooManyEvaluations(Exception):
    """Raised when it takes too long to find out what flips the conditions of a block."""


def find_flips(
    block: Block, names: Collection[str], tried: Iterable[Mapping[str, Any]]
) -> Iterator[list[dict[str, Any]]]:
    """Yield, for each condition that no tried change flips and each name, a few changes that flip it, closest first.

    A number whose expression emitted code cannot have is like a condition. Raises TooManyEvaluations.
    """
    values = ChangedValues(block)
    current = values.current
    done = [values.follow(changed) for changed in tried]
    opaque = OpaqueValues(block)
    readers: list[tuple[Expression, Reader, Iterable[str], int]] = []
    readers += [(condition, read_condition, condition.names, 1) for condition in list_conditions(block)]
    readers += [(e, opaque.read, opaque.read_names(e), opaque.evaluation_count) for e in opaque.expressions]
    for expression, read, direct, effort in readers:
        now = read(expression, current)
        values.count(effort * (1 + len(done)))
        if now is None or any(read(expression, other) not in (None, now) for other in done):
            continue
        constants = {n.value for n in ast.walk(expression.tree) if isinstance(n, ast.Constant)}
        for name in sorted(values.read_names(direct) & {*names}):
            flips = []
            for value in list_nearby_values(current[name], constants):
                values.count(effort)
                if read(expression, values.follow({name: value})) not in (None, now):
                    flips.append({name: value})
                if len(flips) == MAX_FLIPS:
                    break
            if flips:
                yield flips


class ChangedValues:
    """The values of the parameters and input sizes of a block with changes, which defaults follow.

    A default that is an expression counts if the value of its parameter comes from it.
    """

    def __init__(self, block: Block):
        self.current = block_values(block)
        found = {
            name: default_expression(block, name, self.current)
            for name in block.params
            if name in self.current
        }
        self.defaults = {name: expression for name, expression in found.items() if expression is not None}
        self.known: dict[Any, dict[str, Any]] = {}  # a change -> all values
        self.evaluation_count = 0

    def count(self, evaluations: int) -> None:
        self.evaluation_count += evaluations
        if self.evaluation_count > MAX_EVALUATIONS:
            raise TooManyEvaluations

    def follow(self, changed: Mapping[str, Any]) -> dict[str, Any]:
        """Return all values with these changes."""
        key = tuple((name, repr(value)) for name, value in changed.items())
        if key not in self.known:
            self.count(len(self.defaults))
            result = {**self.current, **changed}
            for name, expression in self.defaults.items():
                if name not in changed:
                    try:
                        result[name] = evaluate_tree(expression.tree, result)
                    except (ExpressionError, IndexError):
                        result.pop(name)
            self.known[key] = result
        return self.known[key]

    def read_names(self, names: Iterable[str]) -> set[str]:
        """Return the names that an expression with these names reads, also through the defaults of parameters."""
        found, todo = set[str](), list(names)
        while todo:
            name = todo.pop()
            if name in self.current and name not in found:
                found.add(name)
                todo += self.defaults[name].names if name in self.defaults else ()
        return found


def list_conditions(block: Block) -> list[Expression]:
    """Return the conditions of the steps and groups of a block, each once."""
    conditions = [*(node.when for node in block.nodes), *(group.when for group in block.groups.values())]
    return list(dict.fromkeys(condition for condition in conditions if condition is not None))


def block_values(block: Block) -> dict[str, Any]:
    """Return the values of the input sizes and the parameters of a block."""
    sizes = {v: concrete(block.inputs[i][axis]) for v, (i, axis) in block_size_names(block).items()}
    params = {p: concrete(v) for p, v in block.params.items() if not isinstance(v, BlockArgument)}
    return sizes | params


def read_condition(condition: Expression, values: Mapping[str, Any]) -> bool | None:
    """Return whether a condition is true; None if it has no value here."""
    try:
        return bool(evaluate_tree(condition.tree, values))
    except (ExpressionError, IndexError):
        return None


def default_expression(block: Block, name: str, values: Mapping[str, Any]) -> Expression | None:
    """Return the default of a parameter as an expression, if its value comes from it."""
    default = block.defaults.get(name)
    if not isinstance(default, str) or isinstance(values[name], str):
        return None
    try:
        expression = parse_expression(default)
        return expression if evaluate_tree(expression.tree, values) == values[name] else None
    except (ExpressionError, IndexError):
        return None


def list_nearby_values(value: Any, constants: Collection[Any]) -> list[Any]:
    """Return other values to try for a parameter, close ones first; `constants` are numbers to stay close to."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        whole = [n for n in constants if isinstance(n, int) and not isinstance(n, bool)]
        near = {n + step for n in (value, *whole) for step in (-3, -2, -1, 0, 1, 2, 3)}
        scaled = {value >> k for k in range(1, 12)} | {value << k for k in range(1, 17)}
        found = {n for n in {*range(MAX_SMALL), *near, *scaled} if n >= 0 and n != value}
        return sorted(found, key=lambda n: (n == 0, abs(n - value), n))
    if isinstance(value, float):
        numbers = [n for n in constants if isinstance(n, int | float) and not isinstance(n, bool)]
        return [
            n
            for n in (value / 2, 2 * value, 0.0, *(s * n for n in numbers for s in (0.5, 1, 2)))
            if n != value
        ]
    if isinstance(value, str):
        return [text for text in constants if isinstance(text, str) and text != value]
    if isinstance(value, list | tuple) and value:
        items = list(value)
        shorter = [items[:n] for n in range(len(items) - 1, 0, -1)]
        others = [
            [*items[:k], other, *items[k + 1 :]]
            for k, item in enumerate(items)
            for other in list_nearby_values(item, constants)[:8]
        ]
        same = [[n] * len(items) for n in (1, 2)] if all(type(n) is int for n in items) else []
        longer = [[*items, items[-1]], [*items, raise_value(items[-1], 1)]]
        return [*shorter, *(one for one in (*same, *others) if one != items), *longer]
    return []
