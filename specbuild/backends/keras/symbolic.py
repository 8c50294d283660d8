"""What Keras gets wrong for the values of a model that is being joined."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from specbuild.emit.code import (
    Attribute,
    Call,
    Expr,
    Index,
    Infix,
    Input,
    Literal,
    Name,
    Prefix,
    children,
    rebuild,
    walk,
)
from specbuild.emit.lower import Step
from specbuild.emit.unit import Unit
from specbuild.words import plain


def mended(unit: Unit) -> Unit:
    """The model with its steps written so that Keras gets them right."""
    known = tables(unit)
    numbers = {unit.numbers[key] for key in known if key in unit.numbers}
    steps = scaled_by_layers(unit, known)
    return replace(unit, steps=[added_first(taken(step, numbers), unit) for step in steps])


def tables(unit: Unit) -> set[str]:
    """The values of a model that hang on no input."""
    found: set[str] = set()
    for step in unit.steps:
        if step.buffer or (step.inputs and found.issuperset(step.inputs)):
            found |= {step.key, *step.parts}
    return found


def taken(step: Step, tables: Set[int]) -> Step:
    """Places from a table as NumPy's numbers: where x is symbolic, `take` reads their shape so, which cannot be done
    with what lies on a GPU."""

    def changed(expr: Expr) -> Expr:
        match rebuild(expr, changed):
            case Call(Name("ops.take"), (x, places), keywords) if not constant(x, tables) and constant(
                places, tables
            ):
                return Call(Name("ops.take"), (x, Call(Name("ops.convert_to_numpy"), (places,))), keywords)
            case other:
                return other

    return replace(step, call=changed(step.call))


def constant(expr: Expr, tables: Set[int] = frozenset()) -> bool:
    return not any(isinstance(part, Input) and part.index not in tables for part in walk(expr))


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


def scaled_by_layers(unit: Unit, tables: Set[str]) -> list[Step]:
    """The steps of a model; what multiplies in front of a layer is a layer itself for a number, an einsum for a table.

    Keras takes the product of a symbolic value and what is not symbolic to be sparse, and traces the layers behind
    it so; not every operation takes that.
    """
    behind: dict[str, set[str]] = {}  # value -> the products that it follows from without a layer between
    wanted: set[str] = set()
    products: dict[str, Expr] = {}
    for step in unit.steps:
        read = set().union(*(behind.get(key, ()) for key in step.inputs))
        if step.key in tables:
            continue
        if step.holder:
            wanted |= read
        else:
            products[step.key] = scaled(step, {unit.numbers[key] for key in tables & set(step.inputs)})
            own = {step.key} if products[step.key] != step.call else set()
            behind |= dict.fromkeys((step.key, *step.parts), read | own)
    return [replace(s, call=products[s.key]) if s.key in wanted else s for s in unit.steps]


def scaled(step: Step, tables: Set[int]) -> Expr:
    """The operators of a step, with its products of a symbolic value and a number or one of these tables written anew."""
    name = (("name", Literal(step.node.replace(".", "_"))),)

    def symbolic(expr: Expr) -> bool:
        if isinstance(expr, Attribute) and expr.name == "dtype":
            return False
        own = isinstance(expr, Input) and expr.index not in tables
        return own or any(map(symbolic, children(expr)))

    def layered(expr: Expr) -> Expr:
        match expr:
            case Prefix(operator, operand):
                return Prefix(operator, layered(operand))
            case Infix(operator, left, right):
                left, right = layered(left), layered(right)
                if operator == "*" and symbolic(left) != symbolic(right):
                    x, factor = (left, right) if symbolic(left) else (right, left)
                    if constant(factor):
                        return Call(Call(Name("Scale"), (factor,), name), (x,))
                    return Call(Name("ops.einsum"), (Literal("...,...->..."), x, factor))
                return Infix(operator, left, right)
        return expr

    return layered(step.call)
