"""What an attribute may hold: how it is read from YAML, and how an editor is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.expressions import plain
from specbuild.ops import expression
from specbuild.ops.expression import Expression

Evaluate = Callable[[str], Any]

INTERPOLATION = r"^\$\{.+\}$"


class KindError(Exception):
    """A value that does not fit; `path` leads from the attribute to the part at fault."""

    def __init__(self, message: str, hint: str = "", path: tuple[str | int, ...] = (), code: str = "SB305"):
        super().__init__(message)
        self.code, self.message, self.hint, self.path = code, message, hint, path


class Kind:
    """Reads one sort of value. `evaluate` gives the value of an expression, with its words."""

    def schema(self) -> dict[str, Any]:
        raise NotImplementedError

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        raise NotImplementedError

    def __str__(self) -> str:
        raise NotImplementedError


def shown(value: Any) -> str:
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, str) else "a mapping" if isinstance(value, dict) else str(value)


def bounds(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum:g} to {maximum:g}"
    return (
        f" of at least {minimum:g}"
        if minimum is not None
        else f" of at most {maximum:g}"
        if maximum is not None
        else ""
    )


@dataclass(frozen=True)
class Integer(Kind):
    """A whole number, or an expression that gives one."""

    minimum: int | None = None
    maximum: int | None = None

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": ["integer", "string"], **{k: v for k, v in limits.items() if v is not None}}

    def read(self, raw: Any, evaluate: Evaluate) -> int:
        value = evaluate(raw) if isinstance(raw, str) else raw
        if isinstance(value, bool) or not isinstance(value, int):
            hint = "use // to divide into a whole number" if isinstance(value, float) else ""
            raise KindError(f"{shown(value)} is not {self}", hint)
        if (self.minimum is not None and value < self.minimum) or (
            self.maximum is not None and value > self.maximum
        ):
            raise KindError(f"{shown(value)} is not {self}", code="SB304")
        return value

    def __str__(self) -> str:
        return "an integer" + bounds(self.minimum, self.maximum)


@dataclass(frozen=True)
class Real(Kind):
    """A number, or an expression that gives one."""

    minimum: float | None = None
    maximum: float | None = None

    def schema(self) -> dict[str, Any]:
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": ["number", "string"], **{k: v for k, v in limits.items() if v is not None}}

    def read(self, raw: Any, evaluate: Evaluate) -> float:
        value = evaluate(raw) if isinstance(raw, str) else raw
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise KindError(f"{shown(value)} is not {self}")
        if (self.minimum is not None and value < self.minimum) or (
            self.maximum is not None and value > self.maximum
        ):
            raise KindError(f"{shown(value)} is not {self}", code="SB304")
        return value

    def __str__(self) -> str:
        return "a number" + bounds(self.minimum, self.maximum)


@dataclass(frozen=True)
class Flag(Kind):
    """true or false, or an expression that gives one."""

    def schema(self) -> dict[str, Any]:
        return {"type": ["boolean", "string"]}

    def read(self, raw: Any, evaluate: Evaluate) -> bool:
        value = evaluate(raw) if isinstance(raw, str) else raw
        if not isinstance(value, bool):
            raise KindError(f"{shown(value)} is not {self}", "write true or false")
        return value

    def __str__(self) -> str:
        return "true or false"


class Word(Kind):
    """Literal text; `${name}` in it takes the value of a parameter."""

    def text(self, raw: Any, evaluate: Evaluate) -> str:
        if isinstance(raw, str) and re.fullmatch(r"\$\{[^}]+\}", raw):
            raw = evaluate(raw[2:-1])
        if not isinstance(raw, str):
            raise KindError(f"{shown(raw)} is not {self}", "put text that reads as a number in quotes")
        return raw

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        return self.text(raw, evaluate)

    def __str__(self) -> str:
        return "text"


@dataclass(frozen=True)
class Choice(Word):
    """One of a few words."""

    words: tuple[str, ...]

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "anyOf": [{"enum": list(self.words)}, {"pattern": INTERPOLATION}]}

    def read(self, raw: Any, evaluate: Evaluate) -> str:
        value = self.text(raw, evaluate)
        if value not in self.words:
            raise KindError(f"{shown(value)} is not {self}")
        return value

    def __str__(self) -> str:
        return "one of " + ", ".join(self.words)


AXIS = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class Axis(Word):
    """The name of one axis."""

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def read(self, raw: Any, evaluate: Evaluate) -> str:
        value = self.text(raw, evaluate)
        if not AXIS.fullmatch(value):
            raise KindError(
                f"{shown(value)} is not the name of an axis",
                "axes are named like C, H or heads",
                code="SB203",
            )
        return value

    def __str__(self) -> str:
        return "the name of an axis"


@dataclass(frozen=True)
class Axes(Kind):
    """One axis or a list of axes."""

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}

    def read(self, raw: Any, evaluate: Evaluate) -> tuple[str, ...]:
        if not isinstance(raw, list):
            return (Axis().read(raw, evaluate),)
        found = []
        for i, item in enumerate(raw):
            found.append(within(i, Axis(), item, evaluate))
            if found[-1] in found[:-1]:
                raise KindError(f"axis {found[-1]} is named twice", path=(i,), code="SB204")
        if not found:
            raise KindError(f"an empty list is not {self}")
        return tuple(found)

    def __str__(self) -> str:
        return "an axis or a list of axes"


def within(key: str | int, kind: Kind, raw: Any, evaluate: Evaluate) -> Any:
    """Read a part of a value; a fault in it is told with the way to it."""
    try:
        return kind.read(raw, evaluate)
    except KindError as e:
        raise KindError(e.message, e.hint, (key, *e.path), e.code) from None


@dataclass(frozen=True)
class Fixed(Kind):
    """A mapping from axis to `kind`, such as {H: 7, W: 7}; `rest` stands for a size to be worked out."""

    kind: Kind
    empty: bool = False

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": self.kind.schema(),
            "minProperties": 0 if self.empty else 1,
        }

    def read(self, raw: Any, evaluate: Evaluate) -> dict[str, Any]:
        if not isinstance(raw, Mapping) or not (raw or self.empty):
            raise KindError(f"{shown(raw)} is not {self}", "write {H: 7, W: 7}, say")
        for axis in raw:
            if not AXIS.fullmatch(axis):
                raise KindError(f"{shown(axis)} is not the name of an axis", path=(axis,), code="SB203")
        return {axis: within(axis, self.kind, value, evaluate) for axis, value in raw.items()}

    def __str__(self) -> str:
        return f"a mapping from axes, each to {self.kind}"


@dataclass(frozen=True)
class PerAxis(Kind):
    """One value for all axes, a list with a value for each, or a mapping by axis."""

    kind: Integer | Real

    def schema(self) -> dict[str, Any]:
        inner = self.kind.schema()
        return {
            **inner,
            "type": [*inner["type"], "array", "object"],
            "items": inner,
            "additionalProperties": inner,
        }

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        if isinstance(raw, str):
            raw = evaluate(raw)
        if isinstance(raw, list | tuple):
            return tuple(within(i, self.kind, item, evaluate) for i, item in enumerate(raw))
        if isinstance(raw, Mapping):
            return Fixed(self.kind).read(raw, evaluate)
        return self.kind.read(raw, evaluate)

    def __str__(self) -> str:
        return f"{self.kind}, or one for each axis"


@dataclass(frozen=True)
class Padding(Kind):
    """`same` (symmetric, k // 2), `valid`, `tf_same`, `causal`, a number, or one (or [before, after]) for each axis."""

    words: tuple[str, ...] = ("same", "valid", "tf_same", "causal")

    def schema(self) -> dict[str, Any]:
        side = {"type": ["integer", "string"], "minimum": 0}
        pair = {
            "type": ["integer", "string", "array"],
            "minimum": 0,
            "items": side,
            "minItems": 2,
            "maxItems": 2,
        }
        return {
            "type": ["integer", "string", "array", "object"],
            "minimum": 0,
            **({"examples": list(self.words)} if self.words else {}),
            "items": pair,
            "additionalProperties": pair,
        }

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        if isinstance(raw, str) and raw in self.words:
            return raw
        if isinstance(raw, str):
            raw = evaluate(raw)
            if isinstance(raw, str):
                if raw in self.words:
                    return raw
                raise KindError(f"{shown(raw)} is not {self}")
        if isinstance(raw, Mapping):
            return {axis: self.side(axis, value, evaluate) for axis, value in raw.items()}
        if isinstance(raw, list | tuple):
            return tuple(self.side(i, value, evaluate) for i, value in enumerate(raw))
        return Integer(0).read(raw, evaluate)

    def side(self, key: str | int, raw: Any, evaluate: Evaluate) -> Any:
        if isinstance(raw, list | tuple):
            if len(raw) != 2:
                raise KindError("padding of one axis is a number or [before, after]", path=(key,))
            return tuple(within(key, Integer(0), part, evaluate) for part in raw)
        return within(key, Integer(0), raw, evaluate)

    def __str__(self) -> str:
        numbers = "an integer of at least 0, or one (or [before, after]) for each axis"
        return ", ".join([*self.words, numbers])


@dataclass(frozen=True)
class Init:
    """How weights begin: a distribution and its numbers.

    A truncated normal is cut at two standard deviations. `mode` says by what Kaiming's scales: the numbers that
    go into each of the layer's (fan_in), or those that each goes into (fan_out).
    """

    kind: str
    args: tuple[float, ...] = ()
    mode: str = "fan_in"


MODES = ("fan_in", "fan_out")

# kind: how many numbers it takes, at least and at most
INITS = {
    "zeros": (0, 0),
    "ones": (0, 0),
    "constant": (1, 1),
    "normal": (0, 1),
    "truncated_normal": (0, 1),
    "uniform": (1, 2),
    "xavier_uniform": (0, 0),
    "xavier_normal": (0, 0),
    "kaiming_uniform": (0, 0),
    "kaiming_normal": (0, 0),
    "orthogonal": (0, 0),
}
# those that look at the rows and columns of a matrix
OF_A_MATRIX = frozenset(name for name in INITS if name.startswith(("xavier", "kaiming", "orthogonal")))


@dataclass(frozen=True)
class InitKind(Word):
    """`zeros`, `normal(0.02)`, `uniform(-0.1, 0.1)`, `truncated_normal(0.02)`, `kaiming_normal(fan_out)` ..."""

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "examples": [
                *("zeros", "ones", "normal(0.02)", "truncated_normal(0.02)", "constant(1e-6)"),
                "kaiming_normal(fan_out)",
            ],
        }

    def read(self, raw: Any, evaluate: Evaluate) -> Init:
        text = self.text(raw, evaluate)
        form = re.fullmatch(r"\s*([a-z_]+)\s*(?:\((.*)\))?\s*", text)
        if not form or form[1] not in INITS:
            raise KindError(f"{shown(text)} is not {self}")
        parts = [part for part in (form[2] or "").split(",") if part.strip()]
        if form[1].startswith("kaiming") and len(parts) == 1 and parts[0].strip() in MODES:
            return Init(form[1], mode=parts[0].strip())
        args = tuple(Real().read(part, evaluate) for part in parts)
        low, high = INITS[form[1]]
        if not low <= len(args) <= high:
            raise KindError(
                f"{form[1]} takes {low if low == high else f'{low} to {high}'} numbers, here are {len(args)}"
            )
        return Init(form[1], args)

    def __str__(self) -> str:
        return "an initialiser: " + ", ".join(INITS)


