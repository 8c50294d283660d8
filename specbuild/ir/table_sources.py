"""Where the sizes of a value without a batch come from: numbers of its own, or inputs of the block."""

from __future__ import annotations

from specbuild.ir.axis_sources import MAX_STEPS, reads_input_size
from specbuild.ir.graph import Block, Ref


def follows_inputs(block: Block, ref: Ref | None) -> bool:
    """Return whether the sizes of a table follow those of the block's inputs: it is an input, or computed from inputs."""
    reads_sizes, inputs = find_table_sources(block, ref)
    return reads_sizes or bool(inputs)


def find_table_sources(block: Block, ref: Ref | None) -> tuple[bool, set[str]]:
    """Return whether sizes of inputs decide those of a table, and the inputs that it is computed from."""
    todo, seen, inputs = [ref], set[Ref](), set[str]()
    while todo and len(seen) < MAX_STEPS:
        ref = todo.pop()
        if ref is None or ref in seen:
            continue
        seen.add(ref)
        name, _, output = ref.partition("@")
        node = block.find_node(name)
        if ref in block.inputs:
            inputs.add(ref)
        elif node is not None and isinstance(node.op, Block):
            inner = node.op
            result = inner.outputs[output or next(iter(inner.outputs))].ref
            reads_sizes, reached = find_table_sources(inner, result)
            if reads_sizes:
                return True, inputs
            todo += (
                source for word, source in zip(inner.inputs, node.inputs, strict=True) if word in reached
            )
        elif node is not None:
            if any(reads_input_size(block, size) for size in node.type.sizes.values()):
                return True, inputs
            todo += node.inputs
    return False, inputs
