"""Which parameters of a model its constructor can keep: those that it would treat as the spec does.

A constructor that takes `width` promises the model that the spec describes at any width. Where a number
lost its words on the way (a size worked out by a window, a condition decided), the promise would be false.
So the model is made once more with other values, and with those that the spec compares something with: a parameter
is kept if the code stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from specbuild import backends
from specbuild.backends.base import Backend
from specbuild.codegen.class_def import Unit
from specbuild.codegen.classes import units
from specbuild.codegen.tree import Name, substitute
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate import Trial
from specbuild.expressions import plain
from specbuild.expressions.thresholds import thresholds
from specbuild.ir.graph import Block

Make = Callable[[Trial], Block]


def kept(model: Block, make: Make, documents: Iterable[Any]) -> Block:
    """The model with every parameter that its constructor cannot keep written out as a plain number.

    The `documents` are those that it was made from.
    """
    if not model.params:
        return model
    for name in backends.NAMES:
        try:
            backend = backends.load(name)
            before = code(model, backend)
            break
        except SpecError as error:
            if error.code != "SB601":
                raise
    else:
        return model  # which nobody can write
    names = [name for name in before[-1][1] if name in model.params]
    trials = [
        {name: changed(model.params[name], double) for name in names},
        {name: changed(model.params[name], up) for name in names},
        *at_thresholds(model, names, documents),
    ]
    alike = partial(same, make, before, backend)
    lost: set[str] = set()
    for number, tried in enumerate(trials):
        # the first must give a model: sizes that must divide each other are likely to bear it
        true: tuple[bool | None, ...] = (True,) if number == 0 else (True, None)
        trial = {name: value for name, value in tried.items() if name not in lost}
        if trial and alike(trial) not in true:
            lost |= {name for name, value in trial.items() if alike({name: value}) not in true}
    return replace(model, literal=frozenset(lost)) if lost else model


def at_thresholds(model: Block, names: Sequence[str], documents: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """The parameters at each value that the spec compares one with."""
    plains = {name: plain(model.params[name]) for name in names}
    for value in thresholds(documents, names):
        trial = {name: value for name, now in plains.items() if type(now) is type(value) and now != value}
        if trial:
            yield trial


def same(make: Make, before: list[Any], backend: Backend, changed: Mapping[str, Any]) -> bool | None:
    """Whether the model with these values has the same code; None if there is no such model."""
    try:
        return code(make(Trial(changed)), backend) == before
    except (SpecError, SpecErrors):
        return None


def code(model: Block, backend: Backend) -> list[Any]:
    """All that the classes of a model say, but for the defaults of parameters."""
    found = units(model, backend)
    return [(u.name, tuple(u.params), u.derived, statements(u), u.flags, u.block.frozen) for u in found]


def statements(unit: Unit) -> list[Any]:
    """What each step makes and does, its operands by name."""
    names = {number: Name(key) for key, number in unit.numbers.items()}
    return [(step.key, step.make, substitute(step.call, names)) for step in unit.steps]  # type: ignore[arg-type]


def double(value: int) -> int:
    """Twice as much."""
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
