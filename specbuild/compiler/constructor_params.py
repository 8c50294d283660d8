"""Finds the parameters of a model that the emitted constructor may have.

A constructor with a parameter `width` promises to build what the spec describes for any width. If a value
that depends on `width` has become a plain number (the output size of a window, the result of a condition),
the promise would be false. So the model is elaborated again with other values, among them all constants that
the spec compares something with. A parameter is stable if the code stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from specbuild.backends import BACKEND_NAMES
from specbuild.backends.base import Backend
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.classes import build_classes
from specbuild.codegen.model_lowering import LoweredModel, lower_model
from specbuild.codegen.tree import Name, substitute_inputs
from specbuild.compiler.compiled_model import CompiledModel
from specbuild.compiler.model_compiler import ModelCompiler
from specbuild.diagnostics.errors import SpecError, SpecErrors
from specbuild.elaborate import Perturbation
from specbuild.expressions import concrete
from specbuild.expressions.thresholds import find_thresholds
from specbuild.ir.graph import Block

ModelFactory = Callable[[Perturbation], Block]


def find_unstable_params(
    compiler: ModelCompiler, elaborate_with: ModelFactory, documents: Iterable[Any]
) -> frozenset[str]:
    """The parameters that the constructor cannot have, so that their values must be emitted as plain numbers.

    `elaborate_with` elaborates the model for other values; the `documents` are the files that it comes from.
    """
    model = compiler.graph
    compiled = first_expressible(compiler) if model.params else None
    if compiled is None:
        return frozenset()
    before = model_code(compiled.lowered_model)
    names = [
        name for name in before[-1][1] if name in model.params
    ]  # parameters of the last class, the model
    perturbations = [
        {name: perturb_value(model.params[name], double_value) for name in names},
        {name: perturb_value(model.params[name], increment_value) for name in names},
        *threshold_perturbations(model, names, documents),
    ]
    is_unchanged = partial(has_same_code, elaborate_with, before, compiled.backend)
    unstable: set[str] = set()
    for number, perturbation in enumerate(perturbations):
        # doubled values must give a model, since they keep divisibility; other values may be invalid
        accepted: tuple[bool | None, ...] = (True,) if number == 0 else (True, None)
        values = {name: value for name, value in perturbation.items() if name not in unstable}
        if values and is_unchanged(values) not in accepted:
            unstable |= {
                name for name, value in values.items() if is_unchanged({name: value}) not in accepted
            }
    return frozenset(unstable)


def first_expressible(compiler: ModelCompiler) -> CompiledModel | None:
    """The model compiled for the first built-in backend that can express it."""
    for name in BACKEND_NAMES:
        compiled = compiler.compile_for(name)
        if compiled.is_expressible:
            return compiled
    return None


def threshold_perturbations(
    model: Block, names: Sequence[str], documents: Iterable[Any]
) -> Iterator[dict[str, Any]]:
    """For each constant in a comparison of the spec: the parameters of its type, set to it."""
    current = {name: concrete(model.params[name]) for name in names}
    for value in find_thresholds(documents, names):
        changed = {name: value for name, now in current.items() if type(now) is type(value) and now != value}
        if changed:
            yield changed


def has_same_code(
    elaborate_with: ModelFactory, before: list[Any], backend: Backend, changed: Mapping[str, Any]
) -> bool | None:
    """Whether the model has the same code for these values; None if they are invalid."""
    try:
        return model_code(lower_model(elaborate_with(Perturbation(changed)), backend)) == before
    except (SpecError, SpecErrors):
        return None


def model_code(model: LoweredModel) -> list[Any]:
    """A comparable form of the classes of a model, without the defaults of parameters."""
    return [
        (c.name, tuple(c.params), c.derived, step_statements(c), c.flags, c.block.frozen_paths)
        for c in build_classes(model)
    ]


def step_statements(class_spec: ClassSpec) -> list[Any]:
    """The key, member and code of each step, with its operands by name."""
    names = [Name(key) for key in class_spec.value_numbers]
    return [(step.key, step.member, substitute_inputs(step.call, names)) for step in class_spec.steps]


def double_value(value: int) -> int:
    """Twice the value, or 1 for 0: keeps divisibility."""
    return 2 * value or 1


def increment_value(value: int) -> int:
    """One more: breaks divisibility."""
    return value + 1


def perturb_value(value: Any, change: Callable[[int], int]) -> Any:
    """Another value of the same type; `change` changes the integers in it."""
    value = concrete(value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return change(value)
    if isinstance(value, float):
        return value / 2
    if isinstance(value, list | tuple) and value:
        items = [perturb_value(item, change) for item in value]
        return [*items, items[-1]]
    return value
