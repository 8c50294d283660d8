"""Floats as a person writes them: `0.2 / 11`, `2048**-0.5` and `math.log(10)`, where these are exactly the float."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from specbuild.codegen.code_mapping import map_code
from specbuild.codegen.tree import (
    Call,
    Expr,
    Infix,
    Literal,
    Name,
    Prefix,
)

LONGEST_DECIMAL = 8  # characters of a float that stays
LONGEST_FACTOR = 4
LARGEST_DIVISOR = 64
SMALLEST, LARGEST = 1e-4, 1e4  # the sizes that short forms can have
ROUNDING = 1e-6  # of a product of the size that a short fraction can have
LARGEST_ROOT = 10**7


def shorten_floats(code: Any) -> Any:
    """Return statements or expressions with short forms of their floats; defaults of parameters stay."""
    return map_code(code, shorten_literal)


def shorten_literal(code: Expr) -> Expr | None:
    """Return shorter code of a float; None for all other code."""
    return short_form(code.value) if isinstance(code, Literal) and type(code.value) is float else None


@lru_cache(maxsize=1024)
def short_form(value: float) -> Expr | None:
    """Return shorter code of just this float; None if the float itself is short, or there is none."""
    if len(repr(abs(value))) <= LONGEST_DECIMAL + 2 or not SMALLEST <= abs(value) <= LARGEST:
        return None
    if value < 0:
        form = short_form(-value)
        return form and Prefix("-", form)
    return short_fraction(value) or short_function(value)


def short_fraction(value: float) -> Expr | None:
    """Return `0.2 / 11` or `0.2 * 3 / 11`, with the smallest divisor; None if there is none."""
    for divisor in range(2, LARGEST_DIVISOR):
        hundredths = (
            100 * value * divisor
        )  # of a decimal of so few characters, times a factor: a whole number
        if abs(hundredths - round(hundredths)) > ROUNDING:
            continue
        found = [(float(f"{value * divisor / factor:.2g}"), factor) for factor in range(1, divisor)]
        exact = [
            (len(repr(n)), factor, n)
            for n, factor in found
            if n * factor / divisor == value and len(repr(n)) <= LONGEST_FACTOR
        ]
        if exact:
            _, factor, decimal = min(exact)
            number: Expr = Literal(int(decimal) if decimal.is_integer() else decimal)
            product = number if factor == 1 else Infix("*", number, Literal(factor))
            return Infix("/", product, Literal(divisor))
    return None


def short_function(value: float) -> Expr | None:
    """Return a power, a multiple of pi or a logarithm of a whole number; None if the value is none of them."""
    if value < 1 and (root := round(value**-2)) <= LARGEST_ROOT and root**-0.5 == value:
        return Infix("**", Literal(root), Literal(-0.5))
    if (root := round(value**2)) <= LARGEST_ROOT and root**0.5 == value:
        return Infix("**", Literal(root), Literal(0.5))
    pi = Name("math.pi")
    for factor in (2, 4):
        if value == factor * math.pi:
            return Infix("*", Literal(factor), pi)
        if value == math.pi / factor:
            return Infix("/", pi, Literal(factor))
    if value == math.pi:
        return pi
    if value < math.log(LARGEST_ROOT) and math.log(number := round(math.exp(value))) == value:
        return Call(Name("math.log"), (Literal(number),))
    return None
