"""The steps of a block so far, and the values that they give: in other layouts, with a batch, and their sizes."""

from __future__ import annotations

from msgspec.structs import replace

from specbuild.codegen.constructions import ComputedTable, Member, input_numbers, list_names, reads_names
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import LoweredStep, LoweredValue, graph_reference
from specbuild.codegen.operands import LoweringBackend, Operand
from specbuild.codegen.tree import Attribute, Call, Expr, Index, Literal, Name, ValuePlaceholder
from specbuild.codegen.tree_walk import walk_expression
from specbuild.expressions import expression_of
from specbuild.ir.axis_sources import follows_sizes, trace_axis
from specbuild.ir.graph import Block, Node, runtime_sizes
from specbuild.ops.types import TensorType


class ValueSteps:
    """The steps of one instance of a block, and its values by their keys."""

    def __init__(
        self,
        block: Block,
        layouts: tuple[Layout, ...],
        backend: LoweringBackend,
        value_numbers: dict[str, int],
    ):
        """`layouts` are those of the inputs."""
        self.block, self.backend, self.value_numbers = block, backend, value_numbers
        self.values = {
            name: LoweredValue(name, type_, layout)
            for (name, type_), layout in zip(block.inputs.items(), layouts, strict=True)
        }
        if not block.inputs and backend.calls_need_input:
            name = next(name for name in ("anchor", "anchor_") if block.find_node(name) is None)
            self.values[name] = LoweredValue(name, TensorType(), Layout((), ()))
        self.inputs = dict(self.values)
        self.steps: list[LoweredStep] = []
        self.value_keys = list(value_numbers)
        self.author_named: set[str] = set()  # values named by the author, in any layout
        self.conversions: dict[tuple[str, Layout], LoweredValue] = {}
        self.samples: dict[str, LoweredValue] = {}  # key of a value without a batch -> the same with one
        self.step_sizes: dict[str, tuple[str, int]] = {}  # see `LoweredBlock`

    def value_number(self, key: str) -> int:
        """Return the number of a value; all instances of a block use the same numbers."""
        if key not in self.value_numbers:
            self.value_numbers[key] = len(self.value_numbers)
            self.value_keys.append(key)
        return self.value_numbers[key]

    def give_batch(self, value: LoweredValue, like: LoweredValue | None) -> LoweredValue:
        """Return a value repeated for each sample of `like`, or else as a batch of one sample."""
        if value.layout.batched:
            return value
        if like is None and value.key in self.samples:
            return self.samples[value.key]
        if like is not None:  # axes that are folded into its batch are no samples
            like = Operand(self, like).unfold_axes().value
        suffix = "sample" if like is None else "batch"
        key = f"{value.key}~{suffix}"
        if key not in self.values:
            other = None if like is None else ValuePlaceholder(self.value_number(like.key))
            call = self.backend.add_batch(ValuePlaceholder(self.value_number(value.key)), value.layout, other)
            layout = replace(value.layout, batched=True)
            named = value.key in self.author_named
            step = LoweredStep(key, tuple(self.read_keys(call)), call, layout, named=named)
            self.add_step(step, value.type.with_batch())
        return self.values[key]

    def drop_batch(self, value: LoweredValue) -> LoweredValue:
        """Return the first sample of a value that is the same for every sample."""
        if not value.layout.batched:
            return value
        key = f"{value.key}~first"
        call = Index(ValuePlaceholder(self.value_number(value.key)), (Literal(0),))
        layout = replace(value.layout, batched=False)
        named = value.key in self.author_named
        type_ = replace(value.type, batched=False)
        self.add_step(LoweredStep(key, (value.key,), call, layout, named=named), type_)
        self.samples[key] = value
        return self.values[key]

    def output_layout(self, name: str, value: LoweredValue) -> Layout:
        """Return the layout of an output of the model: the order of the spec, or the framework's own."""
        order = self.block.outputs[name].order or self.backend.natural_order(value.type)
        return Layout(order, (), value.layout.batched)

    def convert_to_natural_order(self, value: LoweredValue) -> LoweredValue:
        layout = Layout(self.backend.natural_order(value.type), (), value.layout.batched)
        return self.convert_value(value, layout)

    def check_sizes_known(self, node: Node | None, code: Expr, member: Member | None = None) -> None:
        """Raise SB601 if the code of a model reads a size that can be any, and the backend cannot do this."""
        block = self.block
        if self.backend.models_read_sizes or not block.free_axes:
            return
        sources = {**runtime_sizes(block), **block.step_sizes}
        codes = (code, member) if isinstance(member, ComputedTable) else (code,)
        names = [name for x in codes for name in list_names(x)]
        if any(sources.get(name) in block.free_axes for name in names) or any(
            self.reads_free_size(part) for part in walk_expression(code)
        ):
            at = block.at if node is None else node.at
            message = f"{self.backend.name} cannot express this for sizes that can be any: the function that makes a "
            message += "model does not know them"
            raise at.error("SB601", message, "put this step into a block, which becomes a layer")

    def reads_free_size(self, part: Expr) -> bool:
        """Return whether code reads a size that can be any from the shape of a value."""
        match part:
            case Index(Attribute(ValuePlaceholder(number), "shape"), (dims,)):
                free = self.free_dims(number)
                is_single = isinstance(dims, Literal) and isinstance(dims.value, int)
                return free[dims.value] if is_single else any(free)  # type: ignore[union-attr,index]
            case Call(Name(function), args) if function in self.backend.size_readers:
                return any(any(self.free_dims(number)) for x in args for number in input_numbers(x))
        return False

    def free_dims(self, number: int) -> list[bool]:
        """Return for each dimension of a value whether its size can be any."""
        key = self.value_keys[number]
        layout = self.layout_of(key)
        axes = [*([""] if layout.batched else []), *layout.order]
        return [(graph_reference(key), axis) in self.block.free_axes for axis in axes]

    def add_step(self, step: LoweredStep, type_: TensorType) -> None:
        self.steps.append(step)
        if step.named and not step.layer_name:
            self.author_named.add(step.key)
        self.values[step.key] = LoweredValue(step.key, type_, step.layout)

    def read_keys(self, expr: Expr, member: Member | None = None) -> list[str]:
        """Return the keys of the values that an expression reads, without duplicates, in reading order.

        Among them are those whose sizes it, or a table in `member`, reads.
        """
        keys = [self.value_keys[number] for number in input_numbers(expr)]
        codes = (expr, member) if isinstance(member, ComputedTable) else (expr,)
        names = dict.fromkeys(name for code in codes for name in list_names(code))
        keys += [self.size_value(name).key for name in names if name in self.block.step_sizes]
        return list(dict.fromkeys(keys))

    def reads_step_sizes(self, expr: Expr) -> bool:
        return reads_names(expr, self.block.step_sizes)

    def size_value(self, name: str) -> LoweredValue:
        """Return the value from whose shape code reads a size of a step."""
        ref, axis = self.block.step_sizes[name]
        value = Operand(self, self.values[ref]).unfold_axes().value
        self.step_sizes[name] = value.key, value.layout.dim(axis)
        self.value_number(value.key)  # code that reads nothing but its size needs its number
        return value

    def convert_value(self, value: LoweredValue, layout: Layout) -> LoweredValue:
        """Return the value in another layout.

        The first request adds a conversion step after the value's own.
        """
        if value.layout == layout:
            return value
        key = (value.key, layout)
        if key not in self.conversions:
            label = "".join(layout.order) + (
                "" if not layout.batch_axes else "_" + "".join(layout.batch_axes)
            )
            known_sizes = self.visible_sizes(value) if value.layout.batch_axes != layout.batch_axes else {}
            call = self.backend.convert_layout(
                ValuePlaceholder(self.value_number(value.key)), value.type, value.layout, layout, known_sizes
            )
            self.check_sizes_known(self.block.find_node(value.key.partition("@")[0]), call)
            reads = tuple(self.read_keys(call))
            step = LoweredStep(
                f"{value.key}~{label}", reads, call, layout, named=value.key in self.author_named
            )
            self.steps.insert(self.position_after(value.key), step)
            self.conversions[key] = LoweredValue(step.key, value.type, layout)
        return self.conversions[key]

    def visible_sizes(self, value: LoweredValue) -> dict[str, Expr]:
        """Return code for the sizes of folded axes that can be read from the shape of an input or of a step before.

        Symbolic sizes need no such code.
        """
        sizes: dict[str, Expr] = {}
        for axis in value.layout.batch_axes:
            if expression_of(value.type[axis]) is not None or (at := self.locate_size(value, axis)) is None:
                continue
            shape = Attribute(ValuePlaceholder(self.value_number(at[0])), "shape")
            sizes[axis] = Index(shape, (Literal(at[1]),))
        return sizes

    def locate_size(self, value: LoweredValue, axis: str) -> tuple[str, int] | None:
        """Return a value that has a folded axis as a dimension of its own, and the dimension; None if the size is fixed."""
        ref = graph_reference(value.key)
        if (source := trace_axis(self.block, ref, axis)) is not None:
            layout = self.inputs[source[0]].layout
            return (source[0], layout.dim(source[1])) if layout.batched else None
        key: str | None = value.key if follows_sizes(self.block, ref, axis) else None
        while key is not None:
            layouts = {read: self.layout_of(read) for read in self.keys_read_for(key)}
            for read, layout in layouts.items():
                type_ = self.values[read.partition("~")[0]].type  # a conversion changes the layout only
                if layout.batched and axis in layout.order and type_[axis] == value.type[axis]:
                    return read, layout.dim(axis)
            key = next((read for read, layout in layouts.items() if axis in layout.batch_axes), None)
        return None

    def keys_read_for(self, key: str) -> tuple[str, ...]:
        """Return the keys of the values that the step of a value computes with, not those whose sizes alone it reads."""
        calls = (step.call for step in reversed(self.steps) if key in (step.key, *step.parts))
        call = next(calls, None)
        return () if call is None else tuple(self.value_keys[number] for number in input_numbers(call))

    def layout_of(self, key: str) -> Layout:
        if key in self.values:
            return self.values[key].layout
        return next(step.layout for step in reversed(self.steps) if key in (step.key, *step.parts))

    def position_after(self, key: str) -> int:
        """Return the index after the step that computes a value.

        For an input of the block, after all steps.
        """
        keys = {key, key.partition("@")[0]}  # one of several results has the name of its step before the sign
        for index in range(len(self.steps) - 1, -1, -1):
            step = self.steps[index]
            if step.key in keys and (step.key == key or key in step.parts):
                return index + 1
        return len(self.steps)
