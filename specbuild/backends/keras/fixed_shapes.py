"""Inputs of a model whose sizes must be numbers: it computes with them, or a layer inside is made for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from specbuild.backends.keras.symbolic_shapes import fix_symbolic_steps
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, literal_expression
from specbuild.codegen.input_sizes import table_reads_names
from specbuild.codegen.lowered_steps import graph_reference
from specbuild.codegen.tree import (
    Attribute,
    Call,
    If,
    Index,
    Infix,
    Literal,
    Name,
    Raise,
    Statement,
    TupleOf,
    ValuePlaceholder,
)
from specbuild.codegen.tree_walk import walk_expression
from specbuild.diagnostics.suggestions import join_names
from specbuild.ir.axis_sources import AxisOfInput, is_given_size, source_of_axis, trace_axis
from specbuild.ir.fixed_sizes import list_input_sizes
from specbuild.ir.graph import Block, Node, Ref, runtime_sizes
from specbuild.ops.shape import Flatten
from specbuild.ops.types import CHANNEL


def refuse_open_shapes(class_spec: ClassSpec) -> list[Statement]:
    """Return statements that refuse None among the sizes of an input which the model needs as numbers.

    Without them, Keras tells only which layer inside it cannot build, or that it cannot multiply None.
    """
    checked = {check.source for check in class_spec.size_checks if check.is_fixed}
    needed = (find_fixed_inputs(class_spec) | find_read_inputs(class_spec)) - class_spec.block.free_axes
    statements: list[Statement] = []
    for word, name in class_spec.input_names.items():
        order = class_spec.first_instance.inputs[word].layout.order
        axes = [axis for axis in order if (word, axis) in needed]
        if not axes or word in checked:
            continue
        shape = f"{name}_shape"
        if any((word, axis) in class_spec.block.free_axes for axis in order):
            sizes = [Index(Name(shape), (Literal(order.index(axis)),)) for axis in axes]
            test = Infix("in", literal_expression(None), TupleOf(tuple(sizes)))
            if len(sizes) == 1:
                test = Infix("is", sizes[0], literal_expression(None))
            error = f"{join_names(axes)} of {shape} must be {'a number' if len(axes) == 1 else 'numbers'}"
        else:
            test = Infix("in", literal_expression(None), Name(shape))
            error = f"{shape} must have no None: this network needs its sizes as numbers"
        statements.append(If(test, (Raise(Call(Name("ValueError"), (Literal(error),))),)))
    return statements


def find_fixed_inputs(class_spec: ClassSpec) -> set[AxisOfInput]:
    """Return the axes of the inputs of a class that have one size, given by itself or by a class inside."""
    found = {(check.source, check.axis) for check in class_spec.size_checks if check.is_fixed}
    return found | trace_to_inputs(class_spec.block, list_fixed_values(class_spec))


def trace_to_inputs(block: Block, values: Iterable[AxisOfInput]) -> set[AxisOfInput]:
    """Return the axes of inputs, but for channels, that axes of these values may have their sizes from."""
    found = find_sources(block, [(ref, axis) for ref, axis in values if axis != CHANNEL])
    return {(source, axis) for source, axis in found if axis != CHANNEL}


def find_sources(block: Block, values: Iterable[AxisOfInput]) -> set[AxisOfInput]:
    """Return the axes of inputs that axes of these values may have their sizes from; none if steps give them."""
    found, behind = set[AxisOfInput](), set[Ref]()
    for ref, axis in dict.fromkeys(values):
        found |= find_sources_of_value(block, ref, axis, behind)
    inputs = list_inputs_behind(block, behind)
    return found | {source for source in list_input_sizes(block) if source[0] in inputs}


def find_sources_of_value(block: Block, ref: Ref, axis: str, behind: set[Ref]) -> set[AxisOfInput]:
    """Return the axes of inputs for an axis of one value.

    Where any input before a value can give the size, this value is added to `behind`.
    """
    traced = trace_axis(block, ref, axis)
    if traced is not None:
        return {traced}
    while ref not in block.inputs and (node := block.find_node(ref.partition("@")[0])) is not None:
        if isinstance(node.op, Flatten) and axis == node.op.into and node.inputs[0] is not None:
            return trace_to_inputs(block, [(node.inputs[0], part) for part in node.op.axes])
        if isinstance(node.op, Block) and node.scan is None:
            return find_sources_of_result(block, node, node.op, ref.partition("@")[2], axis)
        if not node.inputs or is_given_size(block, node, axis):
            return set()
        source = source_of_axis(block, ref, axis)
        if source is None:
            break
        ref, axis = source
    behind.add(ref)
    return set()


def find_sources_of_result(
    block: Block, node: Node, inner: Block, output: str, axis: str
) -> set[AxisOfInput]:
    """Return the axes of inputs that an axis of a result of a block inside may have its size from."""
    result = inner.outputs[output or next(iter(inner.outputs))].ref
    given = dict(zip(inner.inputs, node.inputs, strict=True))
    values = [(given[source], of) for source, of in find_sources(inner, [(result, axis)])]
    return trace_to_inputs(block, [(ref, of) for ref, of in values if ref is not None])


def list_inputs_behind(block: Block, refs: Collection[Ref]) -> set[str]:
    """Return the inputs of a block that some of these values are computed from."""
    waiting, seen = list(refs), set(refs)
    while waiting:
        node = block.find_node(waiting.pop().partition("@")[0])
        new = {other for other in (node.inputs if node else ()) if other is not None} - seen
        waiting += new
        seen |= new
    return seen & block.inputs.keys()


def list_fixed_values(class_spec: ClassSpec) -> Iterator[AxisOfInput]:
    """Yield the values that classes inside get and are made for, each with the axis."""
    for node in class_spec.block.nodes:
        inner = class_spec.inner_classes.get(node.name)
        for source, axis in find_fixed_inputs(inner) if inner is not None else ():
            ref = node.inputs[list(inner.block.inputs).index(source)] if inner is not None else None
            if ref is not None:
                yield ref, axis


def find_read_inputs(class_spec: ClassSpec) -> set[AxisOfInput]:
    """Return the axes of the inputs of a model whose sizes its own code reads, in steps or for tables."""
    block, steps = class_spec.block, fix_symbolic_steps(class_spec).steps
    layouts = {key: x.layout for key, x in class_spec.first_instance.inputs.items()}
    layouts |= {step.key: step.layout for step in steps}
    names = runtime_sizes(block)
    read = {
        names[name]
        for step in steps
        if isinstance(step.member, ComputedTable)
        for name in names
        if table_reads_names(step.member, {name})
    }
    for part in (part for step in steps for part in walk_expression(step.call)):
        match part:
            case ValuePlaceholder(number) if (key := class_spec.keys_by_number[number]) in class_spec.sizes:
                size = class_spec.sizes[key]
                read.add((size.source, layouts[size.source].order[size.dim - 1]))
            case Index(Attribute(ValuePlaceholder(number), "shape"), (Literal(int() as dim),)) if dim > 0:
                key = class_spec.keys_by_number[number]
                if key in layouts:
                    read.add((graph_reference(key), layouts[key].order[dim - 1]))
    return trace_to_inputs(block, read)
