"""Give the steps of a class their arguments, and the sizes that its constructor can know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassTable
from specbuild.codegen.constructions import (
    ComputedTable,
    Construction,
    ConstructorArgument,
    inline_names,
    is_literal,
    is_same_value,
    literal_expression,
    literal_value,
    map_expressions,
    map_initial_values,
    reads_names,
)
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep
from specbuild.codegen.merged_params import value_params
from specbuild.codegen.size_checks import find_size_checks, refuse_fixed_sizes
from specbuild.codegen.tree import Expr, Literal, TupleOf
from specbuild.codegen.tree_walk import map_children
from specbuild.expressions import concrete, symbolic, translate_expression
from specbuild.ir.graph import Block, Node, find_origin, runtime_sizes


def fill_arguments(lowered: LoweredBlock, table: ClassTable, is_model: bool) -> LoweredBlock:
    """Add constructor arguments to calls of inner classes, and inline the values of unstable parameters.

    After this, it is known which sizes of its inputs are fixed.
    """
    steps = [fill_step_arguments(step, lowered, table) for step in lowered.steps]
    checks = find_size_checks(lowered.block, [step.member for step in steps])
    if table.free_sizes is not None:
        members = ((step.node, step.member) for step in steps)
        free = table.free_sizes.of_block(lowered.block)
        refuse_fixed_sizes(lowered.block, members, free)
        # an axis that can have any size is not checked for one size
        checks = {x: size for x, size in checks.items() if (x.source, x.axis) not in free or not x.is_fixed}
    block = lowered.block
    fixed = {name: block.value_type(ref)[axis] for name, (ref, axis) in block.step_sizes.items()}
    steps = [fix_step_sizes(step, fixed) for step in steps] if fixed else steps
    if is_model:
        lowered = replace(lowered, declared_sizes=declare_sizes(lowered.block))
        sizes = frozenset(runtime_sizes(lowered.block))
        steps = [fix_layer_sizes(step, sizes, lowered.declared_sizes) for step in steps]
        checks = {key: fix_size(size, sizes, lowered.declared_sizes) for key, size in checks.items()}
    if lowered.unstable_values:
        inline = partial(inline_names, values=lowered.unstable_values)
        rewrite = partial(rewrite_values, change=inline)
        steps = [
            replace(
                step,
                member=None if step.member is None else map_expressions(step.member, rewrite),
                inits=map_initial_values(step.inits, rewrite),
                call=rewrite(step.call),
                remainders=tuple(map(inline, step.remainders)),
                odd_numbers=tuple(map(inline, step.odd_numbers)),
            )
            for step in steps
        ]
        checks = {key: inline(size) for key, size in checks.items()}
    return replace(lowered, steps=steps, size_checks=checks)


def fill_step_arguments(step: LoweredStep, lowered: LoweredBlock, table: ClassTable) -> LoweredStep:
    """Return a step that uses a block with the call of its class; any other step as it is.

    Raises SpecError SB401 for a step that reuses a layer which would need other arguments here.
    """
    node = lowered.block.find_node(step.node)
    if node is None or step.node not in lowered.children:
        return step
    construction = construct_instance(node, lowered, table)
    if node.reuses is None:
        return replace(step, member=construction)
    path, _, origin = find_origin(lowered.block, node.reuses)
    owner = lowered
    for name in path:
        owner = owner.children[name]
    if not are_same_instance(construct_instance(origin, owner, table), construction):
        message = f"{node.reuses} cannot be reused here: for this input it would need other arguments"
        raise node.at.error(
            "SB401", message, "give it an input with the same axes and sizes, or add a new step"
        )
    return step


def construct_instance(node: Node, lowered: LoweredBlock, table: ClassTable) -> Construction:
    """Return the constructor call for the class of a node that is a block."""
    child = lowered.children[node.name]
    inner_class = table.class_of[child]
    extra = {name: translate_expression(x, node.args) for name, x in table.extra_arguments[child].items()}
    values = {**node.args, **extra}
    arguments = tuple(
        ConstructorArgument(name, literal_expression(values[name]), param.default)
        for name, param in inner_class.params.items()
    )
    return Construction(inner_class.name, arguments, is_own_class=True)


def are_same_instance(a: Construction, b: Construction) -> bool:
    """Return whether two constructor calls give equal objects; expressions count by their values."""
    values = [[literal_value(x.value) for x in call.arguments] for call in (a, b)]
    return a.function == b.function and all(map(is_same_value, *values))


def declare_sizes(model: Block) -> dict[str, Any]:
    """Return the values that names have in the constructor of a model: the sizes of inputs are numbers."""
    values: dict[str, Any] = {
        name: model.inputs[source][axis] for name, (source, axis) in runtime_sizes(model).items()
    }
    values |= {name: symbolic(concrete(value), name) for name, value in value_params(model).items()}
    return {**values, "i": symbolic(0, "i")}  # the index of a repeat stays


def fix_layer_sizes(step: LoweredStep, sizes: frozenset[str], declared: Mapping[str, Any]) -> LoweredStep:
    """Give the layers of a model its input sizes as the spec declares them: its constructor has no others."""
    if step.member is None or isinstance(step.member, ComputedTable):
        return step
    numbers = (argument.value for init in step.inits for argument in init.arguments)
    if not any(reads_names(part, sizes) for part in (step.member, *numbers)):
        return step
    rewrite = partial(rewrite_values, change=partial(fix_size, sizes=sizes, declared=declared))
    member, inits = map_expressions(step.member, rewrite), map_initial_values(step.inits, rewrite)
    return replace(step, member=member, inits=inits)


def fix_step_sizes(step: LoweredStep, values: Mapping[str, int]) -> LoweredStep:
    """Give a layer the sizes of steps as the spec has them: its constructor runs before there are steps."""
    if isinstance(step.member, ComputedTable):
        return step
    rewrite = partial(rewrite_values, change=partial(inline_names, values=values))
    member = None if step.member is None else map_expressions(step.member, rewrite)
    return replace(step, member=member, inits=map_initial_values(step.inits, rewrite))


def fix_size(expr: Expr, sizes: Collection[str], declared: Mapping[str, Any]) -> Expr:
    """Return a number of a model with its input sizes as the spec declares them."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(fix_size(item, sizes, declared) for item in expr.items))
    if not isinstance(expr, Literal) or not reads_names(expr, sizes):
        return expr
    return Literal(translate_expression(expr.value, declared))


def rewrite_values(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Apply `change` to every constant in an expression."""
    if is_literal(expr):
        return change(expr)
    return map_children(expr, lambda part: rewrite_values(part, change))
