"""What an expression in a step may read: parameters, `let` names, and the sizes of inputs and earlier values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from specbuild.elaborate.block_scope import BlockScope, enclosing_prefixes
from specbuild.elaborate.inside_blocks import InnerSizes, PlainSizes, SizesByPath
from specbuild.expressions import EnvWithLets, Expression, concrete, expression_of, symbolic
from specbuild.frontend.source import SourceAddress
from specbuild.ir.axis_sources import follows_sizes, trace_axis
from specbuild.ir.graph import Block, Ref
from specbuild.ops.types import CHANNEL


class ExpressionEnv(EnvWithLets):
    """The names for the expressions of a step. A parameter hides a step of the same name.

    `place` is where the expression is that is evaluated now. With `is_checked_only`, code has nothing of it.
    """

    def __init__(self, scope: BlockScope, is_checked_only: bool = False):
        self.scope, self.is_checked_only = scope, is_checked_only
        self.place: SourceAddress | None = None

    @property
    def let_expressions(self) -> Mapping[str, Expression | None]:
        return self.scope.let_expressions

    def is_runtime_size(self, name: str) -> bool:
        return name in self.scope.size_sources

    def note_fixed_sizes(self, names: Collection[str]) -> None:
        if self.place is not None and not self.is_checked_only:
            for name in names:
                self.scope.fixed_sizes.setdefault(name, self.place)

    def note_fixed_values(self, values: Iterable[Any]) -> None:
        """Note that values become plain numbers, although some of them may follow from sizes."""
        expressions = [found for value in values if (found := expression_of(value)) is not None]
        names = {name for expression in expressions for name in expression.names}
        self.note_fixed_sizes([name for name in names if self.is_runtime_size(name)])

    def __getitem__(self, name: str) -> Any:
        if name in self.scope.env:
            value = self.scope.env[name]
            self.scope.work.count_items(value)
            return value
        ref = self.scope.find_visible(name)
        if ref is None:
            raise KeyError(name)
        groups = (prefix + name for prefix in enclosing_prefixes(self.scope.prefix))
        return ValueSizes(self.scope, ref, next((path for path in groups if path in self.scope.groups), ref))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self.scope.env or self.scope.find_visible(name) is not None)

    def __iter__(self) -> Iterator[str]:
        yield from self.scope.env
        yield from (name for name in self.scope.visible_values() if name not in self.scope.env)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class ValueSizes(SizesByPath):
    """The sizes of a value in a scope, and by name those of the values inside a block or a group."""

    def __init__(self, scope: BlockScope, ref: Ref | None, path: str):
        self.scope, self.ref = scope, ref  # None: a group without a value of its own
        self.path = path  # of the step; that of its value can differ: a group has the value of its last step

    @property
    def sizes(self) -> Mapping[str, int]:
        """The sizes of the value itself. A step with several results has none."""
        node = None if self.ref is None else self.scope.nodes.get(self.ref)
        if self.ref is None or (node is not None and node.parts):
            return {}
        return self.scope.value_type(self.ref).sizes

    def inner_sizes(self, name: str) -> Mapping[str, Any] | None:
        """Return the sizes of a step in a group, a part of a step, or an output or a step of a block."""
        path, groups = f"{self.path}.{name}", self.scope.groups
        if path in self.scope.moved_values:
            return ValueSizes(self.scope, self.scope.moved_values[path], path)
        if path in self.scope.nodes:
            return ValueSizes(self.scope, path, path)
        if path in groups:
            return ValueSizes(self.scope, groups[path].value, path)
        if self.path in groups and name in groups[self.path].outputs:
            return self.sizes_of(groups[self.path].outputs[name])
        node = None if self.ref is None else self.scope.nodes.get(self.ref)
        if node is None:
            return None
        if name in node.parts or (isinstance(node.op, Block) and name in node.op.outputs):
            return self.sizes_of(f"{node.name}@{name}")
        if not isinstance(node.op, Block):
            return None
        return InnerSizes.find(node, name, partial(fix_size_inside, self.scope))

    def sizes_of(self, ref: Ref) -> PlainSizes:
        """Return the sizes of one of several results of a step."""
        return PlainSizes(self.scope.value_type(ref).sizes, partial(read_value_size, self.scope, ref))

    def read_size(self, axis: str, size: int) -> int:
        """Return the size that an expression reads; that of an input keeps its name."""
        assert self.ref is not None
        return read_value_size(self.scope, self.ref, axis, size)


def read_value_size(scope: BlockScope, ref: Ref, axis: str, size: int) -> int:
    """Return the size of a value. If it can follow from the sizes of the inputs, it is a variable for the code."""
    if axis == CHANNEL or expression_of(size) is not None:
        return scope.input_size(ref, axis) if ref in scope.inputs else size
    if (source := trace_axis(scope, ref, axis)) is not None:
        return scope.input_size(*source)
    if not scope.value_type(ref).batched or not follows_sizes(scope, ref, axis):
        return size
    return symbolic(concrete(size), scope.name_step_size(ref, axis))


def fix_size_inside(scope: BlockScope, axis: str, size: int) -> int:
    """Return the size of a value inside a block, which the code around it cannot read."""
    if axis != CHANNEL and expression_of(size) is None:
        scope.fixes_step_sizes = True
    return size
