"""Numbers that are the same for many values of what they are computed from: `ceil(width / 1000)`, `[3, 4, 5][width // 100]`.

Code may have only the number, or a row with so many members. So values of arguments are sought at which it is another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from specbuild.expressions import Expression, ExpressionError, freeze_lists, parse_expression
from specbuild.expressions.evaluator import evaluate_tree
from specbuild.expressions.thresholds import iterate_texts
from specbuild.ir.graph import Block, block_size_names

IS_OPAQUE = re.compile(r"\b(?:ceil|floor|sqrt|log|divisible)\(|\[(?!-?\d+\])")  # `depths[0]` is not
INDICES = (0, 1, 2)  # of a repeat, where an expression reads `i`
MAX_OPAQUE = 100


class OpaqueValues:
    """The expressions in the steps of a block that are only numbers in its code, and what they read."""

    def __init__(self, block: Block):
        definition = block.at.read_value()
        self.sizes = block_size_names(block)
        lets = {name: parse(text) for name, text in (definition.get("let") or {}).items()}
        self.lets = {name: found for name, found in lets.items() if found is not None}
        texts = [text for _, text in iterate_texts(definition.get("steps") or [], "steps")]
        found = [parse(text) for text in dict.fromkeys(texts) if IS_OPAQUE.search(text)]
        found += [e for e in self.lets.values() if IS_OPAQUE.search(e.text)]
        self.expressions = [e for e in dict.fromkeys(found) if e is not None][:MAX_OPAQUE]

    @property
    def evaluation_count(self) -> int:
        """How many expressions `read` evaluates."""
        return len(self.lets) + len(INDICES)

    def read_names(self, expression: Expression) -> set[str]:
        """Return the names of parameters and sizes that an expression reads, also through `let` and as `x.C`."""
        found, todo = set[str](), [*expression.names]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += [size for size, (source, _) in self.sizes.items() if source == name]
                todo += self.lets[name].names if name in self.lets else ()
        return found

    def read(self, expression: Expression, values: Mapping[str, Any]) -> Any:
        """Return the value of an expression at each of some indices; None if it has none."""
        env: dict[str, Any] = dict(values)
        for size, (source, axis) in self.sizes.items():
            if size in values:
                env[source] = {**env.get(source, {}), axis: values[size]}
        for name, definition in self.lets.items():
            env[name] = evaluate(definition, env)
        found = tuple(evaluate(expression, {**env, "i": i}) for i in INDICES)
        return None if set(found) == {None} else found


def parse(raw: Any) -> Expression | None:
    """Return what is written in a spec as an expression, also a list of expressions; None if it is none."""
    text = write_expression(raw) if isinstance(raw, list) else raw
    return parse_text(text) if isinstance(text, str) else None


def write_expression(raw: Any) -> str:
    """Return a value of a spec as it is written in an expression."""
    if isinstance(raw, list):
        return f"[{', '.join(map(write_expression, raw))}]"
    return str(raw).lower() if isinstance(raw, bool) else str(raw)


@lru_cache(maxsize=1024)
def parse_text(text: str) -> Expression | None:
    try:
        return parse_expression(text)
    except ExpressionError:
        return None


def evaluate(expression: Expression, env: Mapping[str, Any]) -> Any:
    try:
        return freeze_lists(evaluate_tree(expression.tree, env))
    except (ExpressionError, IndexError):
        return None
