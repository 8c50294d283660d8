"""Input sizes that a block fixes: those that its steps compare with numbers of their own, or with a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

from specbuild.expressions import Expression, expression_of
from specbuild.ir.graph import Block, Node, Ref, Skip, runtime_sizes
from specbuild.ops.base import Op
from specbuild.ops.neighbourhood import Pad
from specbuild.ops.types import TensorType

MAX_STEPS = 1_000
AxisOfInput = tuple[str, str]  # an input of a block, and its axis


class KnownValues(Protocol):
    """The values of a block, also while it is elaborated."""

    @property
    def inputs(self) -> Mapping[str, TensorType]: ...

    @property
    def readable_sizes(self) -> frozenset[str]: ...

    def find_node(self, name: str) -> Node | None: ...

    def value_type(self, ref: Ref) -> TensorType: ...


def find_fixed_sizes(block: Block) -> dict[AxisOfInput, int]:
    """Return the input sizes that the steps of a block fix, beside those that their weights take from the input.

    A size that is read from an input when code runs fixes nothing.
    """
    names = runtime_sizes(block)
    fixing = {name for expression in structural_expressions(block) for name in expression.names}
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
        types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
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


def find_equal_sizes(block: Block) -> dict[AxisOfInput, AxisOfInput]:
    """Return the axes of inputs that need the size of an axis of an input before."""
    order = list(runtime_sizes(block).values())
    equal: dict[AxisOfInput, AxisOfInput] = {}
    for node in block.nodes if len(block.inputs) > 1 else ():
        refs = [ref for ref in node.inputs if ref is not None]
        types = [block.value_type(ref) for ref in refs]
        for axis in node.op.equal_axes(*types) if isinstance(node.op, Op) else ():
            traced = {trace_axis(block, ref, axis) for ref, x in zip(refs, types, strict=True) if axis in x}
            sources = [source for source in order if source in traced]
            equal |= dict.fromkeys(sources[1:], sources[0]) if sources else {}
    return equal


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


def trace_axis(block: KnownValues, ref: Ref, axis: str) -> AxisOfInput | None:
    """Return the input of a block whose axis has the positions of this axis of a value; None if there is none."""
    known: dict[tuple[Ref, str], AxisOfInput | None] = vars(block).setdefault("_axis_traces", {})
    passed: list[tuple[Ref, str]] = []
    found = None
    while (ref, axis) not in known and ref not in block.inputs:
        passed.append((ref, axis))
        node = block.find_node(ref)
        source = None if node is None else source_of_axis(block, node, axis)
        if source is None:
            break
        ref, axis = source
    else:
        found = known.get((ref, axis)) or ((ref, axis) if axis in block.inputs.get(ref, ()) else None)
    known |= dict.fromkeys(passed, found)  # a chain of steps is walked once
    return found


def follows_sizes(block: KnownValues, ref: Ref, axis: str) -> bool:
    """Return whether an axis can have another size than the spec's, though it is not that of an input.

    It is computed from sizes of inputs then, as after a strided convolution, or comes from a block.
    """
    for _ in range(MAX_STEPS):
        if ref in block.inputs:
            return False  # the input is checked
        node = block.find_node(ref)
        if node is None:
            return True  # one of several results of a step
        if not node.inputs or is_given_size(block, node, axis):
            return False
        source = source_of_axis(block, node, axis)
        if source is None:
            return True
        ref, axis = source
    return True


def is_given_size(block: KnownValues, node: Node, axis: str) -> bool:
    """Return whether a step gives an axis a size of its own, or pads it by what a size of an input needs."""
    if isinstance(node.op, Pad):
        amounts = node.op.axis_padding(node.type).get(axis, ())
        return any(reads_input_size(block, amount) for amount in amounts)
    is_given = isinstance(node.op, Op) and node.op.gives_size(axis) and axis in node.type
    return is_given and not reads_input_size(block, node.type[axis])


def reads_input_size(block: KnownValues, number: int) -> bool:
    """Return whether code computes a number from the size of an input or of a step when it runs."""
    expression = expression_of(number)
    return expression is not None and not block.readable_sizes.isdisjoint(expression.names)


def source_of_axis(block: KnownValues, node: Node, axis: str) -> tuple[Ref, str] | None:
    """Return the input of a step, and the axis of it, that has the positions of an axis of its result."""
    refs = [ref for ref in node.inputs if ref is not None]
    if isinstance(node.op, Skip):
        return refs[0], axis
    if not isinstance(node.op, Op) or node.parts or not refs:
        return None
    source = node.op.size_source(axis, *(block.value_type(ref) for ref in refs))
    if source is None or source.merged_axes or source.offset:
        return None
    return refs[source.input], source.axis or axis
