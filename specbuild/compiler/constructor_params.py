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
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.classes import build_classes
from specbuild.codegen.tree import Name, substitute_inputs
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate import Perturbation
from specbuild.expressions import concrete
from specbuild.expressions.thresholds import find_thresholds
from specbuild.ir.graph import Block

ModelFactory = Callable[[Perturbation], Block]


def fix_unstable_params(model: Block, make: ModelFactory, documents: Iterable[Any]) -> Block:
    """The model with every parameter that its constructor cannot keep written out as a plain number.

    The `documents` are those that it was made from.
    """
    if not model.params:
        return model
    for name in backends.BACKEND_NAMES:
        try:
            backend = backends.load_backend(name)
            before = model_code(model, backend)
            break
        except SpecError as error:
            if error.code != "SB601":
                raise
    else:
        return model  # which nobody can write
    names = [name for name in before[-1][1] if name in model.params]
    perturbations = [
        {name: perturb_value(model.params[name], double_value) for name in names},
        {name: perturb_value(model.params[name], increment_value) for name in names},
        *threshold_perturbations(model, names, documents),
    ]
    alike = partial(has_same_code, make, before, backend)
    unstable: set[str] = set()
    for number, tried in enumerate(perturbations):
        # the first must give a model: sizes that must divide each other are likely to bear it
        true: tuple[bool | None, ...] = (True,) if number == 0 else (True, None)
        trial = {name: value for name, value in tried.items() if name not in unstable}
        if trial and alike(trial) not in true:
            unstable |= {name for name, value in trial.items() if alike({name: value}) not in true}
    return replace(model, unstable_params=frozenset(unstable)) if unstable else model


def threshold_perturbations(
    model: Block, names: Sequence[str], documents: Iterable[Any]
) -> Iterator[dict[str, Any]]:
    """The parameters at each value that the spec compares one with."""
    plains = {name: concrete(model.params[name]) for name in names}
    for value in find_thresholds(documents, names):
        trial = {name: value for name, now in plains.items() if type(now) is type(value) and now != value}
        if trial:
            yield trial


def has_same_code(
    make: ModelFactory, before: list[Any], backend: Backend, changed: Mapping[str, Any]
) -> bool | None:
    """Whether the model with these values has the same code; None if there is no such model."""
    try:
        return model_code(make(Perturbation(changed)), backend) == before
    except (SpecError, SpecErrors):
        return None


def model_code(model: Block, backend: Backend) -> list[Any]:
    """All that the classes of a model say, but for the defaults of parameters."""
    found = build_classes(model, backend)
    return [
        (u.name, tuple(u.params), u.derived, step_statements(u), u.flags, u.block.frozen_paths) for u in found
    ]


def step_statements(unit: ClassSpec) -> list[Any]:
    """What each step makes and does, its operands by name."""
    names = {number: Name(key) for key, number in unit.value_numbers.items()}
    return [(step.key, step.member, substitute_inputs(step.call, names)) for step in unit.steps]  # type: ignore[arg-type]


def double_value(value: int) -> int:
    """Twice as much."""
    return 2 * value or 1


def increment_value(value: int) -> int:
    """What only happens to be even or divisible is no longer so."""
    return value + 1


def perturb_value(value: Any, count: Callable[[int], int]) -> Any:
    """Another value of the same kind."""
    value = concrete(value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return value / 2
    if isinstance(value, list | tuple) and value:
        items = [perturb_value(item, count) for item in value]
        return [*items, items[-1]]
    return value
