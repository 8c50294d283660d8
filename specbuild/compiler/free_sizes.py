"""Whether a model is right at every size of the axes that can be any: it is elaborated at other sizes, too.

What must not change with them are the steps, the weights, the arguments of blocks and the numbers in tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from specbuild.diagnostics.errors import SpecError
from specbuild.expressions import MAX_EXPRESSION_CHARACTERS, concrete, expression_of
from specbuild.ir.axis_sources import AxisOfInput
from specbuild.ir.fixed_sizes import find_equal_sizes, find_fixed_sizes
from specbuild.ir.graph import Block, FreeSizes, Group, Node, Ref, Skip, runtime_sizes
from specbuild.ops.base import Op
from specbuild.ops.table import Weight
from specbuild.ops.types import TensorType
from specbuild.ops.weight_spec import WeightSpec

TRIALS = 3  # other sizes of each axis, if they fit
MIN_LONG = (
    16  # strides divide a size by less: where none of that length fits, all that fit may become 1 behind them
)
ElaborateAt = Callable[[Mapping[AxisOfInput, int]], Block]
# What other sizes are tried: some networks need multiples, others a size of one kind. A small size also grows beyond
# what a stride divides it by: behind a stride of 4, the sizes 1, 2 and 3 are all 1.
CHANGES: tuple[Callable[[int], int], ...] = (
    lambda n: 2 * n,
    lambda n: n + 1,
    lambda n: n * max(3, 24 // n),
    lambda n: 4 * n,
    lambda n: n - 1,
    lambda n: n // 2,
)


class Resized(Struct, frozen=True):
    """A model at another size of some inputs."""

    sizes: Mapping[AxisOfInput, int]
    graph: Block

    @property
    def label(self) -> str:
        """What to call it: `T: 32`, with the name of the input if there are several."""
        has_one = len(self.graph.inputs) == 1
        return ", ".join(
            f"{axis}: {size}" if has_one else f"{name}.{axis}: {size}"
            for (name, axis), size in self.sizes.items()
        )

    def describe(self) -> str:
        (name, axis), size = next(iter(self.sizes.items()))
        return f"{axis} of {name} can be any, and at {axis}: {size}"


def resize_model(
    graph: Block, axes: Sequence[AxisOfInput], elaborate_at: ElaborateAt, count_trials: Callable[[int], None]
) -> list[list[Resized]]:
    """Return the model at other sizes of each of these axes: several, since a stride can give one size for two.

    An axis changes alone, or with all others where the spec needs this. Raises SpecError if it cannot be much longer or
    shorter, and where `count_trials` refuses so many trials.
    """
    found = []
    trials = 0
    for source in axes:
        refusal: SpecError | None = None
        fitting: list[Resized] = []
        for sizes in list_trials(graph, source, axes):
            trials += 1
            count_trials(max(trials, TRIALS * len(axes)))
            try:
                fitting.append(Resized(sizes, elaborate_at(sizes)))
            except SpecError as error:
                refusal = refusal or refuse_size(error, source, sizes[source])
            if len(fitting) == TRIALS:
                break
        if refusal is not None and not any(is_far(graph, source, other) for other in fitting):
            raise refusal
        found.append(fitting)
    return found


def is_far(graph: Block, source: AxisOfInput, other: Resized) -> bool:
    """Return whether a size is at least twice as long, or half as long and no axis becomes 1, which would be repeated.

    Where only its neighbours fit, a step behind a stride needs a number.
    """
    size, changed = size_at(graph, source), other.sizes[source]
    return changed >= max(2 * size, MIN_LONG) or (
        changed <= size // 2 and not has_new_ones(graph, other.graph)
    )


def has_new_ones(block: Block, other: Block) -> bool:
    """Return whether an axis of a step is 1 in a block at other sizes only."""
    for node in block.nodes:
        twin = other.find_node(node.name)
        if twin is None:
            continue
        if any(twin.type.sizes.get(axis) == 1 for axis in list_unequal(node.type, twin.type)):
            return True
        if isinstance(node.op, Block) and isinstance(twin.op, Block) and has_new_ones(node.op, twin.op):
            return True
    return False


def list_trials(
    graph: Block, source: AxisOfInput, axes: Sequence[AxisOfInput]
) -> Iterator[Mapping[AxisOfInput, int]]:
    """Yield other sizes: first of one axis alone, then of all. Axes that must be equal stay so."""
    equal = [pair for pair in find_equal_sizes(graph).items() if set(pair) <= set(axes)]
    tried: list[Mapping[AxisOfInput, int]] = [{key: size_at(graph, key) for key in axes}]
    for together in ([source], axes) if len(axes) > 1 else ([source],):
        for change in CHANGES:
            sizes = {key: change(size_at(graph, key)) for key in (source, *together)}
            changes = [{key in sizes for key in pair} for pair in equal]
            is_new = sizes not in tried and all(size >= 1 for size in sizes.values())
            if is_new and {True, False} not in changes:
                tried.append(sizes)
                yield sizes


def size_at(graph: Block, source: AxisOfInput) -> int:
    return concrete(graph.inputs[source[0]][source[1]])


def refuse_size(error: SpecError, source: AxisOfInput, size: int) -> SpecError:
    """Return the error of a model that is wrong at a size of an axis."""
    name, axis = source
    message = f"{axis} of {name} can be any, and at {axis}: {size}, {error.message}"
    hint = f"take the size from the input (`{name}.{axis}`), or write a number instead of `any` there"
    return SpecError("SB408", message, error.location, hint, error.trail)


def find_free_sizes(graph: Block, others: Sequence[Resized]) -> FreeSizes:
    """Return what follows the sizes that can be any. Raises SB408 where one is needed as a number."""
    free: dict[Block, set[tuple[Ref, str]]] = {}
    weights: dict[tuple[Block, str], dict[str, WeightSpec]] = {}
    for other in others:
        SizeComparison(other, free, weights).compare_blocks(graph, other.graph)
    for block, axes in free.items():
        for name, axis in find_fixed_sizes(block):
            if (name, axis) in axes:
                raise refuse_fixed(block, name, axis)
    for pair in find_equal_sizes(graph).items():
        fixed = [source for source in pair if source not in free[graph]]
        if len(fixed) == 1:
            raise refuse_unequal(graph, *fixed, *(source for source in pair if source not in fixed))
    return FreeSizes(frozenset(free.pop(graph)), {block: frozenset(axes) for block, axes in free.items()})


def refuse_fixed(block: Block, name: str, axis: str) -> SpecError:
    """Return the error of a block that fixes a size which can be any: at the step that does, if steps depend on it."""
    read = {x for x, source in runtime_sizes(block).items() if source == (name, axis)} | {*block.step_sizes}
    steps: list[Node | Group] = [*block.nodes, *block.groups.values()]
    for step in steps:
        length = expression_of(step.length) if isinstance(step, Group) else None
        for reader, what in ((step.when, "condition"), (length, "number of repeats")):
            if reader is not None and not read.isdisjoint(reader.names):
                message = f"{axis} of {name} can be any, and a {what} depends on it: the steps of a network are chosen "
                message += "when it is made"
                hint = f"leave the {what} out, or write a number for {axis} among the inputs of the model"
                return step.at.error("SB408", message, hint)
    for variable, at in block.fixed_sizes.items():
        if variable in read:
            message = f"{axis} of {name} can be any, and this value follows from it in a way that code cannot"
            hint = "code computes no `log`, no `divisible`, no truth value and no text of a size, and no expression that is "
            hint += f"longer than {MAX_EXPRESSION_CHARACTERS} characters: write it in another way, or a number for {axis}"
            return at.error("SB408", message, hint)
    message = f"{axis} of {name} can be any, but {block.name} needs it as a number"
    hint = "read sizes from inputs, or from steps that an output needs, not from inside a block"
    return block.at.child("inputs", name).error("SB408", message, hint)


def refuse_unequal(graph: Block, fixed: AxisOfInput, free: AxisOfInput) -> SpecError:
    """Return the error of an axis that can be any, and must be as long as one that is a number."""
    message = f"{free[1]} of {free[0]} can be any, but {fixed[1]} of {fixed[0]}, which must be equal, is {size_at(graph, fixed)}"
    hint = "write `any` for both, or the same number"
    return graph.at.child("inputs", free[0]).error("SB408", message, hint)


class SizeComparison(Struct):
    """Compares a model with the same at another size."""

    other: Resized
    free: dict[Block, set[tuple[Ref, str]]]
    weights: dict[tuple[Block, str], dict[str, WeightSpec]]  # of the steps of the model, for each comparison

    def compare_blocks(self, block: Block, other: Block) -> None:
        """Note which values of a block have another size; raises SB408 for another difference."""
        axes = self.free.setdefault(block, set())
        for name, x in block.inputs.items():
            axes |= {(name, axis) for axis in list_unequal(x, other.inputs[name])}
        for node in other.nodes:
            if block.find_node(node.name) is None:
                raise self.error(node, "there is another step here", "leave out the condition on the size")
        for node in block.nodes:
            twin = other.find_node(node.name)
            if twin is None or type(twin.op) is not type(node.op):
                message = (
                    "this step is not left out" if isinstance(node.op, Skip) else "this step is left out"
                )
                raise self.error(node, message, "leave out the condition on the size")
            self.compare_nodes(block, node, other, twin)
            outputs = node.op.outputs if isinstance(node.op, Block) else node.parts
            for ref in (node.name, *(f"{node.name}@{output}" for output in outputs if output)):
                axes |= {(ref, axis) for axis in list_unequal(block.value_type(ref), other.value_type(ref))}

    def compare_nodes(self, block: Block, node: Node, other: Block, twin: Node) -> None:
        if isinstance(node.op, Block) and isinstance(twin.op, Block):
            for name, value in node.op.params.items():
                if repr(value) != repr(twin.op.params[name]) and isinstance(
                    value, int | float | list | tuple
                ):
                    message = (
                        f"the argument {name} of {node.op.name} would be {twin.op.params[name]}, not {value}"
                    )
                    hint = f"let the block read the size from its input, such as `x.{self.axis}`"
                    raise self.error(node, message, hint)
            if node.reuses is None or block.find_node(node.reuses) is None:
                self.compare_blocks(node.op, twin.op)
        if not isinstance(node.op, Op) or not isinstance(twin.op, Op):
            return
        key = (block, node.name)
        if key not in self.weights:
            self.weights[key] = weights_of_step(block, node, node.op)
        own, changed = self.weights[key], weights_of_step(other, twin, twin.op)
        for name, weight in own.items():
            if {**weight.axes} != {**changed[name].axes}:
                message = f"{name} of this {node.op.title} would be {TensorType(changed[name].axes)}"
                message += f", not {TensorType(weight.axes)}"
                raise self.error(node, message, self.weight_hint(node.op))
        if node.op.unread_numbers() != twin.op.unread_numbers():
            hint = "write a table with a `value`, which follows the size, or a number for the axis"
            raise self.error(node, f"this {node.op.title} would have other numbers", hint)

    @property
    def axis(self) -> str:
        return next(iter(self.other.sizes))[1]

    def weight_hint(self, op: Op) -> str:
        if isinstance(op, Weight):
            return f"give it the longest size as a number, and cut it: `slice: {{over: {self.axis}, stop: x.{self.axis}}}`"
        return "reduce the axis before, such as with `mean` or `adaptive_avg_pool`, or write a number for it"

    def error(self, node: Node, message: str, hint: str) -> SpecError:
        return node.at.error("SB408", f"{self.other.describe()}, {message}", hint)


def weights_of_step(block: Block, node: Node, op: Op) -> dict[str, WeightSpec]:
    return op.weight_specs(*(None if ref is None else block.value_type(ref) for ref in node.inputs))


def list_unequal(x: TensorType, other: TensorType) -> Iterator[str]:
    """Yield the axes along which two types have other sizes."""
    return (axis for axis, size in x.sizes.items() if size != other.sizes.get(axis))


def with_free_sizes(
    graph: Block, axes: Sequence[AxisOfInput], elaborate_at: ElaborateAt, count_trials: Callable[[int], None]
) -> tuple[Block, list[Resized]]:
    """Return the model with what follows the sizes that can be any, and the model at other sizes, each different."""
    by_axis = resize_model(graph, axes, elaborate_at, count_trials)
    free = find_free_sizes(graph, [other for others in by_axis for other in others])
    firsts: dict[frozenset[tuple[AxisOfInput, int]], Resized] = {}
    for others in by_axis:
        firsts.setdefault(frozenset(others[0].sizes.items()), others[0])
    return replace(graph, free_sizes=free), [*firsts.values()]
