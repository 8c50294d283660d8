"""From a trace to steps: an instance for each module that an author would make a block of.

The members of a container become steps of the block around it. A small module around one layer becomes this layer.
Everything that no spec can say is collected, so that all reasons are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from specbuild.importing.built_groups import raise_built_groups
from specbuild.importing.layouts import require_axis
from specbuild.importing.lowerer import Lowerer
from specbuild.importing.named_values import (
    BATCH,
    BlockInput,
    Instance,
    Landmark,
    NamedValue,
    Step,
    Unsupported,
    ValueSource,
)
from specbuild.importing.step_patterns import PatternFinder
from specbuild.importing.trace import (
    Call,
    FunctionCall,
    ModuleCall,
    Trace,
    ValueRef,
    list_refs,
    walk_calls,
)
from specbuild.importing.unfinished_blocks import Refusal, leave_unfinished

if TYPE_CHECKING:
    from specbuild.importing.reader import ModelReader
    from specbuild.importing.trace import Array

# Larger modules without weights, and larger ones around a single layer, become blocks.
MAX_INLINED = 3
MAX_AROUND_LAYER = 4


class TraceLowering:
    """Lowers a trace. `axes` gives the names of the axes of each input, after the batch.

    With `partial`, a module that cannot be imported becomes a block that is to be finished by hand.
    """

    def __init__(
        self,
        trace: Trace,
        constants: Mapping[int, Array],
        axes: Mapping[str, Sequence[str]],
        reader: ModelReader,
        partial: bool = False,
    ):
        trace = replace(trace, root=raise_built_groups(trace.root))
        self.trace, self.axes, self.reader, self.partial = trace, axes, reader, partial
        self.handlers = reader.handler_table
        self.low = Lowerer(trace, constants, self.handlers.name_weight)
        self.low.drops_paths = any(
            isinstance(c, FunctionCall) and c.function == "nn.DropPath" and drop_rate(c)
            for c in walk_calls(trace.root)
        )
        self.refusals: list[Refusal] = []
        self.unfinished: list[Refusal] = []  # of modules that are left to be finished
        self.unknown: set[int] = set()  # values that follow from a refused call
        self.inlined: set[str] = set()  # paths of modules that became a few steps
        self.outputs: list[NamedValue] = []  # of the model
        self.landmarks: list[Landmark] = []  # the results of functions, in the order of the calls
        self.model = Instance(trace.root, trace.root.class_name, [], [], [])

    def run(self) -> Instance:
        """Return the model as an instance; look at `refusals` before using it."""
        if not self.partial:
            self.refuse_unknown_functions()
        trace = self.trace
        values, inputs = {}, []
        for name, number in trace.inputs.items():
            traced = trace.values[number]
            dims = ((BATCH,), *((axis,) for axis in self.axes[name]))
            given = dict(zip(self.axes[name], traced.shape[1:], strict=True))
            order = put_channels_first(given) if self.handlers.has_channels_last else list(given)
            sizes = {axis: given[axis] for axis in order}
            entry = BlockInput(name, sizes, traced.dtype)
            values[number] = NamedValue(ValueSource(entry), sizes, dims, traced.dtype)
            inputs.append(entry)
        instance, outputs = self.lower_body(trace.root, values, inputs, list_results(trace.root))
        with self.low.inside("", values) as steps:
            self.outputs = [self.settle_output(value) for value in outputs]
        instance.steps += steps
        instance.outputs = [value.source for value in self.outputs]
        self.model = instance
        return instance

    def resolve_names(self) -> None:
        """Give the outputs and landmarks the names of axes that have been found."""
        self.outputs = [self.low.resolve(value) for value in self.outputs]
        self.landmarks = [replace(mark, value=self.low.resolve(mark.value)) for mark in self.landmarks]

    def settle_output(self, value: NamedValue) -> NamedValue:
        """Return an output with one axis for each dimension, without axes of one position that are merged with the batch."""
        value = self.settle_batch(self.low.resolve(value))
        if value.dims[:1] == ((BATCH,),):
            for dim in range(1, len(value.dims)):
                if len(value.dims[dim]) != 1:
                    value, _ = require_axis(self.low, value, dim)
        return value

    def settle_batch(self, value: NamedValue) -> NamedValue:
        """Remove axes of one position that the model merges with the batch at its end."""
        merged = [a for dim in value.dims if BATCH in dim for a in dim if a != BATCH]
        if not merged or any(value.axes[a] > 1 for a in merged):
            return value
        sizes = {a: n for a, n in value.axes.items() if a not in merged}
        dims = [(BATCH,) if BATCH in dim else dim for dim in value.dims]
        return self.low.emit("squeeze", [value], {"over": merged}, sizes=sizes, dims=dims)

    # ---------------------------------------------------------------------------------------- refusals

    def refuse_unknown_functions(self) -> None:
        """Record every function without a handler, once, with the number of its calls."""
        calls: dict[str, list[FunctionCall]] = {}
        places: dict[str, str] = {}
        for path, call in walk_functions(self.trace.root):
            if not self.handlers.has_handler(call.function):
                calls.setdefault(call.function, []).append(call)
                places.setdefault(call.function, call.path or path)
        for function, found in calls.items():
            times = f", called {len(found)} times," if len(found) > 1 else ""
            message = f"{function}{times} has no counterpart among the ops"
            self.refusals.append(Refusal("SB963", message, "", places[function], found[0].line))

    def refuse(self, error: Unsupported, call: Call) -> None:
        path = call.path or self.low.path
        self.refusals.append(Refusal(error.code, str(error), error.hint, path, call.line))

    # ------------------------------------------------------------------------------------------- calls

    def lower_body(
        self,
        call: ModuleCall,
        values: dict[int, NamedValue],
        inputs: list[BlockInput],
        results: Sequence[ValueRef],
    ) -> tuple[Instance, list[NamedValue]]:
        """Lower the calls in a module; returns the instance, and its results."""
        with self.low.inside(call.path, values, call.repetition > 0) as steps:
            self.lower_calls(call.body)
            known = [r for r in results if r.number not in self.unknown]
            outputs = []
            for ref in known:
                try:
                    outputs.append(self.low.value(ref))
                except Unsupported as error:
                    self.refuse(error, call)
            self.unknown |= {r.number for r in results if r.number in self.unknown}
            PatternFinder(self.low, outputs).unite_all()
        instance = Instance(call, call.class_name, inputs, steps, [v.source for v in outputs])
        return instance, outputs

    def lower_calls(self, calls: Iterable[Call]) -> None:
        for call in calls:
            results = (
                call.results if isinstance(call, FunctionCall) else [r.number for r in list_results(call)]
            )
            refs = (
                find_free_values(call, self.trace)[0]
                if isinstance(call, ModuleCall)
                else [
                    *list_refs(call.arguments),
                    *list_refs(call.keywords),
                ]
            )
            if any(r.number in self.unknown for r in refs):
                self.unknown.update(results)
                continue
            self.low.line = call.line
            try:
                if isinstance(call, ModuleCall):
                    self.lower_module(call)
                elif self.handlers.has_handler(call.function):
                    self.lower_function(call)
                elif self.partial:
                    raise Unsupported(f"{call.function} has no counterpart among the ops")
                else:
                    self.unknown.update(results)
            except Unsupported as error:
                self.refuse(error, call)
                self.unknown.update(results)

    def lower_function(self, call: FunctionCall) -> None:
        """Lower a function, and check the layout of its results against the traced shapes."""
        found = self.handlers.lower_call(self.low, call)
        for number, value in zip(call.results, found if isinstance(found, list) else [found], strict=False):
            if value is None:
                continue
            value, traced = self.low.resolve(value), self.trace.values[number].shape
            sizes = [value.dim_size(i, self.trace.batch) for i in range(len(value.dims))]
            if len(sizes) != len(traced) or any(a not in (b, 1) for a, b in zip(sizes, traced, strict=True)):
                raise Unsupported(
                    f"{call.function}: the axes {value.dims} of sizes {sizes} are not the shape {list(traced)}",
                    code="SB964",
                )
            self.low.values[number] = value
            self.landmarks.append(Landmark(number, value, call.line or find_layer(call)))

    def lower_module(self, call: ModuleCall) -> None:
        if not call.body:  # it returns its input
            return
        is_container = call.is_sequential
        is_first = call.repetition == 0 or self.low.is_repeated
        if is_container and (is_first or not call.has_weights):
            self.lower_calls(call.body)
            return
        free, results = find_free_values(call, self.trace)
        inputs: list[BlockInput] = []
        values: dict[int, NamedValue] = {}
        for ref in free:
            value = self.low.value(ref)
            name = name_input(call, ref, [i.name for i in inputs], len(free))
            entry = BlockInput(name, dict(value.axes), value.dtype)
            inputs.append(entry)
            values[ref.number] = NamedValue(ValueSource(entry), value.axes, value.dims, value.dtype)
        outer = {i: self.low.value(ref).source for i, ref in zip(inputs, free, strict=True)}
        count = len(self.refusals)
        instance, outputs = self.lower_body(call, values, inputs, results)
        if self.partial and len(self.refusals) > count and not is_container and not call.repetition:
            left = leave_unfinished(
                self.low, call, inputs, results, self.refusals[count].describe(), self.reader.usual_axes
            )
            if left is not None:
                instance, outputs = left
                self.unfinished += self.refusals[count:]
                del self.refusals[count:]
                self.unknown -= {r.number for r in results}
        if len(outputs) < len(results):
            self.unknown |= {r.number for r in results}
            return
        if is_container:
            outputs = [self.reuse_group(call, instance, outer, outputs)]
        elif self.is_inlined(call, instance):
            outputs = self.inline_steps(call, instance, outer, outputs)
        else:
            outputs = self.add_block(call, instance, outer, outputs)
        for ref, value in zip(results, outputs, strict=True):
            self.low.values[ref.number] = value

    # ------------------------------------------------------------------------------------------ blocks

    def is_inlined(self, call: ModuleCall, instance: Instance) -> bool:
        """Return whether a module becomes steps of the block around it."""
        if call.repetition:
            return call.path in self.inlined or (not call.has_weights and len(instance.steps) <= MAX_INLINED)
        weighted = [s for s in instance.steps if s.weights]
        has_blocks = any(s.instance for s in instance.steps)
        if not call.has_weights and not weighted:
            return len(instance.steps) <= MAX_INLINED and not has_blocks
        is_layer = len(weighted) == 1 and weighted[0].op != "weight"
        is_chain = all(len(step.sources) <= 1 for step in instance.steps)  # not a sum with the input
        return is_layer and is_chain and not has_blocks and len(instance.steps) <= MAX_AROUND_LAYER

    def inline_steps(
        self,
        call: ModuleCall,
        instance: Instance,
        outer: dict[BlockInput, ValueSource],
        outputs: list[NamedValue],
    ) -> list[NamedValue]:
        """Put the steps of a small module into the block around it, under the module's name."""
        self.inlined.add(call.path)
        for step in instance.steps:
            step.sources = [replace_source(s, outer) for s in step.sources]
            if step.weights:
                step.name = self.low.relative_path(call.path)
            elif step.name:
                step.name, step.hint = "", step.hint or step.name.rpartition(".")[2]
            if call.repetition and step.weights and not self.low.is_repeated:
                step.reused = self.first_use(step, call)
            self.low.steps.append(step)
        return [replace(v, source=replace_source(v.source, outer)) for v in outputs]

    def first_use(self, step: Step, call: ModuleCall) -> Step:
        """Return the step in this block that has the weights of a step already. Raises Unsupported SB966."""
        wanted = next(iter(step.weights.values()))
        first = next((s for s in self.low.steps if wanted in s.weights.values()), None)
        if first is None:
            raise Unsupported(f"{call.path} is used by two blocks", code="SB966")
        return first

    def reuse_group(
        self,
        call: ModuleCall,
        instance: Instance,
        outer: dict[BlockInput, ValueSource],
        outputs: list[NamedValue],
    ) -> NamedValue:
        """Apply a container of layers again."""
        path = self.low.relative_path(call.path)
        if not any(s.name.startswith(f"{path}.") for s in self.low.steps):
            raise Unsupported(f"{call.path} is used by two blocks", code="SB966")
        if len(outputs) != 1 or len(outer) != 1:
            raise Unsupported(f"{call.path} is used again with several inputs or results", code="SB966")
        [result] = outputs
        sources = list(outer.values())
        hint = hint_name(path)
        step = Step("reuse", sources=sources, axes=dict(result.axes), reused=path, line=call.line, hint=hint)
        self.low.steps.append(step)
        return replace(result, source=ValueSource(step))

    def add_block(
        self,
        call: ModuleCall,
        instance: Instance,
        outer: dict[BlockInput, ValueSource],
        outputs: list[NamedValue],
    ) -> list[NamedValue]:
        """Add a step that applies a block; the second time, it reuses the first."""
        names = tuple(i.name for i in instance.inputs) if len(instance.inputs) > 1 else ()
        step = Step(
            call.class_name,
            sources=list(outer.values()),
            roles=names,
            name=self.low.relative_path(call.path),
            axes=dict(outputs[0].axes) if outputs else {},
            instance=instance,
            line=call.line,
        )
        if self.low.is_repeated:
            pass  # the module around it is reused as a whole
        elif call.repetition:
            first, steps = self.low.block_steps.get(call.path, (None, []))
            if first is None or steps is not self.low.steps:
                raise Unsupported(f"{call.path} is used by two blocks", code="SB966")
            step.reused, step.instance, step.name, step.hint = first, first.instance, "", hint_name(step.name)
        else:
            self.low.block_steps[call.path] = step, self.low.steps
        self.low.steps.append(step)
        parts = [""] if len(outputs) == 1 else [f"out{i}" for i in range(len(outputs))]
        return [replace(v, source=ValueSource(step, part)) for v, part in zip(outputs, parts, strict=True)]


