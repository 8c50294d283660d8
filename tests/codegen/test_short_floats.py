"""Floats as a person writes them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from specbuild import load
from specbuild.codegen.short_floats import short_form, short_fraction
from specbuild.codegen.tree import Infix, Literal

FAR = (1.7976931348623157e307, -1.2345678912345e200, 1.2345678912345e-200, -5.4321987654321e-320)


def fraction(decimal: float, factor: int, divisor: int) -> Infix:
    number = Literal(int(decimal) if decimal.is_integer() else decimal)
    return Infix("/", number if factor == 1 else Infix("*", number, Literal(factor)), Literal(divisor))


@pytest.mark.parametrize(
    ("decimal", "factor", "divisor"),
    [(0.2, 1, 11), (0.01, 1, 63), (0.97, 62, 63), (9.7, 2, 3), (99.0, 62, 63), (9.7, 10, 59), (1.2, 1, 7)],
)
def test_fractions_are_found(decimal: float, factor: int, divisor: int) -> None:
    """At both ends of the sizes too, where a rounded product is farthest from a whole number."""
    assert short_form(decimal * factor / divisor) == fraction(decimal, factor, divisor)


@pytest.mark.parametrize("value", [*FAR, math.inf, -math.inf, math.nan, 9876.54321987, 1.2345678912e-4])
def test_other_floats_have_no_short_form(value: float) -> None:
    assert short_form(value) is None


def test_most_divisors_are_left_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of 1,024 drawn numbers took more than a second, since each was compared with 2,000 fractions."""
    tried = 0

    def count_trials(*bounds: int) -> range:
        nonlocal tried
        tried += bounds[0] == 1
        return range(*bounds)

    monkeypatch.setattr("specbuild.codegen.short_floats.range", count_trials, raising=False)
    assert not any(short_fraction(math.sin(n)) for n in range(1, 400)) and tried < 40


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_floats_of_any_size_are_emitted(backend: str, tmp_path: Path) -> None:
    spec = tmp_path / "net.yaml"
    spec.write_text(
        "specbuild: 1\nmodel: Net\ninputs: {x: {C: 8}}\nsteps:\n"
        f"  - clip: {{min: {FAR[1]}, max: {FAR[0]}}}\n  - layer_norm: {{epsilon: {FAR[2]}}}\n"
    )
    assert "1.2345678912345e-200" in load(spec).source(backend)
