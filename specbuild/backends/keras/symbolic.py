"""What Keras gets wrong for the values of a model that is being joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from specbuild.emit.code import Call, Expr, Index, Infix, Input, Literal, Name, Prefix, walk
from specbuild.emit.lower import Step
from specbuild.emit.unit import Unit
from specbuild.words import plain


def mended(unit: Unit) -> Unit:
    """The model with its steps written so that Keras gets them right."""
    return replace(unit, steps=[added_first(step, unit) for step in scaled_by_layers(unit.steps)])


def added_first(step: Step, unit: Unit) -> Step:
    """A sum that begins with what is large along one axis only, if that is not the last one of the whole.

    Keras takes such a summand, where it stands second, for a bias: it is added along the last axis if the sizes
    agree.
    """
    match step.call:
        case Infix("+", left, right) if not step.holder:
            last, axes = step.layout.order[-1:], long_axes(right, unit)
            if axes is not None and len(axes) == 1 and axes != last and len(step.layout.order) > 1:
                return replace(step, call=Infix("+", right, left))
    return step


def long_axes(expr: Expr, unit: Unit) -> tuple[str, ...] | None:
    """The axes of a value that are longer than one; None for what is not a value by itself."""
    value = expr.of if isinstance(expr, Index) else expr
    if not isinstance(value, Input):
        return None
    key = next(key for key, number in unit.numbers.items() if number == value.index).partition("~")[0]
    block = unit.first.block
    if key in block.groups:  # a row gives what its last member does
        key = [node.name for node in block.nodes if node.name.startswith(f"{key}.")][-1]
    return tuple(axis for axis, size in block.typed(key).sizes.items() if plain(size) > 1)


def scaled_by_layers(steps: Sequence[Step]) -> list[Step]:
    """The steps of a model; what multiplies by a number in front of a layer is a layer itself.

    Keras takes the product of a symbolic value and a number to be sparse, and traces the layers behind it so;
    not every operation takes that.
    """
    behind: dict[str, set[str]] = {}  # value -> the products that it follows from without a layer between
    wanted: set[str] = set()
    for step in steps:
        read = set().union(*(behind.get(key, ()) for key in step.inputs))
        if step.holder:
            wanted |= read
            continue
        own = {step.key} if scaled(step) != step.call else set()
        behind |= dict.fromkeys((step.key, *step.parts), read | own)
    return [replace(s, call=scaled(s)) if s.key in wanted and not s.holder else s for s in steps]


def scaled(step: Step) -> Expr:
    """The operators of a step with a layer for the product of a value and a number."""
    name = (("name", Literal(step.node.replace(".", "_"))),)

    def layered(expr: Expr) -> Expr:
        match expr:
            case Prefix(operator, operand):
                return Prefix(operator, layered(operand))
            case Infix(operator, left, right):
                left, right = layered(left), layered(right)
                if operator == "*" and reads(left) != reads(right):
                    x, factor = (left, right) if reads(left) else (right, left)
                    return Call(Call(Name("Scale"), (factor,), name), (x,))
                return Infix(operator, left, right)
        return expr

    return layered(step.call)


def reads(expr: Expr) -> bool:
    """Whether it reads a value of the model."""
    return any(isinstance(part, Input) for part in walk(expr))