def hint_name(path: str) -> str:
    """Return the last word of a path that is no number, for a step that uses again what has this path."""
    return next((part for part in reversed(path.split(".")) if not part.isdigit()), "")


def find_layer(call: FunctionCall) -> str:
    """Return the name of a layer, for what has no line of code: the author's own, if folding has given it another path."""
    return str(call.settings.get("name", call.path))


def put_channels_first(axes: Iterable[str]) -> list[str]:
    """Return the axes of a map in the order in which a spec writes them."""
    names = list(axes)
    is_map = "H" in names and "C" in names
    return ["C", *(a for a in names if a != "C")] if is_map else names


def drop_rate(call: FunctionCall) -> float:
    return call.settings.get("drop_prob", call.settings.get("p")) or 0.0


def replace_source(source: ValueSource, outer: Mapping[BlockInput, ValueSource]) -> ValueSource:
    """Return the source outside for a source that is an input of a block."""
    return outer[source.step] if isinstance(source.step, BlockInput) else source


def walk_functions(call: ModuleCall) -> Iterator[tuple[str, FunctionCall]]:
    """Yield all functions inside a module with the path of the module that calls them."""
    for inner in call.body:
        if isinstance(inner, ModuleCall):
            yield from walk_functions(inner)
        else:
            yield call.path, inner


