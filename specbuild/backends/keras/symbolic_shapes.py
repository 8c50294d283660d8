"""What Keras gets wrong for the values of a model that is being joined."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from specbuild.codegen.class_def import Unit
from specbuild.codegen.lowering import Step
from specbuild.codegen.tree import (
    Attribute,
    Call,
    Expr,
    Infix,
    Input,
    Literal,
    Name,
    Prefix,
    children,
    rebuild,
    walk,
)
from specbuild.expressions import plain


def mended(unit: Unit) -> Unit:
    """The model with its steps written so that Keras gets them right."""
    known = tables(unit)
    numbers = {unit.numbers[key] for key in known if key in unit.numbers}
    steps = scaled_by_layers(unit, known)
    return replace(unit, steps=[added(taken(step, numbers), unit) for step in steps])


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


def added(step: Step, unit: Unit) -> Step:
    """Sums in which no summand can be taken for a bias: Keras on TensorFlow takes what stands second and is long along
    one axis only, the batch counted, for one, and adds it along the last axis or the first after the batch, if a size
    agrees. So the other one stands second, or what is added is subtracted."""
    last = step.layout.order[-1:]

    def mistaken(left: Expr, right: Expr) -> bool:
        if constant(left):  # a number
            return False
        (axes, batched), (others, _) = long_axes(right, unit), long_axes(left, unit)
        if len(axes) == 1:
            return axes != set(last) or not axes <= others
        return not axes and batched and bool(others)

    def changed(expr: Expr) -> Expr:
        match rebuild(expr, changed):
            case Infix("+", left, right) if step.layout.order and mistaken(left, right):
                if mistaken(right, left):
                    return Infix("-", left, Prefix("-", right))
                return Infix("+", right, left)
            case other:
                return other

    return replace(step, call=changed(step.call))


def long_axes(expr: Expr, unit: Unit) -> tuple[set[str], bool]:
    """The axes that are longer than one in the values that an expression reads, and whether one of them has a batch."""
    axes: set[str] = set()
    batched = False
    for part in walk(expr):
        if isinstance(part, Input):
            key = next(key for key, number in unit.numbers.items() if number == part.index).partition("~")[0]
            block = unit.first.block
            if key in block.groups:  # a row gives what its last member does
                key = [node.name for node in block.nodes if node.name.startswith(f"{key}.")][-1]
            found = block.typed(key)
            axes |= {axis for axis, size in found.sizes.items() if plain(size) > 1}
            batched |= found.batched
    return axes, batched


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
