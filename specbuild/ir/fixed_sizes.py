"""Input sizes that a block fixes: those that its steps compare with numbers of their own, or with a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec.structs import replace

from specbuild.expressions import Expression, expression_of
from specbuild.ir.axis_sources import AxisOfInput, reads_input_size, trace_axis
from specbuild.ir.graph import Block, Node, runtime_sizes
from specbuild.ir.table_sources import follows_inputs
from specbuild.ops.base import Op
from specbuild.ops.types import TensorType


def find_fixed_sizes(block: Block) -> dict[AxisOfInput, int]:
    """Return the input sizes that the steps of a block fix, beside those that their weights take from the input.

    A size that is read from an input when code runs fixes nothing.
    """
    names = runtime_sizes(block)
    fixing = {name for expression in structural_expressions(block) for name in expression.names}
    fixing |= {*block.fixed_sizes}
    fixed = {source: size_of(block, *source) for name, source in names.items() if name in fixing}
    if block.fixes_step_sizes or not fixing.isdisjoint(block.step_sizes):
        fixed |= list_input_sizes(block)
    return fixed | trace_sizes(block, lambda op, types: op.fixed_sizes(*types))


def list_input_sizes(block: Block) -> dict[AxisOfInput, int]:
    """Return the sizes of the inputs of a block that code can read when it runs."""
    return {source: size_of(block, *source) for source in runtime_sizes(block).values()}


def find_divisors(block: Block) -> dict[AxisOfInput, int]:
    """Return the input sizes that must be multiples of a number, each with this number."""
    return trace_sizes(block, lambda op, types: op.divisors(*types))


def trace_sizes(
    block: Block, find_sizes: Callable[[Op, list[TensorType | None]], Iterable[tuple[int, str, int]]]
) -> dict[AxisOfInput, int]:
    """Return numbers that ops have for sizes of their inputs, by those inputs of the block that have these sizes."""
    names = runtime_sizes(block)
    found: dict[AxisOfInput, int] = {}
    for node in block.nodes:
        types = list_input_types(block, node) if isinstance(node.op, Op) else []
        for index, axis, size in find_sizes(node.op, types) if isinstance(node.op, Op) else ():
            ref, expression = node.inputs[index], expression_of(size)
            if ref is None or reads_input_size(block, size):
                continue
            traced = trace_axis(block, ref, axis)
            if traced is None or traced not in names.values():
                continue
            if traced not in found or expression is not None:
                found[traced] = size
    return found


def list_input_types(block: Block, node: Node) -> list[TensorType | None]:
    """Return the types of the inputs of a step. A table whose sizes follow inputs is like a value with a batch."""
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
    if all(x is None or x.batched for x in types) or not any(x is not None and x.batched for x in types):
        return types
    return [
        replace(x, batched=True) if x is not None and not x.batched and follows_inputs(block, ref) else x
        for x, ref in zip(types, node.inputs, strict=True)
    ]


def find_equal_sizes(block: Block) -> dict[AxisOfInput, AxisOfInput]:
    """Return the axes of inputs that need the size of an axis of an input before."""
    known: dict[AxisOfInput, AxisOfInput] | None = vars(block).get("_equal_sizes")
    if known is not None:
        return known
    order = {source: position for position, source in enumerate(runtime_sizes(block).values())}
    equal: dict[AxisOfInput, AxisOfInput] = {}
    for node in block.nodes if len(block.inputs) > 1 else ():
        for group in find_joint_axes(block, node):
            traced = {trace_axis(block, ref, axis) for index, axis in group if (ref := node.inputs[index])}
            sources = sorted((source for source in traced if source in order), key=order.__getitem__)
            equal |= dict.fromkeys(sources[1:], sources[0]) if sources else {}
    vars(block)["_equal_sizes"] = equal
    return equal


def find_joint_axes(block: Block, node: Node) -> Iterable[Sequence[tuple[int, str]]]:
    """Return the groups of axes of its inputs that need one size when a step runs."""
    if isinstance(node.op, Op):
        return node.op.joint_axes(*(None if ref is None else block.value_type(ref) for ref in node.inputs))
    if isinstance(node.op, Block):
        names, scan = list(node.op.inputs), node.scan
        along = [[(names.index(name), scan.over) for name in scan.sliced]] if scan is not None else []
        pairs = find_equal_sizes(node.op).items() if scan is None or not scan.has_state else ()
        return along + [[(names.index(name), axis) for name, axis in pair] for pair in pairs]
    return ()


def structural_expressions(block: Block) -> Iterator[Expression]:
    """Yield the expressions that code does not read when it runs.

    They say which steps a block has, in conditions and lengths of repeats, or which numbers its tables have.
    """
    conditions = [*(node.when for node in block.nodes), *(group.when for group in block.groups.values())]
    numbers: list[int | None] = [group.length for group in block.groups.values()]
    for node in block.nodes:
        numbers += node.op.unread_numbers() if isinstance(node.op, Op) else ()
    expressions = (*conditions, *map(expression_of, numbers))
    yield from (expression for expression in expressions if expression is not None)


def size_of(block: Block, source: str, axis: str) -> int:
    return block.inputs[source][axis]