def list_results(call: ModuleCall) -> list[ValueRef]:
    """Return the values that a module gives, each once."""
    return list(dict.fromkeys(list_refs(call.result)))


def find_free_values(call: ModuleCall, trace: Trace) -> tuple[list[ValueRef], list[ValueRef]]:
    """Return the values that a module reads and did not make, in the order of its arguments, and its results."""
    made: set[int] = set()
    used: dict[ValueRef, None] = {}

    def note_use(refs: Iterable[ValueRef]) -> None:
        for ref in refs:
            if trace.values[ref.number].origin in ("call", "input") and ref.number not in made:
                used[ref] = None

    for inner in walk_calls(call):
        if isinstance(inner, FunctionCall):
            note_use(list_refs([inner.arguments, inner.keywords]))
            made.update(inner.results)
    results = list_results(call)
    note_use(results)
    given = {ref: i for i, ref in enumerate(list_refs([call.arguments, call.keywords]))}
    return sorted(used, key=lambda ref: given.get(ref, len(given) + ref.number)), results


def name_input(call: ModuleCall, ref: ValueRef, taken: Sequence[str], count: int) -> str:
    """Return the name of an input of a block: that in the author's `forward`, and `x` for a single one."""
    if count == 1:
        return "x"
    names = [
        name for name, argument in zip(call.input_names, call.arguments, strict=False) if argument == ref
    ]
    names += [name for name, argument in call.keywords.items() if argument == ref]
    name = next((n for n in names if n not in ("input", "inputs", "args", "self")), f"x{len(taken)}")
    return name if name not in taken else f"{name}{len(taken)}"
