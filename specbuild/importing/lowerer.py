"""The state of lowering: the steps so far, the values by their number in the trace, and the names of axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from specbuild.importing.axis_names import PlaceholderNames, number_name
from specbuild.importing.named_values import BATCH, Dim, NamedValue, Published, Step, Unsupported, ValueSource
from specbuild.importing.trace import FunctionCall, ModuleCall, Trace, ValueRef, list_refs, walk_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from specbuild.importing.trace import Array


def find_used_values(trace: Trace) -> set[int]:
    """Return the numbers of the values that a call reads, or that a module gives."""
    used = {ref.number for ref in list_refs(trace.root.result)}
    for call in walk_calls(trace.root):
        given = [call.arguments, call.keywords, *([call.result] if isinstance(call, ModuleCall) else [])]
        used |= {ref.number for ref in list_refs(given)}
    return used


def count_weight_readers(trace: Trace) -> Counter[str]:
    """Return how many calls of functions read each weight, by its name."""
    calls = [call for call in walk_calls(trace.root) if isinstance(call, FunctionCall)]
    numbers = [
        n for call in calls for n in {ref.number for ref in list_refs([call.arguments, call.keywords])}
    ]
    return Counter(trace.values[number].name for number in numbers)


def find_shared_kernels(trace: Trace) -> set[str]:
    """Return the first names of the weights that layers of several kinds use, such as an embedding and a linear layer."""
    users: dict[str, set[str]] = {}
    for call in walk_calls(trace.root):
        if isinstance(call, FunctionCall) and call.path:
            for name in call.settings.get("weights", {}).values():
                users.setdefault(trace.tied.get(name, name), set()).add(call.function)
    return {name for name, functions in users.items() if len(functions) > 1}


class Lowerer:
    """Adds steps to the block that is lowered, and finds the value of the spec for a traced value."""

    def __init__(self, trace: Trace, constants: Mapping[int, Array], name_weight: Callable[[str], str] = str):
        self.name_weight = name_weight  # gives the name of the step for a weight by itself
        self.trace, self.constants, self.batch = trace, constants, trace.batch
        self.names = PlaceholderNames()
        self.used = find_used_values(trace)
        self.read_counts = count_weight_readers(trace)
        self.values: dict[int, NamedValue] = {}
        self.steps: list[Step] = []
        self.path = ""  # of the module that is lowered
        self.line = ""  # of the call that is lowered
        self.weight_steps: dict[Published, Step] = {}  # the first step with a weight
        self.block_steps: dict[str, tuple[Step, list[Step]]] = {}  # by path: the first call, and where it is
        self.merged_axes: dict[tuple[str, int], list[tuple[str, int]]] = {}  # of an axis that was flattened
        self.origins: dict[str, tuple[str, int]] = {}  # of an axis that was split off another one
        self.is_repeated = False  # inside a module that was called before
        self.drops_paths = False  # whether any path is dropped in training
        self.shared_kernels = find_shared_kernels(trace)

    # ---------------------------------------------------------------------------------------- blocks

    @contextmanager
    def inside(
        self, path: str, values: dict[int, NamedValue], is_repeated: bool = False
    ) -> Iterator[list[Step]]:
        """Lower the calls of a module; yields its list of steps."""
        outer = self.values, self.steps, self.path, self.is_repeated
        self.values, self.steps, self.path = values, [], path
        self.is_repeated = self.is_repeated or is_repeated
        try:
            yield self.steps
        finally:
            self.values, self.steps, self.path, self.is_repeated = outer

    def relative_path(self, path: str) -> str:
        """Return a path of the model as seen from the module that is lowered."""
        return path[len(self.path) + 1 :] if self.path and path.startswith(f"{self.path}.") else path

    # ---------------------------------------------------------------------------------------- values

    def resolve(self, value: NamedValue) -> NamedValue:
        """Return the value with the names of axes that have been found since."""
        axes: dict[str, int] = {}
        for axis, size in value.axes.items():
            axes |= self.names.expand(axis, size)
        dims = tuple(tuple(part for axis in dim for part in self.names.expand(axis, 1)) for dim in value.dims)
        return NamedValue(value.source, axes, dims, value.dtype)

    def value(self, argument: Any) -> NamedValue:
        """Return the value of the spec for an argument: a value, a weight, or a table."""
        if isinstance(argument, NamedValue):
            return self.resolve(argument)
        if not isinstance(argument, ValueRef):
            raise Unsupported(f"{argument!r} was given where a tensor is expected")
        if argument.number not in self.values:
            traced = self.trace.values[argument.number]
            is_stored = traced.name in self.trace.weights and traced.dtype == "float"
            if traced.origin == "weight" or (traced.origin == "buffer" and is_stored):
                self.values[argument.number] = self.add_weight(
                    traced.name, traced.shape, traced.origin == "weight"
                )
            elif traced.origin in ("constant", "buffer"):
                self.values[argument.number] = self.add_table(argument.number)
            else:
                raise Unsupported("a value reaches this module by another way than its arguments")
        return self.resolve(self.values[argument.number])

    def find_shared_kernel(self, name: str) -> NamedValue | None:
        """Return the weight as a value of its own if layers of several kinds use it; else None."""
        first = self.trace.tied.get(name, name)
        if first not in self.shared_kernels:
            return None
        number = next(i for i, value in enumerate(self.trace.values) if value.name == first)
        is_new = number not in self.values
        kernel = self.value(ValueRef(number))
        if is_new and isinstance(
            kernel.source.step, Step
        ):  # the layer has no other weight: it is called like it
            kernel.source.step.name = kernel.source.step.name.removesuffix(".weight")
        return kernel

    def add_weight(self, name: str, shape: Sequence[int], is_trained: bool) -> NamedValue:
        """Add a weight by itself, whose axes get their names later."""
        if not is_trained:  # a buffer that several modules share has a name in each of them
            aliases = (alias for alias, first in self.trace.tied.items() if first == name)
            name = next((alias for alias in aliases if alias.startswith(f"{self.path}.")), name)
        axes = dict(zip(self.names.new_axes(len(shape)), shape, strict=True))
        attributes = {"axes": dict(axes)} | ({} if is_trained else {"trained": False})
        own = self.relative_path(name)
        if self.path and own == name:  # it belongs to a module around this one
            own = name.rpartition(".")[2]
        own = self.name_weight(own)
        step = Step("weight", attributes, name=own, weights={"": Published(name)}, axes=axes)
        return self.add_step(step, tuple((axis,) for axis in axes))

    def add_table(self, number: int) -> NamedValue:
        """Add a table of constants; dimensions along which all numbers are equal are left out."""
        data, dtype = self.constants[number], self.trace.values[number].dtype
        kept = []
        for dim in range(data.ndim):
            first = data.take([0], dim) if data.shape[dim] else data
            is_constant = bool((data == first).all())
            data = first if is_constant else data
            kept.append(not is_constant)
        sizes = [n for n, keep in zip(data.shape, kept, strict=True) if keep]
        axes = dict(zip(self.names.new_axes(len(sizes)), sizes, strict=True))
        names = iter(axes)
        dims: tuple[Dim, ...] = tuple((next(names),) if keep else () for keep in kept)
        attributes: dict[str, Any] = {"axes": dict(axes)} | ({} if dtype == "float" else {"dtype": dtype})
        step = Step("const", attributes, axes=axes, table=data.reshape(tuple(axes.values())))
        step.table_name = self.trace.values[number].name
        return self.add_step(step, dims, dtype)

    def axis_size(self, value: NamedValue, axis: str) -> int:
        return self.batch if axis == BATCH else value.axes[axis]

    def is_free(self, axis: str) -> bool:
        return self.names.is_free(axis)

    def is_read_again(self, value: NamedValue) -> bool:
        """Return whether a value is a weight by itself that several calls read: each may need all of its axes."""
        step = value.source.step
        if not isinstance(step, Step) or step.op != "weight":
            return False
        return any(self.read_counts[published.name] > 1 for published in step.weights.values())

    def unused_axis(self, wanted: str, *values: NamedValue) -> str:
        return number_name(wanted, {axis for value in values for axis in value.axes})

    # ----------------------------------------------------------------------------------------- steps

    def add_step(self, step: Step, dims: tuple[Dim, ...], dtype: str = "float") -> NamedValue:
        """Add a step, and return its value. A weight that was used before is reused. Raises Unsupported."""
        step.line = self.line
        for published in step.weights.values():
            is_trained = step.attributes.get("trained", True)  # constants that are equal can be several
            first_name = self.trace.tied.get(published.name, published.name) if is_trained else published.name
            whole = Published(first_name, published.part, published.parts)
            first = self.weight_steps.setdefault(whole, step)
            if first is step or self.is_repeated:
                continue
            if first.op != step.op or first.attributes != step.attributes:
                raise Unsupported(f"{published.name} is used by two kinds of steps", code="SB966")
            if first not in self.steps:
                raise Unsupported(f"{published.name} is used by two blocks", code="SB966")
            step.reused = first
        self.steps.append(step)
        return NamedValue(ValueSource(step), dict(step.axes), dims, dtype)

    def emit(
        self,
        op: str,
        inputs: Sequence[NamedValue],
        attributes: Mapping[str, Any] | None = None,
        *,
        sizes: Mapping[str, int] | None = None,
        dims: Sequence[Dim] | None = None,
        dtype: str = "",
        **details: Any,
    ) -> NamedValue:
        """Add a step that reads these values. Its result is like the first, but for `sizes`, or axes with `dims`.

        `sizes` with `dims` are all axes of the result; without, they are those that change. `details` are fields
        of the step.
        """
        first = inputs[0]
        is_whole = sizes is not None and dims is not None
        axes = {**({} if is_whole else first.axes), **(sizes or {})}
        step = Step(op, dict(attributes or {}), [x.source for x in inputs], axes=axes, **details)
        # in a product, axes of the same name are one axis
        self.names.note_value(
            {**axes, **{a: n for x in inputs for a, n in x.axes.items()}} if op == "contract" else axes
        )
        return self.add_step(step, tuple(first.dims if dims is None else dims), dtype or first.dtype)
