"""Sizes of values of a block as functions of the size of an axis of an input, at any size of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec import Struct

from specbuild.expressions import concrete, expression_of
from specbuild.ir.axis_sources import (
    AxisOfInput,
    is_given_size,
    list_attribute_values,
    source_in_block,
    source_of_axis,
)
from specbuild.ir.graph import Block, Node, Ref, Skip
from specbuild.ops.base import Op
from specbuild.ops.types import ShapeError, TensorType

MAX_STEPS = 1_000
AxisOfValue = tuple[Ref, str]


class Hop(Struct, frozen=True):
    """One step back: the value that decides the size of an axis, and the size as a function of its size.

    `before` is None if the size is always the same. The function gives None for a size with which there is no result.
    """

    before: AxisOfValue | None
    size_at: Callable[[int], int | None] | None = None  # None: the same size


class SizeFunctions:
    """The sizes of the values of a block at other sizes of its inputs."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.hops: dict[AxisOfValue, Hop | None] = {}
        self.roots: dict[AxisOfValue, AxisOfInput | None] = {}
        self.tried = 0  # how often the results of a step were inferred
        self.known: dict[tuple[AxisOfValue, int], int | None] = {}

    def find_root(self, ref: Ref, axis: str) -> AxisOfInput | None:
        """Return the axis of an input that alone decides a size; None if there is none, or if it cannot be said."""
        place, passed = (ref, axis), list[AxisOfValue]()
        found = None
        while place not in self.roots:
            if place[0] in self.block.inputs:
                found = place if place[1] in self.block.inputs[place[0]] else None
                break
            passed.append(place)
            hop = self.find_hop(place)
            if hop is None or hop.before is None:
                break
            place = hop.before
        else:
            found = self.roots[place]
        self.roots |= dict.fromkeys(passed, found)  # a chain of steps is walked once
        return found

    def is_constant(self, ref: Ref, axis: str) -> bool:
        """Return whether an axis has the same size whatever the sizes of the inputs are."""
        place = (ref, axis)
        for _ in range(MAX_STEPS):
            hop = None if place[0] in self.block.inputs else self.find_hop(place)
            if hop is None or hop.before is None:
                return hop is not None
            place = hop.before
        return False

    def size_at(self, ref: Ref, axis: str, size: int) -> int | None:
        """Return the size of an axis where its root, which must be known, has this size."""
        place, passed = (ref, axis), list[AxisOfValue]()
        while (place, size) not in self.known and place[0] not in self.block.inputs:
            passed.append(place)
            hop = self.find_hop(place)
            if hop is None or hop.before is None:
                return concrete(self.block.value_type(ref)[axis])
            place = hop.before
        found = self.known.get((place, size), size)
        for place in reversed(passed):
            hop = self.find_hop(place)
            assert hop is not None
            if found is not None and hop.size_at is not None:
                found = hop.size_at(found)
            self.known[place, size] = found
        return found

    def find_hop(self, place: AxisOfValue) -> Hop | None:
        """Return how an axis of a value that is no input gets its size; None if it cannot be said."""
        if place not in self.hops:
            self.hops[place] = self.build_hop(*place)
        return self.hops[place]

    def build_hop(self, ref: Ref, axis: str) -> Hop | None:
        node = self.block.find_node(ref.partition("@")[0])
        if node is None:
            return None
        if isinstance(node.op, Block):
            return self.enter_block(node, node.op, ref.partition("@")[2], axis)
        source = source_of_axis(self.block, ref, axis)
        if source is not None:
            return Hop(source)
        if isinstance(node.op, Skip) or axis not in self.block.value_type(ref):
            return None
        given = [before for before in node.inputs if before is not None]
        if not given or is_given_size(self.block, node, axis):
            return Hop(None) if expression_of(node.type[axis]) is None else None
        having = [i for i, x in enumerate(node.inputs) if x and axis in self.block.value_type(x)]
        if len(having) != 1 or has_expressions(node.op):
            return None
        before = node.inputs[having[0]]
        assert before is not None
        function = partial(self.infer_size, node, having[0], axis, ref.partition("@")[2])
        return Hop((before, axis), function)

    def enter_block(self, node: Node, inner: Block, output: str, axis: str) -> Hop | None:
        source = source_in_block(node, inner, output, axis)
        if source is not None:
            return Hop(source)
        if node.scan is not None or len(node.inputs) != len(inner.inputs):
            return None
        ref = inner.outputs[output or next(iter(inner.outputs))].ref
        functions: SizeFunctions = vars(inner).setdefault("_size_functions", SizeFunctions(inner))
        root = functions.find_root(ref, axis)
        if root is None:
            return Hop(None) if functions.is_constant(ref, axis) else None
        before = node.inputs[list(inner.inputs).index(root[0])]
        return None if before is None else Hop((before, root[1]), partial(functions.size_at, ref, axis))

    def fits(self, node: Node, index: int, axis: str, size: int) -> bool:
        """Return whether a step has results where an axis of one of its inputs has this size."""
        self.tried += 1
        return bool(infer_results(self.block, node, index, axis, size))

    def infer_size(self, node: Node, index: int, axis: str, output: str, size: int) -> int | None:
        """Return the size of an axis of a result where an input of the step has another size."""
        self.tried += 1
        results = infer_results(self.block, node, index, axis, size)
        if not results:
            return None
        result = results[output] if output else next(iter(results.values()))
        return concrete(result[axis])


def has_expressions(op: Op) -> bool:
    """Return whether an attribute of an op can be another one elsewhere: its results at other sizes are not valid then."""
    return any(expression_of(number) is not None for number in list_attribute_values(op))


def infer_results(block: Block, node: Node, index: int, axis: str, size: int) -> dict[str, TensorType]:
    """Return the types of the results of a step where an axis of one input has another size; empty if it does not fit."""
    assert isinstance(node.op, Op)
    types = [None if ref is None else block.value_type(ref) for ref in node.inputs]
    x = types[index]
    assert x is not None
    try:
        inputs = [*types[:index], x.with_sizes({axis: size}), *types[index + 1 :]]
        return node.op.part_types(*inputs) or {"": node.op.infer_type(*inputs)}
    except ShapeError:
        return {}


def first_size(declared: int, is_possible: Callable[[int], bool]) -> int | None:
    """Return the least size from which on all up to the declared one are possible; None if that one is not."""
    if not is_possible(declared):
        return None
    if is_possible(1):
        return 1
    low, high = 1, declared  # impossible, possible
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_possible(middle) else (middle, high)
    return high
