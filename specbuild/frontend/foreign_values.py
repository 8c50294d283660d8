"""Values that are written in another way here: comparisons, switches of Keras and PyTorch, numbers as operands."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from specbuild.ops.initializers import FOREIGN_INITIALIZERS

COMPARISONS = {
    "!=": "not_equal",
    "==": "equal",
    "=": "equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "ne": "not_equal",
    "eq": "equal",
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
}
# Switches of other libraries, and the words or numbers that they are here.
SWITCHES: dict[str, dict[bool, Any]] = {
    "return_sequences": {True: "sequence", False: "last"},
    "unbiased": {True: 1, False: 0},
    "return_state": {True: "all"},
}
TYPES = {
    "integer": "int",
    "string": "str",
    "text": "str",
    "boolean": "bool",
    "double": "float",
    "array": "list",
    "module": "block",
}
COMPLEMENTS = frozenset(["keep_prob"])  # this is 1 less the value here


def convert_value(key: str, value: Any) -> Any:
    """Return what the value of an attribute of another library is here; None if that is not known."""
    if key in SWITCHES:
        return SWITCHES[key].get(value) if isinstance(value, bool) else None
    if key in COMPLEMENTS:
        return round(1 - value, 12) if isinstance(value, int | float) else None
    if not isinstance(value, str):
        return value
    return FOREIGN_INITIALIZERS.get(re.sub(r"[_\W]", "", value).lower()) or COMPARISONS.get(value, value)


def suggest_choice(key: str, value: Any, choices: Collection[str]) -> str:
    """Return the hint for one of several words that is written as a sign: `test: "!="`."""
    word = {**TYPES, **COMPARISONS}.get(value) if isinstance(value, str) else None
    return f"write `{key}: {word}`" if word in choices else ""


def suggest_number_operand(op: str, key: str | int, operands: Any, number: float) -> str:
    """Return the step for a number among the operands of an op, which takes values only; "" if there is none.

    `key` is the place of the number in `operands`, which are those of a list, or the attributes of the step.
    """
    if op in ("where", "compare") and key in ("otherwise", "other"):
        return f"a number is `value`: write `value: {number}` in place of `{key}`"
    others = [x for i, x in enumerate(operands) if i != key] if isinstance(operands, list) else []
    if len(others) != 1 or not isinstance(others[0], str) or not isinstance(number, int | float):
        return ""
    forms: Mapping[str, str] = {
        "add": f"scale: {{plus: {number}}}",
        "subtract": f"scale: {{plus: {-number}}}" if key == 1 else f"scale: {{by: -1, plus: {number}}}",
        "multiply": f"scale: {{by: {number}}}",
        "divide": f"scale: {{by: 1 / {number}}}" if key == 1 and number else "reciprocal: {}" * (number == 1),
        "maximum": f"clip: {{min: {number}}}",
        "minimum": f"clip: {{max: {number}}}",
    }
    source = "" if others[0] == "prev" else f", from: {others[0]}"
    return f"with a number, write `{{{forms[op]}{source}}}`" if forms.get(op) else ""


def suggest_use(used: Any, key: str, value: Any) -> str:
    """Return what to write for an attribute beside `use`, of a parameter or of a file of the library."""
    arguments = f"{{{key}: {value}}}"
    if isinstance(used, str) and used.startswith("library:"):
        return f"import the file: `imports: {{Net: {used}}}`, and write `Net: {arguments}` as the step"
    return f"write `with: {arguments}`"
