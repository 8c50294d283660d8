"""The elaborated model: a graph of block instances in which every value has a type."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.expressions import Expression, translate_expression
from specbuild.frontend.edits import AppliedEdits
from specbuild.frontend.source import SourceAddress
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, TensorType

# A reference to a value inside one block: the name of a node or of a block input, or "node@output" for any
# other output of a block instance than its first, and for one of several results of an op.
Ref = str


@dataclass(frozen=True)
class BlockArgument:
    """The value of a parameter of type `block`: a block or op with its arguments."""

    kind: str  # "none" passes the input through
    arguments: Mapping[str, Any]  # raw YAML
    at: SourceAddress
    env: Mapping[str, Any]  # the values of names in the arguments

    def cache_key(self) -> Any:
        """Return a key that is equal for equivalent arguments."""
        env = tuple(
            (name, value.cache_key() if isinstance(value, BlockArgument) else repr(value))
            for name, value in self.env.items()
        )
        return (self.kind, id(self.at.source), repr(self.arguments), env)

    def __str__(self) -> str:
        return self.kind


@dataclass(frozen=True)
class Skip:
    """The operation of a step whose `when` is false: it passes its input through."""


@dataclass(frozen=True)
class Node:
    """One step: an operation with its inputs and the type of its result.

    `name` is the path inside the block: `conv1`, or `layer1.0` for a member of a repeat or a group.
    `args` are the arguments of a block instance, as expressions over the outer block's names.
    """

    name: str
    op: Op | Block | Skip
    inputs: tuple[Ref | None, ...]
    type: TensorType
    at: SourceAddress
    has_own_name: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)
    reuses: str | None = None  # the node whose weights it shares
    when: Expression | None = None  # its condition as an expression
    doc: str = ""
    parts: Mapping[str, TensorType] = field(default_factory=dict)  # the results of an op with several results


@dataclass(frozen=True)
class Group:
    """Nodes under one name: a repeat or a `do`."""

    name: str
    at: SourceAddress
    length: int | None = None  # the number of repetitions
    doc: str = ""
    when: Expression | None = None  # its condition as an expression


@dataclass(frozen=True)
class Output:
    """One output of a block, as a reference to a value inside the block."""

    ref: Ref
    type: TensorType


@dataclass(frozen=True, eq=False)
class Block:
    """One instance of a block; equal instances are one object. Sizes are expressions over its parameters."""

    kind: str  # the name of the block
    doc: str
    params: Mapping[str, Any]  # the value of each parameter
    defaults: Mapping[str, Any]  # for the parameters that have one
    inputs: Mapping[str, TensorType]
    nodes: tuple[Node, ...]
    groups: Mapping[str, Group]
    outputs: Mapping[
        str, Output
    ]  # "" if there is one unnamed output; else by name, or by path for a value inside the block
    at: SourceAddress
    step_count: int = 0  # nodes, including those of inner blocks
    docs: Mapping[str, str] = field(default_factory=dict)  # of the parameters
    unstable_params: frozenset[str] = frozenset()  # parameters whose other values would need other code
    frozen_paths: tuple[str, ...] = ()  # paths of nodes and groups that are not trained
    applied_edits: AppliedEdits = ()  # each with the path of a step that it changed
    # For an alias, a model whose only step is another model: the name of that step.
    alias_label: str = ""

    @property
    def type(self) -> TensorType:
        return next(iter(self.outputs.values())).type

    def find_node(self, name: str) -> Node | None:
        return self.nodes_by_name.get(name)

    @property
    def nodes_by_name(self) -> dict[str, Node]:
        nodes: dict[str, Node] | None = self.__dict__.get("_nodes")
        if nodes is None:
            nodes = {node.name: node for node in self.nodes}
            object.__setattr__(self, "_nodes", nodes)
        return nodes

    def value_type(self, ref: Ref) -> TensorType:
        """Return the type of a value in this block; its sizes are expressions over this block's names."""
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes_by_name[name]
        return node_output_type(node, output) if output else node.type

    def with_outputs(self, outputs: Mapping[str, Output]) -> Block:
        return replace(self, outputs=outputs)


SIZE_NAMES = {"D": "depth", "H": "height", "W": "width", "T": "length"}


def size_names(inputs: Mapping[str, TensorType], params: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return the variables that hold input sizes in the code of a block, each with its input and axis."""
    names = {}
    for name, x in inputs.items():
        for axis in sorted(x.axes, key=lambda axis: axis != CHANNEL):
            variable = SIZE_NAMES.get(axis, axis)
            if axis == CHANNEL:
                variable = "in_channels" if len(inputs) == 1 else f"{name}_channels"
            elif len(inputs) > 1:
                variable = f"{name}_{variable}"
            if axis == CHANNEL or variable not in (*params, *inputs):
                names[variable] = (name, axis)
    return names


def size_arguments(inputs: Mapping[str, TensorType], params: Iterable[str]) -> dict[str, int]:
    """Return the values of the variables of `size_names`, for the inputs of one use of a block."""
    return {variable: inputs[name][axis] for variable, (name, axis) in size_names(inputs, params).items()}


def node_output_type(node: Node, output: str) -> TensorType:
    """Return the type of one output of a node; its sizes are expressions over the outer block's names."""
    if not isinstance(node.op, Block):
        return node.parts[output]
    return outer_type(node.op.outputs[output].type, node.args)


def outer_type(x: TensorType, args: Mapping[str, Any]) -> TensorType:
    """Rewrite the sizes of a type inside a block instance as expressions over the outer block's names."""
    sizes = {axis: translate_expression(size, args) for axis, size in x.sizes.items()}
    return TensorType(sizes, x.dtype, x.batched)


def distinct_blocks(model: Block) -> list[Block]:
    """Return each block instance once, inner blocks before the blocks that contain them."""
    blocks_by_id: dict[int, Block] = {}

    def visit(block: Block) -> None:
        for node in block.nodes:
            if isinstance(node.op, Block) and id(node.op) not in blocks_by_id:
                visit(node.op)
        blocks_by_id[id(block)] = block

    visit(model)
    return list(blocks_by_id.values())


def walk_ops(model: Block, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Node, Block]]:
    """Yield every op of the model with its full path and its block; blocks that are reused appear once."""
    for node in model.nodes:
        here = (*path, node.name)
        if isinstance(node.op, Block):
            if node.reuses is None:
                yield from walk_ops(node.op, here)
        else:
            yield ".".join(here), node, model
