"""Which parameters of a model its constructor can keep: those that it would treat as the spec does.

A constructor that takes `width` promises the model that the spec describes at any width. Where a number
lost its words on the way (a size worked out by a window, a condition decided), the promise would be false.
So the model is made once more with other values: a parameter is kept if the code stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from specbuild import backends
from specbuild.elaborate import Trial
from specbuild.emit.code import Name, substitute
from specbuild.emit.unit import Unit
from specbuild.emit.units import units
from specbuild.errors import SpecError, SpecErrors
from specbuild.graph import Block
from specbuild.words import plain

Make = Callable[[Trial], Block]


def kept(model: Block, make: Make) -> Block:
    """The model with every parameter that its constructor cannot keep written out as a plain number."""
    if not model.params:
        return model
    before = code(model)
    names = [name for name in before[-1][1] if name in model.params]
    doubled = {name: changed(model.params[name], double) for name in names}
    next_up = {name: changed(model.params[name], up) for name in names}
    if not names or (same(make, doubled, before) is True and same(make, next_up, before) is not False):
        return model
    lost = frozenset(
        name
        for name in names
        if same(make, {name: doubled[name]}, before) is not True
        or same(make, {name: next_up[name]}, before) is False
    )
    return replace(model, literal=lost)


def same(make: Make, changed: Mapping[str, Any], before: list[Any]) -> bool | None:
    """Whether the model with these values has the same code; None if there is no such model."""
    try:
        return code(make(Trial(changed))) == before
    except (SpecError, SpecErrors):
        return None


def code(model: Block) -> list[Any]:
    """All that the classes of a model say, but for the defaults of parameters."""
    found = units(model, backends.load("torch"))
    return [(u.name, tuple(u.params), u.derived, statements(u), u.flags, u.block.frozen) for u in found]


def statements(unit: Unit) -> list[Any]:
    """What each step makes and does, its operands by name."""
    names = {number: Name(key) for key, number in unit.numbers.items()}
    return [(step.key, step.make, substitute(step.call, names)) for step in unit.steps]  # type: ignore[arg-type]


def double(value: int) -> int:
    """Sizes that must divide each other are likely to bear it."""
    return 2 * value or 1


def up(value: int) -> int:
    """What only happens to be even or divisible is no longer so."""
    return value + 1


def changed(value: Any, count: Callable[[int], int]) -> Any:
    """Another value of the same kind."""
    value = plain(value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return value / 2
    if isinstance(value, list | tuple) and value:
        items = [changed(item, count) for item in value]
        return [*items, items[-1]]
    return value
