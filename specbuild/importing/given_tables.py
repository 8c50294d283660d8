"""Tables for which no expression was found: they are stored in a safetensors file beside the spec, which a `const` names."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct, field

from specbuild.api import Model, load
from specbuild.importing.axis_names import number_name
from specbuild.weights.safetensors_files import write_safetensors

if TYPE_CHECKING:
    from specbuild.importing.trace import Array

MAX_NUMBERS = 1 << 22  # of one table
MAX_TRUTHS = 1_024  # of one of true and false: the language has no longer ones


class GivenTables(Struct):
    """The tables of one spec by name, and the file that they are for. Equal tables are stored once."""

    file: str
    arrays: dict[str, Array] = field(default_factory=dict)

    def add(self, name: str, data: Array, dtype: str) -> dict[str, Any] | None:
        """Store a table; return the attributes that name it, None if it is too large."""
        if data.size > MAX_NUMBERS or (dtype == "bool" and data.size > MAX_TRUTHS):
            return None
        stored = data.astype({"float": "float64", "int32": "int32", "bool": "bool"}[dtype])
        for known, array in self.arrays.items():
            if array.dtype == stored.dtype and np.array_equal(array, stored):
                return {"file": self.file, "tensor": known}
        wanted = re.sub(r"\W", "_", name.rpartition(".")[2]) or "table"
        chosen = number_name(wanted, self.arrays)
        self.arrays[chosen] = stored
        return {"file": self.file, "tensor": chosen}

    def write(self, folder: Path) -> None:
        write_safetensors(folder / self.file, self.arrays, {})

    def load_spec(self, text: str, values: Mapping[str, Any] | None = None) -> Model:
        """Load the text of a spec that may have tables. Raises SpecError or SpecErrors."""
        if not self.arrays:
            return load(text, **(values or {}))
        with tempfile.TemporaryDirectory(prefix="specbuild-") as name:
            self.write(Path(name))
            path = Path(name) / "imported.yaml"
            path.write_text(text, encoding="utf-8")
            return load(path, **(values or {}))
