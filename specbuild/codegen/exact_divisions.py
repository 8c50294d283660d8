"""Divisions without a remainder, since the constructor refuses one: `channels // heads * heads` is `channels`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from specbuild.codegen.class_spec import Guard
from specbuild.codegen.constructions import map_expressions, map_initial_values
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.tree import Expr, Infix, map_children


def undo_divisions(steps: Sequence[LoweredStep], guards: Iterable[Guard]) -> list[LoweredStep]:
    """Return the steps of a class without products that undo a division which its guards make exact."""
    exact = {
        (guard.condition.left, guard.condition.right)
        for guard in guards
        if isinstance(guard.condition, Infix) and guard.condition.operator == "%"
    }

    def shorten(expr: Expr) -> Expr:
        match map_children(expr, shorten):
            case Infix("*", Infix("//", whole, part), factor) | Infix(
                "*", factor, Infix("//", whole, part)
            ) if part == factor and (whole, part) in exact:
                return whole
            case other:
                return other

    if not exact:
        return list(steps)
    return [
        replace(
            step,
            member=None if step.member is None else map_expressions(step.member, shorten),
            inits=map_initial_values(step.inits, shorten),
            call=shorten(step.call),
        )
        for step in steps
    ]
