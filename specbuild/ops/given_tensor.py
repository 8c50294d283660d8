"""Given numbers as one block of bytes: tensors of a file beside the spec, and random numbers with a seed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.util import find_spec
from math import prod
from struct import unpack
from typing import TYPE_CHECKING, Any

from specbuild.diagnostics.suggestions import list_some
from specbuild.ops.attribute_kinds import AttributeValueError, EvaluateText, Real, Text, describe_value
from specbuild.ops.table_values import MAX_NUMBERS

if TYPE_CHECKING:
    import numpy as np

MAX_GIVEN = 2**24  # numbers in one table
TYPE_OF_FORMAT = {"d": "float", "f": "float", "i": "int32", "?": "bool"}


@dataclass(frozen=True)
class GivenTensor:
    """Numbers in row-major order. `format` is their type in memory, as in the module `struct`: d, f, i or ?."""

    format: str
    shape: tuple[int, ...]
    data: bytes = field(repr=False)

    @property
    def dtype(self) -> str:
        return TYPE_OF_FORMAT[self.format]

    @property
    def count(self) -> int:
        return prod(self.shape)

    @property
    def is_short(self) -> bool:
        """Whether source code can hold the numbers."""
        return self.count <= MAX_NUMBERS

    def nested_numbers(self) -> Any:
        """Return the numbers in nested tuples; a single number for a shape without axes."""
        parts: list[Any] = list(unpack(f"={self.count}{self.format}", self.data))
        for size in reversed(self.shape):
            parts = [tuple(parts[i : i + size]) for i in range(0, len(parts), size)]
        return parts[0]

    def to_array(self) -> np.ndarray[Any, Any]:
        """Return the numbers as an array: float64, float32, int32 or bool."""
        import numpy as np  # imported late: few commands need it

        return np.frombuffer(self.data, self.format).reshape(self.shape)


@dataclass(frozen=True)
class TensorFile:
    """The tensors of a file beside the spec, by name. `name` is its path as the spec gives it."""

    name: str
    tensors: Mapping[str, GivenTensor] = field(repr=False, hash=False, compare=False)
    digest: str  # SHA-256 of its content

    def __str__(self) -> str:
        return self.name

    def find_tensor(self, name: str | None) -> GivenTensor:
        """Return a tensor; without a name, the only one. Raises AttributeValueError SB202 if there is none."""
        names = list(self.tensors)
        if name is None:
            if len(names) != 1:
                hint = f"write `tensor: ...`; it has {list_some(names)}"
                message = f"{self.name} has {len(names)} tensors, and it is open which one is meant"
                raise AttributeValueError(message, hint, ("file",), "SB202")
            return self.tensors[names[0]]
        if name not in self.tensors:
            message = f"{self.name} has no tensor {name!r}"
            raise AttributeValueError(message, f"it has {list_some(names)}", ("tensor",), "SB202")
        return self.tensors[name]


class TensorFileName(Text):
    """The path of a safetensors file; whoever reads the attributes of a step puts the TensorFile in its place."""

    def __str__(self) -> str:
        return "the path of a .safetensors file, relative to the folder of the spec"


@dataclass(frozen=True)
class RandomNumbers:
    """A distribution of random numbers and its arguments."""

    kind: str
    args: tuple[float, ...] = ()

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The types that a table of these numbers can have."""
        return {"integers": ("int32",), "signs": ("float", "int32")}.get(self.kind, ("float",))


# distribution -> the smallest and the largest number of its arguments
RANDOM_ARGUMENT_COUNTS = {"normal": (0, 1), "uniform": (2, 2), "integers": (1, 1), "signs": (0, 0)}


class RandomKind(Text):
    """`normal`, `normal(0.5)`, `uniform(0, 1)`, `integers(16)` or `signs`."""

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "examples": ["normal", "normal(0.5)", "uniform(0, 1)", "integers(16)", "signs"],
        }

    def read_value(self, raw: Any, evaluate: EvaluateText) -> RandomNumbers:
        text = self.read_text(raw, evaluate)
        form = re.fullmatch(r"\s*([a-z]+)\s*(?:\((.*)\))?\s*", text)
        if not form or form[1] not in RANDOM_ARGUMENT_COUNTS:
            raise AttributeValueError(f"{describe_value(text)} is not {self}")
        parts = [part for part in (form[2] or "").split(",") if part.strip()]
        low, high = RANDOM_ARGUMENT_COUNTS[form[1]]
        if not low <= len(parts) <= high:
            count = f"{low}" if low == high else f"{low} to {high}"
            raise AttributeValueError(f"{form[1]} takes {count} numbers; got {len(parts)}")
        args = tuple(float(Real().read_value(part, evaluate)) for part in parts)
        if form[1] == "integers" and not (args[0].is_integer() and 1 <= args[0] <= 2**31):
            raise AttributeValueError(f"{args[0]:g} is not a number of integers", "for example integers(16)")
        if form[1] == "uniform" and not args[0] < args[1]:
            raise AttributeValueError("the first bound must be below the second", "for example uniform(0, 1)")
        return RandomNumbers(form[1], args)

    def __str__(self) -> str:
        return "one of normal, normal(deviation), uniform(low, high), integers(n), signs"


@lru_cache(maxsize=8)  # elaboration, code and weights ask for the same table
def draw_numbers(numbers: RandomNumbers, seed: int, shape: tuple[int, ...], dtype: str) -> GivenTensor:
    """Draw numbers with the PCG64 generator of NumPy (O'Neill 2014), in row-major order.

    They are those of `Generator(PCG64(seed))`: `normal(0, deviation, shape)`, `uniform(low, high, shape)`,
    `integers(0, n, shape)`; signs are `2 * integers(0, 2, shape) - 1`. Raises AttributeValueError SB603 if NumPy
    is missing.
    """
    if find_spec("numpy") is None:
        hint = "in a checkout of specbuild: pip install '.[weights]'"
        raise AttributeValueError(
            "random numbers need numpy, which is not installed", hint, ("random",), "SB603"
        )
    from numpy.random import PCG64, Generator  # imported late: few specs need it

    random, args = Generator(PCG64(seed)), numbers.args
    if numbers.kind == "normal":
        return GivenTensor("d", shape, random.normal(0.0, args[0] if args else 1.0, shape).tobytes())
    if numbers.kind == "uniform":
        return GivenTensor("d", shape, random.uniform(args[0], args[1], shape).tobytes())
    is_sign = numbers.kind == "signs"
    values = random.integers(0, 2 if is_sign else int(args[0]), shape)
    if is_sign:
        values = 2 * values - 1
    if dtype == "float":
        return GivenTensor("d", shape, values.astype("float64").tobytes())
    return GivenTensor("i", shape, values.astype("int32").tobytes())
