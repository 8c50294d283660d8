"""The least sizes of inputs with which a block works, where a framework would compute something with less."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from specbuild.expressions import ExpressionError, concrete, evaluate_expression, expression_of
from specbuild.ir.axis_sources import AxisOfInput, reads_input_size, trace_axis
from specbuild.ir.graph import Block, Node, Ref, runtime_sizes
from specbuild.ir.size_functions import SizeFunctions, first_size, has_expressions
from specbuild.ops.attribute_kinds import Integer
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL

Need = tuple[Ref, str, int]  # an axis of a value, and the least size of it
MAX_TRIALS = 4_000  # after so many, a long block gets no further checks
TRIED = (1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64)


def find_least_sizes(block: Block) -> dict[AxisOfInput, int]:
    """Return the input sizes below which a step of a block would have no result, or one of nothing.

    Only steps count that a framework would run nevertheless: with an empty value, or by filling it up, or by
    repeating what is as short as one position. Sizes that several inputs decide, or that lie behind a reshape, are
    not followed.
    """
    names, functions = runtime_sizes(block).values(), SizeFunctions(block)
    found: dict[AxisOfInput, int] = {}
    for ref, axis, least in list_needs(block, functions):
        root = functions.find_root(ref, axis)
        if root is None or root not in names:
            continue

        def suffices(size: int, need: Need = (ref, axis, least)) -> bool:
            return (functions.size_at(need[0], need[1], size) or 0) >= need[2]

        first = first_size(concrete(block.inputs[root[0]][root[1]]), suffices)
        if first is not None and first > 1:
            found[root] = max(first, found.get(root, 1))
    return found | {key: size for key, size in list_written(block) if key in names and key not in found}


def list_written(block: Block) -> Iterator[tuple[AxisOfInput, int]]:
    """Yield the least sizes that parameters of the block decide, each with its expression."""
    for node in block.nodes:
        op = node.op
        if isinstance(op, Op) and op.accepts_too_little and has_expressions(op):
            for index, axis, size in op.least_sizes(*(block.value_type(ref) for ref in node.inputs if ref)):
                ref, expression = node.inputs[index], expression_of(size)
                root = None if ref is None or axis == CHANNEL else trace_axis(block, ref, axis)
                if root is not None and expression is not None and not reads_input_size(block, size):
                    yield root, size


def list_needs(block: Block, functions: SizeFunctions) -> Iterator[Need]:
    """Yield the axes of values that need a size, with the least one."""
    known: set[str] = set()
    for node in block.nodes:
        if not isinstance(node.op, Op):
            continue
        if functions.tried > MAX_TRIALS:
            return
        numbers = [
            (size, 1) for type_ in (node.type, *node.parts.values()) for size in sizes_beside_channels(type_)
        ]
        for number, least in (*numbers, *list_counts(node.op)):
            expression = expression_of(number)
            if expression is not None and expression.text not in known:
                known.add(expression.text)
                yield from needs_of_expression(block, number, least)
        if node.op.accepts_too_little and not has_expressions(node.op):
            yield from needs_of_step(block, node, functions)
        if len(node.inputs) > 1:
            yield from needs_of_joint_axes(block, node, node.op, functions)


def sizes_beside_channels(type_: Any) -> Iterable[int]:
    return [size for axis, size in type_.sizes.items() if axis != CHANNEL]


def list_counts(op: Op) -> Iterator[tuple[int, int]]:
    """Yield the numbers among the attributes of an op that have a lower bound, with the bound."""
    for field in fields(op):  # type: ignore[arg-type]
        kind, value = field.metadata["kind"], getattr(op, field.name)
        if isinstance(kind, Integer) and kind.minimum is not None and value is not None:
            yield value, kind.minimum


def needs_of_step(block: Block, node: Node, functions: SizeFunctions) -> Iterator[Need]:
    """Yield what a step by itself needs of the values that it reads."""
    for index, ref in enumerate(node.inputs):
        type_ = None if ref is None else block.value_type(ref)
        if ref is None or type_ is None or not type_.batched:
            continue
        for axis, size in type_.sizes.items():
            if axis == CHANNEL or not functions.fits(node, index, axis, concrete(size)):
                continue

            def fits(size: int, index: int = index, axis: str = axis) -> bool:
                return functions.fits(node, index, axis, size)

            least = first_size(concrete(size), fits)
            if least is not None and least > 1:
                yield ref, axis, least


def needs_of_expression(block: Block, number: int, bound: int) -> Iterator[Need]:
    """Yield the size from which a number is computed, and the least one for which it is not below a bound.

    Nothing if it reads several sizes, or none.
    """
    expression = expression_of(number)
    if expression is None or len(set(expression.names)) != 1 or expression.names[0] not in block.size_sources:
        return
    [name] = set(expression.names)
    ref, axis = block.size_sources[name]

    def is_enough(size: int) -> bool:
        value = evaluate_expression(expression, {name: size})
        return isinstance(value, int | float) and value >= bound

    try:
        least = first_size(concrete(block.value_type(ref)[axis]), is_enough)
    except ExpressionError:  # it reads something else, or has no value at some size
        return
    if least is not None and least > 1:
        yield ref, axis, least


def needs_of_joint_axes(block: Block, node: Node, op: Op, functions: SizeFunctions) -> Iterator[Need]:
    """Yield the sizes above which a framework itself refuses axes of unequal sizes: it repeats one position."""
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
    for group in op.joint_axes(*types):
        places = {(ref, axis) for index, axis in group if (ref := node.inputs[index]) is not None}
        places = {place for place in places if place[1] != CHANNEL}
        traced = {trace_axis(block, *place) for place in places}
        if len(traced) == 1 and None not in traced:
            continue
        roots = {root for place in places if (root := functions.find_root(*place)) is not None}
        if len(places) < 2 or len(roots) != 1:
            continue
        [root] = roots
        moving = [place for place in places if functions.find_root(*place) or functions.is_constant(*place)]
        declared = concrete(block.inputs[root[0]][root[1]])

        def sizes_at(size: int, moving: list[tuple[Ref, str]] = moving) -> set[int | None]:
            return {functions.size_at(*place, size) for place in moving}

        if all(len(sizes_at(n)) == 1 for n in TRIED if n < declared):
            continue
        repeated = [
            n
            for n in range(1, min(declared, TRIED[-1]))
            if 1 in (found := sizes_at(n)) and len(found - {None}) > 1
        ]
        if repeated:
            yield (*root, max(repeated) + 1)
