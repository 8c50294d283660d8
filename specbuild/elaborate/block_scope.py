"""The scope of a block during elaboration: its names, its nodes so far, and its pending edits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, count
from typing import Any, TypeVar

from msgspec import Struct, field

from specbuild.elaborate.pending_edits import PendingEdits
from specbuild.elaborate.work_budget import WorkBudget
from specbuild.expressions import Expression, concrete, expression_of
from specbuild.frontend.block_inputs import list_optional
from specbuild.frontend.document import BlockDef
from specbuild.frontend.edits import EditDef
from specbuild.frontend.source import SourceAddress
from specbuild.ir.graph import SIZE_NAMES, Group, Node, ParallelSteps, Ref, node_output_type, size_names
from specbuild.ir.path_index import PathIndex
from specbuild.ops.types import CHANNEL, TensorType

T = TypeVar("T")


class BlockScope(Struct, dict=True):
    """The state of one block instance during elaboration."""

    definition: BlockDef
    env: dict[str, Any]  # the values of parameters, `let` names, input sizes and `i`
    inputs: dict[str, TensorType]
    work: WorkBudget
    # `let` names that stand for a truth value, a text or a list -> their expression, if code can have it
    let_expressions: dict[str, Expression | None] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    # The fields from here to `pending` belong to the group that is being elaborated.
    # `visible_names` has the names in each enclosing group, innermost last.
    visible_names: list[dict[str, Ref]] = field(default_factory=list)
    prefix: str = ""  # its path, with a dot at the end
    last: Ref | None = None  # the result of the step before
    pending: PendingEdits = field(default_factory=PendingEdits)  # edits that may match its steps
    step_count: int = 0
    # Path of a step -> the edits that may match steps inside it.
    pending_inside: dict[str, PendingEdits] = field(default_factory=dict)
    applied_edits: list[tuple[EditDef, str]] = field(default_factory=list)  # each with the path of a step
    frozen_paths: dict[str, None] = field(default_factory=dict)  # steps and groups that are not trained
    # Path of a step that edits remove or insert after -> the value that later steps read instead.
    moved_values: dict[str, Ref] = field(default_factory=dict)
    # Path of a `parallel` -> the paths of its branches and of its merge, which are siblings.
    parallels: dict[str, ParallelSteps] = field(default_factory=dict)
    open_reads: list[set[Ref]] = field(default_factory=list)  # see `record_reads`
    is_leaving_out: bool = False  # see `leave_out`
    # whether a size of a step that may follow from the sizes of the inputs has become a number
    fixes_step_sizes: bool = False
    # variables of sizes that have become a number, and where
    fixed_sizes: dict[str, SourceAddress] = field(default_factory=dict)
    # variables for the sizes that expressions read from steps, each with the value and its axis
    step_sizes: dict[str, tuple[Ref, str]] = field(default_factory=dict)
    step_size_names: dict[tuple[Ref, str], str] = field(default_factory=dict)  # the same, by value and axis
    has_reuses: bool = False  # whether a node has the weights of another one
    absent_steps: set[Ref] = field(default_factory=set)  # left out, and none of their inputs is given

    @property
    def has_batch(self) -> bool:
        """Whether an input of the block has a batch."""
        return any(x.batched for x in self.inputs.values())

    @cached_property
    def absent_inputs(self) -> frozenset[str]:
        """The optional inputs that this use of the block does not get."""
        return frozenset(name for name in list_optional(self.definition.inputs) if name not in self.inputs)

    @cached_property
    def inputs_by_list(self) -> Mapping[str, list[Ref]]:
        """The values of each input that takes a list."""
        found: dict[str, list[Ref]] = {}
        for ref in self.inputs:
            name, dot, _ = ref.partition(".")
            if dot:
                found.setdefault(name, []).append(ref)
        return found

    @cached_property
    def paths(self) -> PathIndex:
        """The names of the nodes and groups so far, by the paths that lead to them."""
        return PathIndex(self.nodes, self.groups)

    def list_items(self, name: str) -> list[Ref]:
        """Return the values of an input that takes a list; empty if there is no such input."""
        return list(self.inputs_by_list.get(name, ()))

    def value_type(self, ref: Ref) -> TensorType:
        """Return the type of a value in this block."""
        if ref in self.inputs:
            return self.inputs[ref]
        name, _, output = ref.partition("@")
        node = self.nodes[name]
        return node_output_type(node, output) if output else node.type

    def find_node(self, name: str) -> Node | None:
        return self.nodes.get(name)

    @cached_property
    def input_sizes(self) -> dict[str, tuple[str, str]]:
        """The variables for the sizes of the inputs."""
        return size_names(self.inputs, self.definition.params, len(self.definition.inputs))

    @property
    def size_sources(self) -> dict[str, tuple[Ref, str]]:
        """The variables for all sizes that code can read when it runs: of inputs, and of steps."""
        sizes = {name: source for name, source in self.input_sizes.items() if source[1] != CHANNEL}
        return {**sizes, **self.step_sizes}

    def input_size(self, name: str, axis: str) -> int:
        """Return the size of an input of the block, with the name that expressions have for it."""
        head, _, number = name.partition(".")
        sizes: Any = self.env.get(head)
        if number and sizes is not None:
            sizes = sizes[int(number)]
        has_name = isinstance(sizes, Mapping) and axis in sizes
        return sizes[axis] if has_name else self.inputs[name][axis]

    def name_step_size(self, ref: Ref, axis: str) -> str:
        """Return the variable for a size of the value of a step."""
        if (ref, axis) in self.step_size_names:
            return self.step_size_names[ref, axis]
        word = re.sub(r"\W", "_", f"{ref}_{SIZE_NAMES.get(axis, axis)}")
        word = f"_{word}" if word[0].isdigit() else word
        taken = (self.env, self.inputs, self.input_sizes, self.step_sizes)
        candidates = chain((word,), (f"{word}_{number}" for number in count(2)))
        name = next(word for word in candidates if not any(word in names for names in taken))
        self.step_sizes[name] = (ref, axis)
        self.step_size_names[ref, axis] = name
        return name

    def fix_step_sizes(self, value: T) -> T:
        """Return a number that decides which steps there are: code cannot read it from a step when it runs."""
        expression = expression_of(value)
        if expression is None or self.step_sizes.keys().isdisjoint(expression.names):
            return value
        self.fixes_step_sizes = True
        return concrete(value)

    def find_visible(self, name: str) -> Ref | None:
        """Return the value that a name without dots has here: of a step above, an input, or `prev`."""
        if name == "prev":
            return self.last
        return next((names[name] for names in reversed(self.visible_names) if name in names), None)

    def visible_values(self) -> Iterator[str]:
        """Yield the names of all values that a step here can read."""
        for names in reversed(self.visible_names):
            yield from names

    @contextmanager
    def enter_group(self, path: str) -> Iterator[None]:
        """While this context is open, new steps belong to the group at `path`."""
        outer, self.prefix = self.prefix, path + "."
        self.visible_names.append({})
        yield
        self.visible_names.pop()
        self.prefix = outer

    @contextmanager
    def leave_out(self, is_left_out: bool) -> Iterator[None]:
        """While this context is open, a step that is left out may read an input that the block does not get."""
        before, self.is_leaving_out = self.is_leaving_out, is_left_out
        try:
            yield
        finally:
            self.is_leaving_out = before

    @contextmanager
    def record_reads(self) -> Iterator[set[Ref]]:
        """Give the set of values that are read by name, not as `prev`, while this context is open."""
        reads: set[Ref] = set()
        self.open_reads.append(reads)
        yield reads
        self.open_reads.pop()


def enclosing_prefixes(prefix: str) -> Iterator[str]:
    """Yield the prefixes of all enclosing groups, innermost first: `a.b.`, `a.` and "" for `a.b.`."""
    while prefix:
        yield prefix
        prefix = prefix[: prefix.rfind(".", 0, -1) + 1]
    yield ""
