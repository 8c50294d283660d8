"""The elaborated model: a graph of block instances in which every value has a type."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, count
from typing import Any, Protocol

from msgspec import Struct, field
from msgspec.structs import force_setattr, replace

from specbuild.expressions import Expression, translate_expression
from specbuild.frontend.edits import AppliedEdits
from specbuild.frontend.source import SourceAddress
from specbuild.ir.path_index import PathIndex, path_prefixes
from specbuild.ops.base import Op
from specbuild.ops.types import CHANNEL, TensorType

# A reference to a value inside one block: the name of a node or of a block input, or "node@output" for any
# other output of a block instance than its first, and for one of several results of an op.
Ref = str


class BlockArgument(Struct, frozen=True, dict=True):
    """The value of a parameter of type `block`: a block or op with its arguments."""

    name: str  # "none" passes the input through
    arguments: Mapping[str, Any]  # raw YAML
    at: SourceAddress
    env: Mapping[str, Any]  # the values of names in the arguments

    @cached_property
    def cache_key(self) -> str:
        """A key that is equal for equivalent arguments; a digest, since arguments can hold each other many times."""
        env = [
            (name, value.cache_key if isinstance(value, BlockArgument) else repr(value))
            for name, value in self.env.items()
        ]
        key = repr((self.name, self.at.source.number, self.arguments, env))
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()

    def __str__(self) -> str:
        return self.name


class Skip(Struct, frozen=True):
    """The operation of a step whose `when` is false: it passes its input through."""


class Scan(Struct, frozen=True):
    """How a block is applied to one position of the axis `over` after another.

    Outputs named like an input in `carried` become this input at the next position. Inputs in `sliced` are
    read position by position. All other outputs are stacked along the axis. Without a state, the block gets
    all positions at once, as samples of the batch.
    """

    over: str
    size: int  # of the axis
    sliced: tuple[str, ...]
    carried: tuple[str, ...]
    reverse: bool = False  # whether it begins at the last position

    @property
    def has_state(self) -> bool:
        return bool(self.carried)

    def output_type(self, output: str, x: TensorType) -> TensorType:
        """Return the type of an output from that which the block gives at each position."""
        if output in self.carried:
            return x
        return TensorType({self.over: self.size, **x.sizes}, x.dtype, True)


class Node(Struct, frozen=True):
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
    scan: Scan | None = None  # for a block that is applied to one position after another
    row: int | str | None = None  # of a picture: its number, or `new`
    index: int | None = None  # what `i` is here: the number of the member of the innermost repeat


class Group(Struct, frozen=True):
    """Nodes under one name: a repeat or a `do`."""

    name: str
    at: SourceAddress
    length: int | None = None  # the number of repetitions
    doc: str = ""
    when: Expression | None = None  # its condition as an expression
    inputs: Mapping[str, Ref] = field(default_factory=dict)  # the values that it was given, by name
    value: Ref | None = None  # its result; None if it has none
    outputs: Mapping[str, Ref] = field(default_factory=dict)  # for a repeat of a step with several: by name
    inputs_by_name: tuple[Ref, ...] = ()  # inputs that steps inside also read by a name from outside
    # for a `repeat` or `foreach`: the names of its members; None for a `do`
    members: tuple[str, ...] | None = None


def collected_path(group: str) -> str:
    """Return the path of the step that joins the values of all members of a group."""
    return f"{group}_collected"


class ParallelSteps(Struct, frozen=True):
    """The steps of a `parallel`: the paths of its branches, and the value that all of them get."""

    branches: tuple[str, ...]
    input: Ref | None
    inputs_by_name: tuple[Ref, ...]  # as in `Group`
    is_merged: bool


class Output(Struct, frozen=True):
    """One output of a block, as a reference to a value inside the block."""

    ref: Ref
    type: TensorType
    order: tuple[str, ...] = ()  # its axes in the order that the author asks for; (): the framework's own

    def __str__(self) -> str:
        return self.describe(None)

    def describe(self, model: Block | None) -> str:
        """Return the type and the order of axes; a star marks each size that can be any in the model."""
        free = model.free_sizes.axes_of(model, self.ref) if model is not None and model.free_sizes else ()
        text = self.type.describe(free)
        return f"{text} in the order {', '.join(self.order)}" if self.order else text


class FreeSizes(Struct, frozen=True, dict=True):
    """The values of each block of a model, and their axes, whose sizes follow from inputs that can have any."""

    of_model: frozenset[tuple[Ref, str]] = frozenset()
    by_block: Mapping[Block, frozenset[tuple[Ref, str]]] = field(default_factory=dict)  # of the blocks inside

    def of_block(self, block: Block) -> frozenset[tuple[Ref, str]]:
        return self.by_block.get(block, frozenset()) if block.rebuild is not None else self.of_model

    def axes_of(self, block: Block, ref: Ref) -> tuple[str, ...]:
        """Return the axes of one value of a block."""
        found = self.of_block(block)
        if found not in self.grouped_axes:
            axes = self.grouped_axes[found] = dict[Ref, tuple[str, ...]]()
            for name, axis in found:
                axes[name] = (*axes.get(name, ()), axis)
        return self.grouped_axes[found].get(ref, ())

    @cached_property
    def grouped_axes(self) -> dict[frozenset[tuple[Ref, str]], dict[Ref, tuple[str, ...]]]:
        """The axes by value, for `axes_of`."""
        return {}


class Block(Struct, frozen=True, eq=False, dict=True):
    """One instance of a block; sizes are expressions over its parameters.

    Equal instances are one object, so that blocks are compared as objects, and can be keys.
    """

    name: str  # the name of the block
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
    variations: VariationSource | None = None  # of a model and the blocks in it
    frozen_paths: tuple[str, ...] = ()  # paths of nodes and groups that are not trained
    applied_edits: AppliedEdits = ()  # each with the path of a step that it changed
    # For an alias, a model whose only step is another model: the name of that step.
    alias_label: str = ""
    alias_at: tuple[SourceAddress, ...] = ()  # the aliases themselves, outermost first
    declared_outputs: tuple[str, ...] = ()  # the names of its outputs, without values inside that are read
    parallels: Mapping[str, ParallelSteps] = field(default_factory=dict)  # by path, for a `reuse`
    declared_inputs: Mapping[str, Any] = field(default_factory=dict)  # as its definition has them
    pending_edits: Mapping[str, Any] = field(default_factory=dict)  # path of a step -> edits for its inside
    # What a transformation has made of it for the step that calls it; "" if only its definition and arguments count.
    form: str = ""
    # whether sizes of its steps, which may follow from those of its inputs, have become numbers
    fixes_step_sizes: bool = False
    # Variables of sizes that code could read when it runs, but of which it has a number or a truth value that follows
    # from them as it is: with the place of the expression.
    fixed_sizes: Mapping[str, SourceAddress] = field(default_factory=dict)
    # The names that its definition gives to numbers under `let`, and these numbers.
    let_numbers: Mapping[str, float] = field(default_factory=dict)
    # Variables for sizes that expressions read from its steps: each with the value and its axis.
    step_sizes: Mapping[str, tuple[Ref, str]] = field(default_factory=dict)
    free_sizes: FreeSizes | None = None  # of a model with sizes that can be any
    # Builds the block again: with other values of parameters, and of the variables of `size_names`.
    # Raises SpecError. None for the model itself.
    rebuild: Callable[[Mapping[str, Any], Mapping[str, int]], Block] | None = None

    @property
    def type(self) -> TensorType:
        return next(iter(self.outputs.values())).type

    def find_node(self, name: str) -> Node | None:
        return self.nodes_by_name.get(name)

    @cached_property
    def size_sources(self) -> Mapping[str, tuple[Ref, str]]:
        """The variables for all sizes that code can read when it runs: of inputs, and of steps."""
        return {**runtime_sizes(self), **self.step_sizes}

    @cached_property
    def readable_sizes(self) -> frozenset[str]:
        return frozenset(self.size_sources)

    @cached_property
    def frozen_roots(self) -> frozenset[str]:
        return frozenset(self.frozen_paths)

    def is_frozen(self, name: str) -> bool:
        """Return whether an edit freezes a step, or a group that contains it."""
        return bool(self.frozen_roots) and not self.frozen_roots.isdisjoint(path_prefixes(name))

    @cached_property
    def paths(self) -> PathIndex:
        """The names of its nodes and groups, by the paths that lead to them."""
        return PathIndex(self.nodes_by_name, self.groups)

    @property
    def free_axes(self) -> frozenset[tuple[Ref, str]]:
        """The values of a model, and their axes, whose sizes follow from inputs that can have any."""
        return self.free_sizes.of_model if self.free_sizes else frozenset()

    @property
    def nodes_by_name(self) -> dict[str, Node]:
        nodes: dict[str, Node] | None = self.__dict__.get("_nodes")
        if nodes is None:
            nodes = {node.name: node for node in self.nodes}
            force_setattr(self, "_nodes", nodes)
        return nodes

    def value_type(self, ref: Ref) -> TensorType:
        """Return the type of a value in this block; its sizes are expressions over this block's names."""
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes_by_name[name]
        return node_output_type(node, output) if output else node.type

    def with_outputs(self, outputs: Mapping[str, Output]) -> Block:
        block = replace(self, outputs=outputs)
        force_setattr(block, "_nodes", self.nodes_by_name)  # the same nodes
        return block


