"""The kinds of attribute values: how each is read from YAML, and its JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from specbuild.expressions import INFINITY, concrete
from specbuild.ops.table_expression import TableExpression, parse_table_expression

EvaluateText = Callable[[str], Any]  # evaluates an expression in the scope of a block

INTERPOLATION = r"^\$\{.+\}$"


class AttributeValueError(Exception):
    """An invalid attribute value. `path` leads from the attribute to the invalid part."""

    def __init__(self, message: str, hint: str = "", path: tuple[str | int, ...] = (), code: str = "SB305"):
        super().__init__(message)
        self.code, self.message, self.hint, self.path = code, message, hint, path


class AttributeKind:
    """Reads and describes one kind of attribute value."""

    def json_schema(self) -> dict[str, Any]:
        raise NotImplementedError

    def read_value(self, raw: Any, evaluate: EvaluateText) -> Any:
        """Return the value for `raw`, as loaded from YAML; raises AttributeValueError."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Return the expected value, as error messages name it: "an integer of at least 1"."""
        raise NotImplementedError


def describe_value(value: Any) -> str:
    value = concrete(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nothing"
    return repr(value) if isinstance(value, str) else "a mapping" if isinstance(value, dict) else str(value)


def is_infinity(raw: Any) -> bool:
    """Return whether this is `.inf` or `-.inf`, which the reader of YAML leaves as text."""
    return isinstance(raw, str) and INFINITY.fullmatch(raw.strip()) is not None


def read_infinity(text: str) -> float:
    return float(text.strip().replace(".", ""))


def describe_bounds(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum:g} to {maximum:g}"
    if minimum is not None:
        return f" of at least {minimum:g}"
    return f" of at most {maximum:g}" if maximum is not None else ""


def is_within(value: float, minimum: float | None, maximum: float | None) -> bool:
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


@dataclass(frozen=True)
class Integer(AttributeKind):
    """A whole number, or an expression with such a value."""

    minimum: int | None = None
    maximum: int | None = None

    def json_schema(self) -> dict[str, Any]:
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": ["integer", "string"], **{k: v for k, v in limits.items() if v is not None}}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> int:
        value = evaluate(raw) if isinstance(raw, str) else raw
        if isinstance(value, bool) or not isinstance(value, int):
            hint = "use // for integer division" if isinstance(value, float) else ""
            raise AttributeValueError(f"{describe_value(value)} is not {self}", hint)
        if not is_within(value, self.minimum, self.maximum):
            raise AttributeValueError(f"{describe_value(value)} is not {self}", code="SB304")
        return value

    def __str__(self) -> str:
        return "an integer" + describe_bounds(self.minimum, self.maximum)


@dataclass(frozen=True)
class Real(AttributeKind):
    """A number, or an expression with such a value. `can_be_infinite`: also `.inf` and `-.inf`, as in masks."""

    minimum: float | None = None
    maximum: float | None = None
    can_be_infinite: bool = False

    def json_schema(self) -> dict[str, Any]:
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        return {"type": ["number", "string"], **{k: v for k, v in limits.items() if v is not None}}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> float:
        if self.can_be_infinite and is_infinity(raw):
            return read_infinity(raw)
        value = evaluate(raw) if isinstance(raw, str) else raw
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise AttributeValueError(f"{describe_value(value)} is not {self}")
        if not is_within(value, self.minimum, self.maximum):
            raise AttributeValueError(f"{describe_value(value)} is not {self}", code="SB304")
        return value

    def __str__(self) -> str:
        return "a number" + describe_bounds(self.minimum, self.maximum)


@dataclass(frozen=True)
class Boolean(AttributeKind):
    """true or false, or an expression with such a value."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["boolean", "string"]}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> bool:
        value = evaluate(raw) if isinstance(raw, str) else raw
        if not isinstance(value, bool):
            raise AttributeValueError(f"{describe_value(value)} is not {self}", "write true or false")
        return value

    def __str__(self) -> str:
        return "true or false"


class Text(AttributeKind):
    """Literal text. Text that consists of one `${expression}` is replaced by the value of the expression."""

    def read_text(self, raw: Any, evaluate: EvaluateText) -> str:
        if isinstance(raw, str) and re.fullmatch(r"\$\{[^}]+\}", raw):
            raw = evaluate(raw[2:-1])
        if not isinstance(raw, str):
            raise AttributeValueError(
                f"{describe_value(raw)} is not {self}", "put text that looks like a number in quotes"
            )
        return raw

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> Any:
        return self.read_text(raw, evaluate)

    def __str__(self) -> str:
        return "text"


@dataclass(frozen=True)
class Choice(Text):
    """One of several options."""

    options: tuple[str, ...]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "anyOf": [{"enum": list(self.options)}, {"pattern": INTERPOLATION}]}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> str:
        value = self.read_text(raw, evaluate)
        if value not in self.options:
            raise AttributeValueError(f"{describe_value(value)} is not {self}")
        return value

    def __str__(self) -> str:
        return "one of " + ", ".join(self.options)


AXIS_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True)
class AxisName(Text):
    """The name of one axis."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> str:
        value = self.read_text(raw, evaluate)
        if not AXIS_NAME.fullmatch(value):
            raise AttributeValueError(
                f"{describe_value(value)} is not the name of an axis",
                "an axis has a name such as C, H or heads",
                code="SB203",
            )
        return value

    def __str__(self) -> str:
        return "the name of an axis"


@dataclass(frozen=True)
class AxisNames(AttributeKind):
    """One axis or a list of axes."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["string", "array"], "items": {"type": "string"}, "minItems": 1, "uniqueItems": True}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> tuple[str, ...]:
        if not isinstance(raw, list):
            return (AxisName().read_value(raw, evaluate),)
        axes: list[str] = []
        for i, item in enumerate(raw):
            axis = read_part(i, AxisName(), item, evaluate)
            if axis in axes:
                raise AttributeValueError(f"axis {axis} is named twice", path=(i,), code="SB204")
            axes.append(axis)
        if not axes:
            raise AttributeValueError(f"an empty list is not {self}")
        return tuple(axes)

    def __str__(self) -> str:
        return "an axis or a list of axes"


def read_part(key: str | int, kind: AttributeKind, raw: Any, evaluate: EvaluateText) -> Any:
    """Read a part of a value. `key` is added to the path of its errors."""
    try:
        return kind.read_value(raw, evaluate)
    except AttributeValueError as e:
        raise AttributeValueError(e.message, e.hint, (key, *e.path), e.code) from None


@dataclass(frozen=True)
class AxisMapping(AttributeKind):
    """A mapping from axes to values of `kind`, such as {H: 7, W: 7}."""

    kind: AttributeKind
    can_be_empty: bool = False

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "additionalProperties": self.kind.json_schema(),
            "minProperties": 0 if self.can_be_empty else 1,
        }

    def read_value(self, raw: Any, evaluate: EvaluateText) -> dict[str, Any]:
        if not isinstance(raw, Mapping) or not (raw or self.can_be_empty):
            raise AttributeValueError(f"{describe_value(raw)} is not {self}", "for example {H: 7, W: 7}")
        for axis in raw:
            if not AXIS_NAME.fullmatch(axis):
                raise AttributeValueError(
                    f"{describe_value(axis)} is not the name of an axis", path=(axis,), code="SB203"
                )
        return {axis: read_part(axis, self.kind, value, evaluate) for axis, value in raw.items()}

    def __str__(self) -> str:
        return f"a mapping from each axis to {self.kind}"


@dataclass(frozen=True)
class PerAxis(AttributeKind):
    """One value for all axes, a list with one value for each axis, or a mapping from axes to values."""

    kind: Integer | Real

    def json_schema(self) -> dict[str, Any]:
        inner = self.kind.json_schema()
        return {
            **inner,
            "type": [*inner["type"], "array", "object"],
            "items": inner,
            "additionalProperties": inner,
        }

    def read_value(self, raw: Any, evaluate: EvaluateText) -> Any:
        if isinstance(raw, str):
            raw = evaluate(raw)
        if isinstance(raw, list | tuple):
            return tuple(read_part(i, self.kind, item, evaluate) for i, item in enumerate(raw))
        if isinstance(raw, Mapping):
            return AxisMapping(self.kind).read_value(raw, evaluate)
        return self.kind.read_value(raw, evaluate)

    def __str__(self) -> str:
        return f"{self.kind}, or one for each axis"


@dataclass(frozen=True)
class Padding(AttributeKind):
    """One of `modes`, a number for all axes, or a number or [before, after] for each axis."""

    modes: tuple[str, ...] = ("same", "valid", "tf_same", "causal")

    def json_schema(self) -> dict[str, Any]:
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
            **({"examples": list(self.modes)} if self.modes else {}),
            "items": pair,
            "additionalProperties": pair,
        }

    def read_value(self, raw: Any, evaluate: EvaluateText) -> Any:
        if isinstance(raw, str) and raw not in self.modes:
            raw = evaluate(raw)
        if isinstance(raw, str):
            if raw not in self.modes:
                raise AttributeValueError(f"{describe_value(raw)} is not {self}")
            return raw
        if isinstance(raw, Mapping):
            return {axis: self.read_side(axis, value, evaluate) for axis, value in raw.items()}
        if isinstance(raw, list | tuple):
            return tuple(self.read_side(i, value, evaluate) for i, value in enumerate(raw))
        return Integer(0).read_value(raw, evaluate)

    def read_side(self, key: str | int, raw: Any, evaluate: EvaluateText) -> Any:
        if isinstance(raw, list | tuple):
            if len(raw) != 2:
                raise AttributeValueError("padding of one axis is a number or [before, after]", path=(key,))
            return tuple(read_part(key, Integer(0), part, evaluate) for part in raw)
        return read_part(key, Integer(0), raw, evaluate)

    def __str__(self) -> str:
        numbers = "an integer of at least 0, or an integer or [before, after] for each axis"
        return ", ".join([*self.modes, numbers])


@dataclass(frozen=True)
class AxisRenames(AttributeKind):
    """A mapping from axis to its new name."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> dict[str, str]:
        if not isinstance(raw, Mapping) or not raw:
            raise AttributeValueError(f"{describe_value(raw)} is not {self}", "for example {T: S}")
        return {axis: read_part(axis, AxisName(), value, evaluate) for axis, value in raw.items()}

    def __str__(self) -> str:
        return "a mapping from axis to new name"


@dataclass(frozen=True)
class PartSizes(AttributeKind):
    """Names of equal parts, or a mapping from the name of each part to its size."""

    def json_schema(self) -> dict[str, Any]:
        return {
            "type": ["array", "object"],
            "items": {"type": "string"},
            "minItems": 2,
            "uniqueItems": True,
            "additionalProperties": Integer(-1).json_schema(),
            "minProperties": 2,
        }

    def read_value(self, raw: Any, evaluate: EvaluateText) -> Any:
        if not isinstance(raw, list | Mapping) or len(raw) < 2:
            raise AttributeValueError(
                f"{describe_value(raw)} is not {self}",
                "for example [query, key, value] or {query: 64, rest: -1}",
            )
        if isinstance(raw, list):
            if not all(isinstance(name, str) for name in raw) or len(set(raw)) < len(raw):
                raise AttributeValueError(
                    "the names of the parts must be different", "for example [query, key, value]"
                )
            return tuple(raw)
        return {name: read_part(name, Integer(-1), size, evaluate) for name, size in raw.items()}

    def __str__(self) -> str:
        return "a list of names, or a mapping from names to sizes"


@dataclass(frozen=True)
class TableFormula(Text):
    """An expression in the indices of the table's axes and in parameters."""

    def json_schema(self) -> dict[str, Any]:
        return {"type": ["string", "number"]}

    def read_value(self, raw: Any, evaluate: EvaluateText) -> TableExpression:
        is_number = isinstance(raw, int | float) and not isinstance(raw, bool)
        return parse_table_expression(str(raw) if is_number else self.read_text(raw, evaluate), evaluate)

    def __str__(self) -> str:
        return "an expression in the table's axes"
