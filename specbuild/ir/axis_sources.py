"""Finds the input of a block that an axis of a value has its size from, whatever this size is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Protocol

from specbuild.expressions import (
    ExpressionError,
    concrete,
    evaluate_expression,
    expression_of,
    expression_text,
    symbolic,
)
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.base import Op, PositionSource
from specbuild.ops.neighbourhood import Pad
from specbuild.ops.types import ShapeError, TensorType

MAX_STEPS = 1_000
OTHER_VALUE = 8  # stands for a parameter in an expression
MARK = "size_that_is_followed"
AxisOfInput = tuple[str, str]  # an input of a block, and its axis


class KnownValues(Protocol):
    """The values of a block, also while it is elaborated."""

    @property
    def inputs(self) -> Mapping[str, TensorType]: ...

    @property
    def size_sources(self) -> Mapping[str, AxisOfInput]: ...

    def find_node(self, name: str) -> Node | None: ...

    def value_type(self, ref: Ref) -> TensorType: ...


def trace_axis(block: KnownValues, ref: Ref, axis: str) -> AxisOfInput | None:
    """Return the input of a block whose axis has the positions of this axis of a value; None if there is none."""
    known: dict[tuple[Ref, str], AxisOfInput | None] = vars(block).setdefault("_axis_traces", {})
    passed: list[tuple[Ref, str]] = []
    found = None
    while (ref, axis) not in known and ref not in block.inputs:
        passed.append((ref, axis))
        source = source_of_axis(block, ref, axis)
        if source is None:
            break
        ref, axis = source
    else:
        found = known.get((ref, axis)) or ((ref, axis) if axis in block.inputs.get(ref, ()) else None)
    known |= dict.fromkeys(passed, found)  # a chain of steps is walked once
    return found


def follows_sizes(block: KnownValues, ref: Ref, axis: str) -> bool:
    """Return whether an axis that is not that of an input can have another size than in the spec.

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
        source = source_of_axis(block, ref, axis)
        if source is None:
            return True
        ref, axis = source
    return True


def is_given_size(block: KnownValues, node: Node, axis: str) -> bool:
    """Return whether a step gives an axis a size of its own, or pads it up to one."""
    if isinstance(node.op, Pad):
        return pads_to_one_size(block, node, axis)
    is_given = isinstance(node.op, Op) and node.op.gives_size(axis) and axis in node.type
    return is_given and not reads_input_size(block, node.type[axis])


def find_padding(block: KnownValues, node: Node, axis: str) -> Callable[[int], int] | None:
    """Return what a step adds to an axis, as a function of the size; None if it is not computed from this size alone."""
    if not isinstance(node.op, Pad) or node.inputs[0] is None:
        return None
    amounts = node.op.axis_padding(node.type).get(axis, ())
    expressions = [found for amount in amounts if (found := expression_of(amount)) is not None]
    names = {name for found in expressions for name in found.names}
    own = (node.inputs[0], axis), trace_axis(block, node.inputs[0], axis)
    read = {block.size_sources[name] for name in names if name in block.size_sources}
    if not read or not read.issubset(own):
        return None
    plain = sum(concrete(amount) for amount in amounts if expression_of(amount) is None)

    def padding_of(size: int) -> int:
        values = {name: size if name in block.size_sources else OTHER_VALUE for name in names}
        return plain + sum(concrete(evaluate_expression(found, values)) for found in expressions)  # type: ignore[misc]

    return padding_of


def pads_to_one_size(block: KnownValues, node: Node, axis: str) -> bool:
    """Return whether padding grows by as much as the size shrinks: `length - x.T`, but not `-x.T % 8`."""
    padding_of = find_padding(block, node, axis)
    try:
        return padding_of is not None and all(
            padding_of(size) - padding_of(size + more) == more
            for size in (16, 5_000)
            for more in (1, 2, 3, 5)
        )
    except ExpressionError:  # it reads a list, or has no value at these sizes
        return False


def reads_input_size(block: KnownValues, number: float) -> bool:
    """Return whether code computes a number from the size of an input or of a step when it runs."""
    expression = expression_of(number)
    return expression is not None and not block.size_sources.keys().isdisjoint(expression.names)


def source_of_axis(block: KnownValues, ref: Ref, axis: str) -> tuple[Ref, str] | None:
    """Return the input of a step, and the axis of it, that has the positions of an axis of its result."""
    name, _, output = ref.partition("@")
    node = block.find_node(name)
    refs = [] if node is None else [ref for ref in node.inputs if ref is not None]
    if node is None or not refs:
        return None
    if isinstance(node.op, Skip):
        return refs[0], axis
    if isinstance(node.op, Block):
        return source_in_block(node, node.op, output, axis)
    source = find_source(block, node, node.op, output, axis)
    if source is None or source.merged_axes or source.offset:
        return None
    found = node.inputs[source.input]
    return None if found is None else (found, source.axis or axis)


def source_in_block(node: Node, inner: Block, output: str, axis: str) -> tuple[Ref, str] | None:
    """Return the input of a step that calls a block which has the positions of an axis of a result."""
    output = output or next(iter(inner.outputs))
    if node.scan is None or (not node.scan.has_state and axis != node.scan.over):
        traced = trace_axis(inner, inner.outputs[output].ref, axis)
    else:
        is_stacked = output not in node.scan.carried and axis == node.scan.over
        traced = (node.scan.sliced[0], axis) if is_stacked else None
    if traced is None:
        return None
    ref = node.inputs[list(inner.inputs).index(traced[0])]
    return None if ref is None else (ref, traced[1])


def find_source(block: KnownValues, node: Node, op: Op, output: str, axis: str) -> PositionSource | None:
    """Return the input of an op from which an axis of a result has its size."""
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]

    def infer_type(*inputs: TensorType | None) -> TensorType:
        if not node.parts:
            return op.infer_type(*inputs)
        parts = op.part_types(*inputs)
        return parts[output or next(iter(parts))]

    source = None if node.parts else op.size_source(axis, *types)
    if source is not None or any(reads_input_size(block, number) for number in list_attribute_values(op)):
        return source
    return find_equal_size(infer_type, axis, types)


def list_attribute_values(op: Op) -> Iterator[Any]:
    """Yield the numbers among the attributes of an op, also in lists and mappings."""
    values = [getattr(op, field.name) for field in fields(op)]  # type: ignore[arg-type]
    while values:
        value = values.pop()
        if isinstance(value, Mapping):
            values += value.values()
        elif isinstance(value, list | tuple):
            values += value
        else:
            yield value


def find_equal_size(
    infer_type: Callable[..., TensorType], axis: str, inputs: Sequence[TensorType | None]
) -> PositionSource | None:
    """Return the input whose size along an axis the result has along the axis of this name.

    The size of the input is marked, and the mark is looked for in the result. Where an op computes a size, as a
    convolution does, a few other sizes are tried.
    """
    for index, x in enumerate(inputs):
        if x is None or axis not in x or x[axis] == 1:
            continue

        def infer_size(size: int, index: int = index, x: TensorType = x) -> int:
            return infer_type(*inputs[:index], x.with_sizes({axis: size}), *inputs[index + 1 :])[axis]

        size = concrete(x[axis])
        found = infer_size(symbolic(size, MARK))
        if expression_text(found) == MARK:
            return PositionSource(index)
        try:
            if all(infer_size(size + more) == size + more for more in (0, 1, 2, 3)):
                return PositionSource(index)
        except ShapeError:  # the op does not take the other size
            continue
    return None
