"""Upper limits for the size of a model."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from msgspec import Struct

NUMBER = re.compile(r"([0-9][0-9_,]*(?:\.[0-9]+)?(?:e[0-9]{1,2})?) ?([kmgbt]?)", re.IGNORECASE)
UNITS = {"": 0, "k": 3, "m": 6, "g": 9, "b": 9, "t": 12}


def parse_amount(text: str) -> int:
    """Parse a number such as `25M`, `4.1G`, `7b`, `25_557_032` or `1e9`; raises ValueError."""
    match = NUMBER.fullmatch(text.strip())
    if not match:
        raise ValueError(text)
    return int(Decimal(re.sub("[_,]", "", match[1])).scaleb(UNITS[match[2].lower()]))


class BudgetLimit(Struct, frozen=True):
    """The limit of one measure, as text and as a number, and the actual number."""

    measure: str
    text: str
    maximum: int
    actual: int

    @property
    def is_met(self) -> bool:
        return self.actual <= self.maximum

    def describe_excess(self, model: str) -> str:
        """Return the message for a model that exceeds the limit."""
        over = self.actual - self.maximum
        share = f", {100 * over / self.maximum:.3g}% over" if self.maximum else ""
        return f"{model} has {self.actual:,} {self.measure}: {over:,} more than {self.text}{share}"

    def limit_record(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "maximum": self.maximum,
            "actual": self.actual,
            "is_met": self.is_met,
        }
