"""A pass over the graph: remove the steps that no output needs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from specbuild.expressions import concrete, expression_of
from specbuild.ir.graph import Block, Node, Output, Ref, find_origin, node_output_type
from specbuild.ops.base import Op
from specbuild.ops.table_expression import TableExpression
from specbuild.ops.types import TensorType

GraphPass = Callable[[Block, "Pruner"], Block]


def prune_unused(model: Block, pruner: Pruner | None = None, shared: frozenset[str] = frozenset()) -> Block:
    """Return the model without the steps that none of its outputs needs.

    Inner block instances lose the outputs that nobody reads, and the steps that only those outputs need. With
    one `pruner`, several models keep sharing their block instances. Steps in `shared` stay.
    """
    return (pruner or Pruner()).prune_block(model, tuple(model.outputs), shared)


class _NeededNodes(Struct):
    """The nodes of one block that its outputs need."""

    nodes: list[Node] = field(default_factory=list)  # from last to first
    # The keys of the next two are nodes with weights of their own; a reuse counts for its original node.
    block_outputs: dict[str, set[str]] = field(default_factory=dict)  # the outputs of its block that are read
    first_reuse: dict[str, str] = field(default_factory=dict)  # the first needed node that reuses its weights
    # For a node that is a block: the paths of steps inside whose weights other nodes use.
    shared_inside: dict[str, set[str]] = field(default_factory=dict)
    # If an origin is not needed, its first reuse takes over its weights and its name: reuse -> origin.
    new_names: dict[str, str] = field(default_factory=dict)

    def rename(self, ref: Ref) -> Ref:
        return rename_reference(ref, self.new_names)


class Pruner:
    """Prunes block instances; the same instance with the same outputs stays one object."""

    def __init__(self) -> None:
        self.pruned_blocks: dict[tuple[Block, tuple[str, ...], frozenset[str]], Block] = {}

    def prune_block(
        self, block: Block, output_names: tuple[str, ...], shared: frozenset[str] = frozenset()
    ) -> Block:
        """Return a block with these outputs; steps at the paths in `shared` stay, for others use their weights."""
        key = (block, output_names, shared)
        if key not in self.pruned_blocks:
            outputs = {name: block.outputs[name] for name in output_names}
            needed = find_needed(block, outputs.values(), shared)
            nodes = tuple(self.prune_node(node, needed) for node in reversed(needed.nodes))
            outputs = {name: replace(o, ref=needed.rename(o.ref)) for name, o in outputs.items()}
            pruned = replace(block, nodes=nodes, outputs=outputs)
            self.pruned_blocks[key] = (
                drop_step_sizes(block, pruned, needed.rename) if block.step_sizes else pruned
            )
        return self.pruned_blocks[key]

    def prune_node(self, node: Node, needed: _NeededNodes) -> Node:
        if needed.new_names:
            inputs = tuple(ref and needed.rename(ref) for ref in node.inputs)
            reuses = None if node.name in needed.new_names else node.reuses
            node = replace(node, name=needed.rename(node.name), inputs=inputs, reuses=reuses)
        if isinstance(node.op, Block):
            origin = node.reuses or node.name
            used = needed.block_outputs[origin]
            output_names = tuple(name for name in node.op.outputs if name in used)
            shared = frozenset(needed.shared_inside.get(origin, ()))
            node = replace(node, op=self.prune_block(node.op, output_names, shared))
            node = replace(node, type=node_output_type(node, output_names[0]))
        return node


def find_needed(block: Block, outputs: Collection[Output], shared: Iterable[str] = ()) -> _NeededNodes:
    """Walk the nodes of a block backwards from its outputs, and from the steps that share their weights."""
    needed = _NeededNodes()
    readers: dict[str, set[Ref]] = {}  # node -> references to its values

    def keep_origin(path: str) -> None:
        way, _, origin = find_origin(block, path)
        name, *inner = (*way, origin.name)
        add_reference(name)
        if not inner and isinstance(origin.op, Block):  # all uses of a block keep the same outputs
            for output in origin.op.outputs:
                add_reference(f"{name}@{output}")
        if inner:
            needed.shared_inside.setdefault(name, set()).add(".".join(inner))

    def add_reference(ref: Ref) -> None:
        readers.setdefault(ref.partition("@")[0], set()).add(ref)

    for output in outputs:
        add_reference(output.ref)
    for path in shared:
        keep_origin(path)
    for node in reversed(block.nodes):
        refs = readers.get(node.name)
        if not refs:
            if node.name in needed.first_reuse:
                needed.new_names[needed.first_reuse[node.name]] = node.name
            continue
        needed.nodes.append(node)
        if isinstance(node.op, Block):
            main = next(iter(node.op.outputs))
            needed.block_outputs.setdefault(node.reuses or node.name, set()).update(
                ref.partition("@")[2] if "@" in ref else main for ref in refs
            )
            if node.scan is not None:
                needed.block_outputs[node.reuses or node.name].update(node.scan.carried)
        for input_ref in node.inputs:
            if input_ref is not None:
                add_reference(input_ref)
        if node.reuses and block.find_node(node.reuses) is None:
            keep_origin(node.reuses)
            if isinstance(node.op, Block):
                needed.block_outputs[node.reuses].update(node.op.outputs)
        elif node.reuses:
            needed.first_reuse[node.reuses] = node.name
    check_origins(block, outputs, needed)
    return needed


def check_origins(block: Block, outputs: Collection[Output], needed: _NeededNodes) -> None:
    """Raise SB211 if a step uses the weights of a step inside a block instance that no output needs."""
    reuses = [node for node in needed.nodes if node.reuses and block.find_node(node.reuses) is None]
    if not reuses:
        return
    computed = {output.ref.partition("@")[0] for output in outputs}
    for node in needed.nodes:  # each one before the nodes that it reads
        if node.name in computed:
            computed |= {ref.partition("@")[0] for ref in node.inputs if ref is not None}
    for node in reuses:
        way, _, origin = find_origin(block, node.reuses or "")
        if node.name in computed and way[0] not in computed:
            message = f"no output needs {way[0]!r}, so {'.'.join((*way, origin.name))!r} inside it is never computed"
            hint = f"let an output read {way[0]!r}, or write {origin.name!r} here as a step of its own, without `reuse`"
            raise node.at.error("SB211", message, hint)


def drop_step_sizes(original: Block, block: Block, rename: Callable[[Ref], Ref]) -> Block:
    """Return a pruned block that reads no size of a value which it has no longer: such a size is a number."""
    kept: set[Ref] = set()
    for node in block.nodes:
        outputs = node.op.outputs if isinstance(node.op, Block) else ("", *node.parts)
        kept |= {f"{node.name}@{name}" if name else node.name for name in outputs}
    sizes: dict[str, tuple[Ref, str]] = {}
    for variable, (ref, axis) in original.step_sizes.items():
        before = original.find_node(ref)
        if before is not None and isinstance(before.op, Block) and (main := next(iter(before.op.outputs))):
            ref = f"{ref}@{main}"  # another output can be the first one now
        sizes[variable] = rename(ref), axis
    left = {name: source for name, source in sizes.items() if source[0] in kept}
    dropped = sizes.keys() - left.keys()
    if not dropped:
        return replace(block, step_sizes=left)
    read = [node.op.__dict__ if isinstance(node.op, Op) else node.args for node in block.nodes]
    nodes = tuple(fix_node_sizes(node, dropped) for node in block.nodes)
    outputs = {name: replace(o, type=fix_sizes(o.type, dropped)) for name, o in block.outputs.items()}
    read_later = {*list_symbols(read), *original.fixed_sizes}
    is_fixed = original.fixes_step_sizes or not dropped.isdisjoint(read_later)
    return replace(block, nodes=nodes, outputs=outputs, step_sizes=left, fixes_step_sizes=is_fixed)


def list_symbols(value: Any) -> Iterator[str]:
    """Yield the names in the expressions of the numbers in a value."""
    if isinstance(value, TableExpression):
        value = value.constants
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from list_symbols(item)
    elif (expression := expression_of(value)) is not None:
        yield from expression.names


def fix_sizes(value: Any, names: Set[str]) -> Any:
    """Return an attribute, a type or a mapping with plain numbers where an expression has one of these names."""
    if isinstance(value, TensorType):
        return replace(value, sizes=fix_sizes(value.sizes, names))
    if isinstance(value, TableExpression):
        return TableExpression(value.text, fix_sizes(value.constants, names), value.name_errors)
    if isinstance(value, Mapping):
        return {key: fix_sizes(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(fix_sizes(item, names) for item in value)
    expression = expression_of(value)
    return concrete(value) if expression is not None and not names.isdisjoint(expression.names) else value


def fix_node_sizes(node: Node, names: Set[str]) -> Node:
    """Return a node without the sizes of steps that are not there."""
    op = type(node.op)(**fix_sizes(node.op.__dict__, names)) if isinstance(node.op, Op) else node.op
    parts = fix_sizes(node.parts, names)
    return replace(
        node, op=op, args=fix_sizes(node.args, names), type=fix_sizes(node.type, names), parts=parts
    )


def rename_reference(ref: Ref, new_names: Mapping[str, str]) -> Ref:
    """Return a reference with the new name of its node."""
    name, at, output = ref.partition("@")
    return new_names.get(name, name) + at + output


PASSES: tuple[GraphPass, ...] = (prune_unused,)
