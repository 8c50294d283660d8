"""Sizes that the code of a block reads from the shapes of its inputs: `height, width = x.shape[2:]`.

The constructor fixes what layers and weights need. Everything else follows the input, whatever its size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec, InputSize
from specbuild.codegen.constructions import INDEX_VARIABLE, ComputedTable
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep
from specbuild.codegen.tree import Attribute, Expr, Index, Literal, Name, ValuePlaceholder
from specbuild.codegen.tree_walk import map_children, walk_expression
from specbuild.ir.graph import runtime_sizes


class InputSizeReader:
    """Replaces the names of sizes in the code of a class by values that are read from its inputs."""

    def __init__(self, group: Sequence[LoweredBlock], value_numbers: dict[str, int]):
        self.value_numbers = value_numbers
        self.known: dict[str, InputSize] = {}
        self.varying: set[str] = set()  # sizes whose dimension depends on whether the input has a batch
        self.reads_varying = False
        self.shapes: dict[Expr, str] = {}  # code that reads a size from the shape of an input -> its name
        self.is_consistent = True  # whether every instance has each size in the same dimension
        for name, (source, axis) in runtime_sizes(group[0].block).items():
            if any(source not in lowered.inputs for lowered in group):
                self.varying.add(name)  # there is no size where the input is not given
                continue
            if any(axis not in lowered.inputs[source].layout.order for lowered in group):
                continue  # merging refuses code that reads it
            dims = {lowered.inputs[source].layout.dim(axis) for lowered in group}
            if (
                len(dims) > 1
                and len({lowered.inputs[source].layout.order.index(axis) for lowered in group}) == 1
            ):
                self.varying.add(name)
                continue
            self.known[name] = InputSize(source, min(dims), name)
            self.is_consistent &= len(dims) == 1
            shape = Attribute(ValuePlaceholder(value_numbers.setdefault(source, len(value_numbers))), "shape")
            self.shapes[Index(shape, (Literal(min(dims)),))] = name
        self.step_sizes, varying = find_step_sizes(group)
        self.varying |= varying
        self.used: dict[str, InputSize] = {}  # by the key of the value

    def read_sizes(self, step: LoweredStep) -> LoweredStep:
        """Return the step with its sizes read from the inputs."""
        found: dict[str, None] = {}
        if isinstance(step.member, ComputedTable):  # its code is read from the inputs later
            self.reads_varying |= table_reads_names(step.member, self.varying)
        call = self.replace_names(step.call, found)
        if call is step.call and not found:
            return step
        return replace(step, call=call, inputs=tuple(dict.fromkeys((*step.inputs, *found))))

    def replace_names(self, expr: Expr, found: dict[str, None]) -> Expr:
        """Replace the names of sizes by values; adds the keys of these values to `found`."""
        name = expr.text if isinstance(expr, Name) else ""
        if isinstance(expr, Index):
            name = self.shapes.get(expr, "")
        self.reads_varying |= name in self.varying
        if name in self.step_sizes:
            source, dim = self.step_sizes[name]
            found[source] = None
            return Index(Attribute(ValuePlaceholder(self.value_numbers[source]), "shape"), (Literal(dim),))
        if name in self.known:
            key = f"{name}~size"
            self.used[key] = self.known[name]
            found[key] = None
            return ValuePlaceholder(self.value_numbers.setdefault(key, len(self.value_numbers)))
        return map_children(expr, lambda part: self.replace_names(part, found))


def find_step_sizes(group: Sequence[LoweredBlock]) -> tuple[dict[str, tuple[str, int]], set[str]]:
    """Return the sizes of steps: by its variable, the key of the value and the dimension.

    With it, the variables of those that are not the same in every instance.
    """
    found: dict[str, tuple[str, int]] = {}
    varying: set[str] = set()
    for lowered in group:
        for name, source in lowered.step_sizes.items():
            if found.setdefault(name, source) != source:
                varying.add(name)
    return {name: source for name, source in found.items() if name not in varying}, varying


# Completes the code of a table: gets the code, an input of the block, and the dtype of the table. The dtype is
# None for the indices of an axis, and if the input does not have it.
CompleteTable = Callable[[Expr, Expr, str | None], Expr]


def compute_tables(class_spec: ClassSpec, complete: CompleteTable) -> ClassSpec:
    """Return the class with code that computes the tables whose sizes its constructor does not have."""
    names = class_spec.block.readable_sizes - class_spec.params.keys()
    reader = InputSizeReader(class_spec.instances, class_spec.value_numbers)
    reader.used.update(class_spec.sizes)
    inputs = class_spec.first_instance.inputs
    if not inputs:  # it has no sizes
        return class_spec
    floats = [key for key, value in inputs.items() if value.type.dtype == "float"]
    like = (floats or list(inputs))[0]
    steps: list[LoweredStep] = []
    computed: set[str] = set()  # the names of steps whose tables are computed in the code

    def complete_step(step: LoweredStep, dtype: str | None) -> LoweredStep:
        number = class_spec.value_numbers.setdefault(like, len(class_spec.value_numbers))
        code = complete(step.call, ValuePlaceholder(number), dtype)
        read = (like,) if ValuePlaceholder(number) in walk_expression(code) else ()
        return reader.read_sizes(replace(step, call=code, inputs=tuple(dict.fromkeys((*step.inputs, *read)))))

    for step in class_spec.steps:
        table = step.member
        if step.member is None and step.layer_name in computed:  # the step reuses a table
            steps.append(refer_to_table(step, class_spec.value_numbers))
        elif not isinstance(table, ComputedTable) or not table_reads_names(table, names):
            steps.append(step)
        else:
            computed.add(step.layer_name)
            keys = {name: f"{name.removesuffix(INDEX_VARIABLE)}~{step.key}" for name, _ in table.variables}
            numbers = {
                name: class_spec.value_numbers.setdefault(key, len(class_spec.value_numbers))
                for name, key in keys.items()
            }
            for name, code in table.variables:
                index = replace(
                    step, key=keys[name], member=None, layer_name="", named=True, doc="", when=None
                )
                steps.append(complete_step(replace(index, call=code), None))
            value = replace_variables(table.value, numbers)
            dtype = class_spec.block.value_type(step.node).dtype
            whole = replace(step, member=None, layer_name="", call=value, inputs=tuple(keys.values()))
            steps.append(complete_step(whole, dtype if floats or dtype != "float" else None))
    return replace(class_spec, steps=steps, sizes=reader.used)


def refer_to_table(step: LoweredStep, value_numbers: Mapping[str, int]) -> LoweredStep:
    """Return the step that reuses a table, as a step that reads the value of the table."""
    return replace(
        step, layer_name="", inputs=(step.layer_name,), call=ValuePlaceholder(value_numbers[step.layer_name])
    )


def table_reads_names(table: ComputedTable, names: Iterable[str]) -> bool:
    """Return whether the code of a table has one of these names."""
    parts = (
        part
        for code in (*(code for _, code in table.variables), table.value, *table.shape)
        for part in walk_expression(code)
    )
    return any(isinstance(part, Name) and part.text in names for part in parts)


def replace_variables(expr: Expr, numbers: Mapping[str, int]) -> Expr:
    """Replace the variables of a table by values."""
    if isinstance(expr, Name) and expr.text in numbers:
        return ValuePlaceholder(numbers[expr.text])
    return map_children(expr, lambda part: replace_variables(part, numbers))
