"""A budget: how much a model may take at most."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

NUMBER = re.compile(r"([0-9][0-9_,]*(?:\.[0-9]+)?(?:e[0-9]{1,2})?) ?([kmgbt]?)", re.IGNORECASE)
UNITS = {"": 0, "k": 3, "m": 6, "g": 9, "b": 9, "t": 12}


def amount(text: str) -> int:
    """`25M`, `4.1G`, `7b`, `25_557_032`, `1e9` as a whole number; raises ValueError."""
    found = NUMBER.fullmatch(text.strip())
    if not found:
        raise ValueError(text)
    return int(Decimal(re.sub("[_,]", "", found[1])).scaleb(UNITS[found[2].lower()]))


@dataclass(frozen=True)
class Limit:
    """How much of one thing there may be, as it was said, and how much there is."""

    what: str
    said: str
    most: int
    found: int

    @property
    def kept(self) -> bool:
        return self.found <= self.most

    def told(self, model: str) -> str:
        """The sentence for a limit that is not kept."""
        over = self.found - self.most
        share = f", {100 * over / self.most:.3g}% over" if self.most else ""
        return f"{model} has {self.found:,} {self.what}: {over:,} more than {self.said}{share}"

    def record(self) -> dict[str, Any]:
        return {"what": self.what, "most": self.most, "found": self.found, "kept": self.kept}