@dataclass(frozen=True)
class Renames(Kind):
    """A mapping from axis to its new name."""

    def schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}

    def read(self, raw: Any, evaluate: Evaluate) -> dict[str, str]:
        if not isinstance(raw, Mapping) or not raw:
            raise KindError(f"{shown(raw)} is not {self}", "write {T: S}, say")
        return {axis: within(axis, Axis(), value, evaluate) for axis, value in raw.items()}

    def __str__(self) -> str:
        return "a mapping from axis to new name"


@dataclass(frozen=True)
class Parts(Kind):
    """Names of equal parts, or a mapping from the name of each part to its size."""

    def schema(self) -> dict[str, Any]:
        return {
            "type": ["array", "object"],
            "items": {"type": "string"},
            "minItems": 2,
            "uniqueItems": True,
            "additionalProperties": Integer(-1).schema(),
            "minProperties": 2,
        }

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        if not isinstance(raw, list | Mapping) or len(raw) < 2:
            raise KindError(
                f"{shown(raw)} is not {self}", "write [query, key, value] or {query: 64, rest: -1}, say"
            )
        if isinstance(raw, list):
            if not all(isinstance(name, str) for name in raw) or len(set(raw)) < len(raw):
                raise KindError("the names of parts differ from each other", "write [query, key, value], say")
            return tuple(raw)
        return {name: within(name, Integer(-1), size, evaluate) for name, size in raw.items()}

    def __str__(self) -> str:
        return "a list of names, or a mapping from names to sizes"


@dataclass(frozen=True)
class Table(Word):
    """An expression in the indices of the table's own axes, and parameters."""

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "number"]}

    def read(self, raw: Any, evaluate: Evaluate) -> Expression:
        number = isinstance(raw, int | float) and not isinstance(raw, bool)
        return expression.read(str(raw) if number else self.text(raw, evaluate), evaluate)

    def __str__(self) -> str:
        return "an expression in the table's axes"
