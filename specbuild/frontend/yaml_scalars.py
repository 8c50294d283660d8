"""The values of unquoted YAML scalars: the core schema of YAML 1.2, with limits for numbers."""

from __future__ import annotations

import math
import re

from specbuild.expressions import INFINITY

Scalar = str | int | float | bool | None

MAX_DIGITS = 18

CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
INTEGER = re.compile(r"[-+]?[0-9]+")
OCTAL = re.compile(r"0o[0-7]+")
HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(?P<mantissa>\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE](?P<exponent>[-+]?[0-9]+))?")
NOT_A_NUMBER = re.compile(r"\.(?:nan|NaN|NAN)")


def parse_plain_scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar. Raises ValueError with a message for an invalid number.

    Infinity stays text: the few attributes that accept it read it themselves.
    """
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text):
        return _parse_integer(text, 10)
    if OCTAL.fullmatch(text):
        return _parse_integer(text[2:], 8)
    if HEXADECIMAL.fullmatch(text):
        return _parse_integer(text[2:], 16)
    if number := FLOAT.fullmatch(text):
        return _parse_float(text, number["mantissa"], number["exponent"] or "")
    if NOT_A_NUMBER.fullmatch(text):
        raise ValueError("numbers must be finite")
    return text


def is_plain_text(text: str) -> bool:
    """Return whether an unquoted scalar is text; an invalid number, or infinity, is not text."""
    try:
        return isinstance(parse_plain_scalar(text), str) and not INFINITY.fullmatch(text)
    except ValueError:
        return False


def _parse_integer(digits: str, base: int) -> int:
    if len(digits.lstrip("+-0")) > MAX_DIGITS:
        raise ValueError(f"numbers have at most {MAX_DIGITS} digits")
    return int(digits, base)


def _parse_float(text: str, mantissa: str, exponent: str) -> float:
    digits = mantissa.replace(".", "").strip("0")
    if len(digits) > MAX_DIGITS or len(exponent.lstrip("+-0")) > MAX_DIGITS:
        raise ValueError(f"numbers have at most {MAX_DIGITS} digits")
    value = float(text)
    if math.isinf(value):
        raise ValueError("this number is too large")
    if value == 0 and digits:
        raise ValueError("this number is too small: it rounds to zero")
    return value
