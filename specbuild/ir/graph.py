"""The elaborated model: concrete block instances, every value typed when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from specbuild.expressions import translate_expression
from specbuild.frontend.edits import AppliedEdits
from specbuild.frontend.source import SourceAddress
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, TensorType

# A reference to a value inside one block: a node's name, a block input's name, or
# "node@output" for an output of a block instance other than its first, or for a part of an op's result.
Ref = str


@dataclass(frozen=True)
class BlockArgument:
    """The value of a parameter that is a block: which one, its arguments, and what the names in them stand for."""

    kind: str  # "none" passes the input through
    arguments: Mapping[str, Any]  # raw YAML
    at: SourceAddress
    scope: Mapping[str, Any]

    def cache_key(self) -> Any:
        """Equal for two that mean the same."""
        scope = tuple(
            (name, value.cache_key() if isinstance(value, BlockArgument) else repr(value))
            for name, value in self.scope.items()
        )
        return (self.kind, id(self.at.source), repr(self.arguments), scope)

    def __str__(self) -> str:
        return self.kind


@dataclass(frozen=True)
class Skip:
    """What stands where a `when` did not hold: the input, unchanged."""


@dataclass(frozen=True)
class Node:
    """One value and what computes it.

    `name` is the path inside its block: `conv1`, or `layer1.0` for a member of a repeat or a group.
    `args` are the arguments of a block instance in the words of the block that holds the node.
    """

    name: str
    op: Op | Block | Skip
    inputs: tuple[Ref | None, ...]
    type: TensorType
    at: SourceAddress
    has_own_name: bool = False
    args: Mapping[str, Any] = field(default_factory=dict)
    reuses: str | None = None
    when: str | None = None
    doc: str = ""
    parts: Mapping[str, TensorType] = field(default_factory=dict)  # the values of an op that gives several


@dataclass(frozen=True)
class Group:
    """Nodes under one name: a repeat, or a `do`. `length` is how often it repeats, `when` its condition, if there is one."""

    name: str
    at: SourceAddress
    length: int | None = None
    doc: str = ""
    when: str | None = None


@dataclass(frozen=True)
class Output:
    """One output of a block: the value inside that it is."""

    ref: Ref
    type: TensorType


@dataclass(frozen=True, eq=False)
class Block:
    """One instance of a block, in its own words; instances that are alike are one object."""

    kind: str
    doc: str
    params: Mapping[str, Any]  # value of each parameter
    defaults: Mapping[str, Any]  # of those parameters that need not be given
    inputs: Mapping[str, TensorType]
    nodes: tuple[Node, ...]
    groups: Mapping[str, Group]
    outputs: Mapping[str, Output]  # "" is the main one; others by name or tapped path
    at: SourceAddress
    step_count: int = 0  # nodes in it, those of inner blocks included
    docs: Mapping[str, str] = field(default_factory=dict)  # of the parameters
    unstable_params: frozenset[str] = frozenset()  # parameters that its constructor cannot keep
    frozen_paths: tuple[str, ...] = ()  # paths of nodes and groups that are not trained
    applied_edits: AppliedEdits = ()  # edits in it, each with the path of a step that it was about
    alias_label: str = (
        ""  # of a model that is only another one under its own name: what its file calls that one
    )

    @property
    def type(self) -> TensorType:
        return next(iter(self.outputs.values())).type

    def find_node(self, name: str) -> Node | None:
        return self.nodes_by_name.get(name)

    @property
    def nodes_by_name(self) -> dict[str, Node]:
        found = self.__dict__.get("_nodes")
        if found is None:
            found = {node.name: node for node in self.nodes}
            object.__setattr__(self, "_nodes", found)
        return found

    def value_type(self, ref: Ref) -> TensorType:
        """The type of a value that a reference names, in this block's words."""
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes_by_name[name]
        return node_output_type(node, output) if output else node.type

    def with_outputs(self, outputs: Mapping[str, Output]) -> Block:
        return replace(self, outputs=outputs)


SIZE_NAMES = {"D": "depth", "H": "height", "W": "width", "T": "length"}


def size_names(inputs: Mapping[str, TensorType], params: Iterable[str]) -> dict[str, tuple[str, str]]:
    """The words by which a block's code speaks of the sizes of its inputs: of which input, and of which axis."""
    found = {}
    for name, x in inputs.items():
        for axis in sorted(x.axes, key=lambda axis: axis != CHANNEL):
            word = SIZE_NAMES.get(axis, axis)
            if axis == CHANNEL:
                word = "in_channels" if len(inputs) == 1 else f"{name}_channels"
            elif len(inputs) > 1:
                word = f"{name}_{word}"
            if axis == CHANNEL or word not in (*params, *inputs):
                found[word] = (name, axis)
    return found


def size_arguments(inputs: Mapping[str, TensorType], params: Iterable[str]) -> dict[str, int]:
    """What those words mean where a block is used."""
    return {word: inputs[name][axis] for word, (name, axis) in size_names(inputs, params).items()}


def node_output_type(node: Node, output: str) -> TensorType:
    """The type of one output of a block instance, in the words of the block around it, or of one part of an op's."""
    if not isinstance(node.op, Block):
        return node.parts[output]
    inner = node.op.outputs[output].type
    return TensorType(
        {a: translate_expression(n, node.args) for a, n in inner.sizes.items()}, inner.dtype, inner.batched
    )


def distinct_blocks(model: Block) -> list[Block]:
    """Every different block instance, those inside before those around them."""
    seen: dict[int, Block] = {}

    def visit(block: Block) -> None:
        for node in block.nodes:
            if isinstance(node.op, Block) and id(node.op) not in seen:
                visit(node.op)
        seen[id(block)] = block

    visit(model)
    return list(seen.values())


def walk_ops(model: Block, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Node, Block]]:
    """Every op of the model with its full path and the block that holds it; a reuse is not repeated."""
    for node in model.nodes:
        here = (*path, node.name)
        if isinstance(node.op, Block):
            if node.reuses is None:
                yield from walk_ops(node.op, here)
        else:
            yield ".".join(here), node, model
