"""What Keras gets wrong for the values of a model that is being joined."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.lowering import LoweredStep
from specbuild.codegen.tree import (
    Attribute,
    Call,
    Expr,
    Infix,
    Input,
    Literal,
    Name,
    Prefix,
    child_expressions,
    map_children,
    walk_expression,
)
from specbuild.expressions import concrete


def fix_symbolic_steps(unit: ClassSpec) -> ClassSpec:
    """The model with its steps written so that Keras gets them right."""
    known = input_free_values(unit)
    numbers = {unit.value_numbers[key] for key in known if key in unit.value_numbers}
    steps = use_scale_layers(unit, known)
    return replace(
        unit, steps=[reorder_summands(convert_take_indices(step, numbers), unit) for step in steps]
    )


def input_free_values(unit: ClassSpec) -> set[str]:
    """The values of a model that hang on no input."""
    found: set[str] = set()
    for step in unit.steps:
        if step.buffer or (step.inputs and found.issuperset(step.inputs)):
            found |= {step.key, *step.parts}
    return found


def convert_take_indices(step: LoweredStep, tables: Set[int]) -> LoweredStep:
    """Places from a table as NumPy's numbers: where x is symbolic, `take` reads their shape so, which cannot be done
    with what lies on a GPU."""

    def rewrite_take(expr: Expr) -> Expr:
        match map_children(expr, rewrite_take):
            case Call(Name("ops.take"), (x, places), keywords) if not is_constant(x, tables) and is_constant(
                places, tables
            ):
                return Call(Name("ops.take"), (x, Call(Name("ops.convert_to_numpy"), (places,))), keywords)
            case other:
                return other

    return replace(step, call=rewrite_take(step.call))


def is_constant(expr: Expr, tables: Set[int] = frozenset()) -> bool:
    return not any(isinstance(part, Input) and part.index not in tables for part in walk_expression(expr))


def reorder_summands(step: LoweredStep, unit: ClassSpec) -> LoweredStep:
    """Sums in which no summand can be taken for a bias: Keras on TensorFlow takes what stands second and is long along
    one axis only, the batch counted, for one, and adds it along the last axis or the first after the batch, if a size
    agrees. So the other one stands second, or what is added is subtracted."""
    last = step.layout.order[-1:]

    def is_taken_for_bias(left: Expr, right: Expr) -> bool:
        if is_constant(left):  # a number
            return False
        (axes, batched), (others, _) = long_axes(right, unit), long_axes(left, unit)
        if len(axes) == 1:
            return axes != set(last) or not axes <= others
        return not axes and batched and bool(others)

    def rewrite_sum(expr: Expr) -> Expr:
        match map_children(expr, rewrite_sum):
            case Infix("+", left, right) if step.layout.order and is_taken_for_bias(left, right):
                if is_taken_for_bias(right, left):
                    return Infix("-", left, Prefix("-", right))
                return Infix("+", right, left)
            case other:
                return other

    return replace(step, call=rewrite_sum(step.call))


def long_axes(expr: Expr, unit: ClassSpec) -> tuple[set[str], bool]:
    """The axes that are longer than one in the values that an expression reads, and whether one of them has a batch."""
    axes: set[str] = set()
    batched = False
    for part in walk_expression(expr):
        if isinstance(part, Input):
            key = next(key for key, number in unit.value_numbers.items() if number == part.index).partition(
                "~"
            )[0]
            block = unit.first_instance.block
            if key in block.groups:  # a row gives what its last member does
                key = [node.name for node in block.nodes if node.name.startswith(f"{key}.")][-1]
            found = block.value_type(key)
            axes |= {axis for axis, size in found.sizes.items() if concrete(size) > 1}
            batched |= found.batched
    return axes, batched


def use_scale_layers(unit: ClassSpec, tables: Set[str]) -> list[LoweredStep]:
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
        if step.layer_name:
            wanted |= read
        else:
            products[step.key] = rewrite_products(
                step, {unit.value_numbers[key] for key in tables & set(step.inputs)}
            )
            own = {step.key} if products[step.key] != step.call else set()
            behind |= dict.fromkeys((step.key, *step.parts), read | own)
    return [replace(s, call=products[s.key]) if s.key in wanted else s for s in unit.steps]


def rewrite_products(step: LoweredStep, tables: Set[int]) -> Expr:
    """The operators of a step, with its products of a symbolic value and a number or one of these tables written anew."""
    name = (("name", Literal(step.node.replace(".", "_"))),)

    def is_symbolic(expr: Expr) -> bool:
        if isinstance(expr, Attribute) and expr.name == "dtype":
            return False
        own = isinstance(expr, Input) and expr.index not in tables
        return own or any(map(is_symbolic, child_expressions(expr)))

    def rewrite_product(expr: Expr) -> Expr:
        match expr:
            case Prefix(operator, operand):
                return Prefix(operator, rewrite_product(operand))
            case Infix(operator, left, right):
                left, right = rewrite_product(left), rewrite_product(right)
                if operator == "*" and is_symbolic(left) != is_symbolic(right):
                    x, factor = (left, right) if is_symbolic(left) else (right, left)
                    if is_constant(factor):
                        return Call(Call(Name("Scale"), (factor,), name), (x,))
                    return Call(Name("ops.einsum"), (Literal("...,...->..."), x, factor))
                return Infix(operator, left, right)
        return expr

    return rewrite_product(step.call)