def find_origin(block: Block, path: str) -> tuple[tuple[str, ...], Block, Node]:
    """Return the node at a path that may lead into inner blocks.

    Before it, the names of the nodes on the way and the block instance that contains it.
    """
    if (node := block.find_node(path)) is not None:
        return (), block, node
    parts = path.split(".")
    for cut in range(1, len(parts)):  # one at most is the name of a step
        holder = block.find_node(".".join(parts[:cut]))
        if holder is not None and isinstance(holder.op, Block):
            way, inner, node = find_origin(holder.op, ".".join(parts[cut:]))
            return (holder.name, *way), inner, node
    raise KeyError(path)


def input_arguments(inputs: Iterable[str]) -> dict[str, tuple[str, ...] | None]:
    """Return the arguments that a block is called with; for a list, its values: `maps.0`, `maps.1`."""
    arguments: dict[str, tuple[str, ...] | None] = {}
    for name in inputs:
        head, _, number = name.partition(".")
        arguments[head] = (*(arguments.get(head) or ()), name) if number else None
    return arguments


class Variation(Struct, frozen=True, eq=False):
    """A block instance of a model, built again with other values. Code generation learns from it what they change.

    `changed` has the new values of parameters and of the variables of `size_names`.
    """

    changed: Mapping[str, Any]
    block: Block | None  # None: the spec refuses them, or they are not tried
    takes_too_long: bool = False  # to try them


