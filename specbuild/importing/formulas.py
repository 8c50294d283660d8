"""Expressions that were found for tables, as templates: in a block, names replace their numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping

FIELD = re.compile(r"\{(\w+)\}")


class Formula(str):
    """The expression of a table. `template` has fields for its numbers, `numbers` has their values."""

    template: str
    numbers: Mapping[str, int]

    def __new__(cls, text: str, template: str, numbers: Mapping[str, int]) -> Formula:
        formula = super().__new__(cls, text)
        formula.template, formula.numbers = template, numbers
        return formula

    def fill(self, words: Mapping[str, object]) -> str:
        """Return the expression with these texts in place of the numbers."""
        if dict(words) == dict(self.numbers):
            return str(self)
        return FIELD.sub(lambda field: enclose_formula(str(words[field[1]])), self.template)


def enclose_formula(text: str) -> str:
    """Return an operand: in brackets if it is a sum or product."""
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"


def write_numbers(template: str, numbers: Mapping[str, int]) -> str:
    return FIELD.sub(lambda field: str(numbers[field[1]]), template)