class VariationSource(Protocol):
    """Builds variations of blocks: of all these names together, and of one at a time."""

    def vary_jointly(self, base: Block, names: Collection[str]) -> Iterator[Variation]: ...

    def vary_singly(self, base: Block, names: Collection[str]) -> Iterator[Variation]: ...


SIZE_NAMES = {"D": "depth", "H": "height", "W": "width", "T": "length"}


def size_names(
    inputs: Mapping[str, TensorType], params: Iterable[str], declared: int = 0
) -> dict[str, tuple[str, str]]:
    """Return the variables that hold input sizes in the code of a block, each with its input and axis.

    `declared` is the number of inputs that the block declares, of which a call may leave some out. The names differ from the names of parameters and inputs, from the index `i` of a repeat, and from each other.
    """
    names: dict[str, tuple[str, str]] = {}
    taken = {*params, *inputs, "i"}
    for name, x in inputs.items():
        for axis in sorted(x.axes, key=lambda axis: axis != CHANNEL):
            variable, word = SIZE_NAMES.get(axis, axis), name.replace(".", "_")
            is_single = max(len(inputs), declared) == 1 and word == name
            if axis == CHANNEL:
                variable = "in_channels" if is_single else f"{word}_channels"
            elif not is_single:
                variable = f"{word}_{variable}"
            candidates = chain((variable, f"{word}_{variable}"), (f"{word}_{variable}_{k}" for k in count(2)))
            free = next(candidate for candidate in candidates if candidate not in taken)
            names[free] = (name, axis)
            taken.add(free)
    return names


def runtime_sizes(block: Block) -> Mapping[str, tuple[str, str]]:
    """Return the variables for the input sizes that code can read when it runs: all but those of channels.

    Each has its input and axis. Weights depend on the number of channels, so the constructor needs it.
    """
    names: dict[str, tuple[str, str]] | None = block.__dict__.get("_runtime_sizes")
    if names is None:
        names = {
            variable: source for variable, source in block_size_names(block).items() if source[1] != CHANNEL
        }
        force_setattr(block, "_runtime_sizes", names)
    return names


def block_size_names(block: Block) -> Mapping[str, tuple[str, str]]:
    """Return the variables of `size_names` for an instance of a block."""
    names: dict[str, tuple[str, str]] | None = block.__dict__.get("_size_names")
    if names is None:
        names = size_names(block.inputs, block.params, len(block.declared_inputs))
        force_setattr(block, "_size_names", names)
    return names


def size_arguments(inputs: Mapping[str, TensorType], params: Iterable[str], declared: int) -> dict[str, int]:
    """Return the values of the variables of `size_names`, for the inputs of one use of a block."""
    names = size_names(inputs, params, declared)
    return {variable: inputs[name][axis] for variable, (name, axis) in names.items()}


def node_output_type(node: Node, output: str) -> TensorType:
    """Return the type of one output of a node; its sizes are expressions over the outer block's names."""
    if not isinstance(node.op, Block):
        return node.parts[output]
    result = outer_type(node.op.outputs[output].type, node.args)
    return result if node.scan is None else node.scan.output_type(output, result)


def outer_type(x: TensorType, args: Mapping[str, Any]) -> TensorType:
    """Rewrite the sizes of a type inside a block instance as expressions over the outer block's names."""
    sizes = {axis: translate_expression(size, args) for axis, size in x.sizes.items()}
    return TensorType(sizes, x.dtype, x.batched)


def definition_key(block: Block) -> str:
    """Return a key that is equal for all instances of one block definition."""
    return f"{block.name}\0{block.at.source.file}\0{block.at.path}"


def distinct_blocks(model: Block) -> list[Block]:
    """Return each block instance once, inner blocks before the blocks that contain them."""
    found: dict[Block, None] = {}

    def visit(block: Block) -> None:
        for node in block.nodes:
            if isinstance(node.op, Block) and node.op not in found:
                visit(node.op)
        found[block] = None

    visit(model)
    return list(found)


def walk_ops(model: Block, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Node, Block]]:
    """Yield every op of the model with its full path and its block; blocks that are reused appear once."""
    for node in model.nodes:
        here = (*path, node.name)
        if isinstance(node.op, Block):
            if node.reuses is None:
                yield from walk_ops(node.op, here)
        else:
            yield ".".join(here), node, model
