"""Code of the shapes for which the layers of a block are built."""

from __future__ import annotations

from typing import Any

from specbuild.backends.indexing import NEW_AXIS, WHOLE_AXIS
from specbuild.backends.keras.channel_sizes import creates_in_build
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.code_names import rename_reads
from specbuild.codegen.exact_divisions import find_exact_divisions, shorten_products
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.layout import Layout
from specbuild.codegen.lowered_steps import graph_reference
from specbuild.codegen.merged_params import instance_values
from specbuild.codegen.parameter_reads import call_parameters, qualify_code
from specbuild.codegen.tree import Expr, Index, ListOf, Literal, Name, TupleOf, ValuePlaceholder
from specbuild.codegen.tree_walk import map_children
from specbuild.expressions import Expression, concrete, expression_of
from specbuild.expressions.common_expressions import CommonExpressions
from specbuild.ir.graph import Block, block_size_names
from specbuild.ops.types import CHANNEL, TensorType

ONE_POSITION = (WHOLE_AXIS, Literal(0))  # of a sequence that is scanned


class UnknownShape(Exception):
    """Raised if a size that a layer needs has no expression."""


class LayerShapes:
    """Writes the shapes of the values of a class, from the shapes that its method `build` gets."""

    def __init__(self, class_spec: ClassSpec):
        self.class_spec = class_spec
        arguments, first = list(class_spec.arguments), class_spec.first_instance
        is_single = len(arguments) == 1
        self.names = {name: "input_shape" if is_single else f"{name}_shape" for name in arguments}
        self.key_of = {number: key for key, number in reversed(class_spec.value_numbers.items())}
        self.words = {word: name for name, word in class_spec.param_words.items()} | dict(
            class_spec.equal_names
        )
        self.exact = find_exact_divisions(class_spec.guards)
        self.layouts = {step.key: step.layout for step in class_spec.steps}
        for step in class_spec.steps:
            self.layouts |= {part: first.layouts.get(part, step.layout) for part in step.parts}
        self.layouts |= {name: value.layout for name, value in first.inputs.items()}
        # whether inputs have sizes without a name, which other sizes may follow without telling it
        self.nameless_axes = {
            axis == CHANNEL
            for lowered in class_spec.instances
            for x in lowered.block.inputs.values()
            for axis, size in x.sizes.items()
            if expression_of(size) is None
        }
        # the dimensions of each argument that the method reads, counted from the end; None for all of them
        self.needs: dict[str, frozenset[int] | None] = dict.fromkeys(self.names, frozenset())
        self.attributes = call_parameters(class_spec)
        self.variables: dict[str, Expr] = {}  # those of the method
        self.channels: dict[str, Expr] = {}  # those of them that are channels of inputs
        # whether the method also creates the layers, and so has all that is derived from arguments in variables
        self.has_layers_in_build = creates_in_build(class_spec)

    def shape(self, operand: Expr, needed: frozenset[int] | None) -> Expr:
        """Return the code of the shape of an operand, with those sizes that are needed."""
        if isinstance(operand, ListOf):
            return self.list_shape(operand, needed)
        if isinstance(operand, ValuePlaceholder):
            return self.value_shape(self.key_of[operand.index], needed)
        if isinstance(operand, Index) and isinstance(operand.of, ValuePlaceholder):
            key = self.key_of[operand.of.index]
            if operand.items == ONE_POSITION:
                whole = self.value_shape(key, needed, is_input=False)
                assert isinstance(whole, TupleOf)
                position = 1 if self.layout(key).batched else 0
                return TupleOf(tuple(n for i, n in enumerate(whole.items) if i != position))
            if operand.items[:1] == (NEW_AXIS,) and not self.layout(key).batched:
                return self.value_shape(key, needed, lead=1, is_input=False)
        raise UnknownShape

    def list_shape(self, operand: ListOf, needed: frozenset[int] | None) -> Expr:
        items = [self.shape(item, needed) for item in operand.items]
        for name, variables in self.class_spec.arguments.items():
            whole = self.names[name]
            if variables and items == [Index(Name(whole), (Literal(i),)) for i in range(len(variables))]:
                return Name(whole)
        return ListOf(tuple(items))

    def value_shape(
        self, key: str, needed: frozenset[int] | None, lead: int = 0, is_input: bool = True
    ) -> Expr:
        """Return the shape of a value, with None for the batch, other leading dimensions, and what is not needed."""
        layout = self.layout(key)
        if is_input and (source := self.find_equal_input(key, layout)) is not None:
            self.note_need(source, needed)
            return self.input_shape(source)
        if len({len(type_of_value(lowered.block, key).axes) for lowered in self.class_spec.instances}) > 1:
            raise UnknownShape  # one class for values of several ranks
        sizes: list[Expr] = [Literal(None)] * (lead + layout.batched)
        for position, axis in enumerate(layout.order):
            dim = position - len(layout.order)
            if needed is None or dim in needed:
                sizes.append(self.size(key, axis))
            else:
                sizes.append(self.size_or_none(key, axis) if dim == -1 else Literal(None))
        return TupleOf(tuple(sizes))

    def find_equal_input(self, key: str, layout: Layout) -> str | None:
        """Return the input that always has the shape of a value; itself, if the value is an input."""
        inputs = self.class_spec.first_instance.inputs
        if key in inputs:
            return key
        for source, value in inputs.items():
            if value.layout == layout and source not in self.class_spec.optional_inputs:
                pairs = [
                    (type_of_value(x.block, key), x.inputs[source].type) for x in self.class_spec.instances
                ]
                if all(size_expressions(a) == size_expressions(b) for a, b in pairs):
                    return source
        return None

    def layout(self, key: str) -> Layout:
        if key not in self.layouts:
            raise UnknownShape
        return self.layouts[key]

    def input_shape(self, source: str) -> Expr:
        """Return the code of the shape of an input: a parameter of the method, or an item of one."""
        variable = self.class_spec.input_names[source]
        for name, variables in self.class_spec.arguments.items():
            if variables and variable in variables:
                return Index(Name(self.names[name]), (Literal(variables.index(variable)),))
        return Name(self.names[variable])

    def note_need(self, source: str, needed: frozenset[int] | None) -> None:
        """Record which sizes of an input the method reads."""
        variable = self.class_spec.input_names[source]
        argument = next(
            n for n, v in self.class_spec.arguments.items() if n == variable or variable in (v or ())
        )
        before = self.needs.get(argument, frozenset())
        self.needs[argument] = None if before is None or needed is None else before | needed

    def size_or_none(self, key: str, axis: str) -> Expr:
        try:
            return self.size(key, axis)
        except UnknownShape:
            return Literal(None)

    def size(self, key: str, axis: str) -> Expr:
        """Return the code of a size. Raises UnknownShape if no expression gives it in every instance."""
        sizes = [type_of_value(lowered.block, key)[axis] for lowered in self.class_spec.instances]
        values = [concrete(size) for size in sizes]
        expressions = dict.fromkeys(expression_of(size) for size in sizes)
        if list(expressions) == [None] and len(set(values)) == 1:
            if (axis == CHANNEL) in self.nameless_axes:
                raise UnknownShape
            return Literal(values[0])
        # an instance that skips a step has shorter expressions for the sizes after it
        scopes = [instance_values(lowered.block) for lowered in self.class_spec.instances]
        expression = CommonExpressions(scopes).find((e for e in expressions if e is not None), values)
        if not isinstance(expression, Expression):
            raise UnknownShape
        code = rename_reads(expression_code(expression), self.words)
        return self.write_names(shorten_products(code, self.exact), is_part=False)

    def write_names(self, code: Expr, is_part: bool) -> Expr:
        """Return an expression of the spec with its names as attributes of the layer, or as sizes of inputs."""
        if isinstance(code, Name):
            head, dot, rest = code.text.partition(".")
            name = self.words.get(head, head)
            if name in self.class_spec.params:
                return Name(f"self.{self.class_spec.attribute_of(name)}{dot}{rest}")
            if name in self.class_spec.built_sizes:
                return self.read_channels(name)
            if name in self.class_spec.derived:
                if self.has_layers_in_build:
                    return code
                if name in self.attributes:
                    return Name(f"self.{self.class_spec.attribute_of(name)}")
                self.variables[name] = qualify_code(self.class_spec.derived[name], self.class_spec, "self")
                return Name(name)
            return self.input_size(code.text, is_part)
        return map_children(code, lambda part: self.write_names(part, is_part=True))

    def read_channels(self, name: str) -> Expr:
        """Return the variable of the method that holds the channels of an input."""
        source = self.class_spec.built_sizes[name]
        self.note_need(source, frozenset({-1}))
        self.channels[name] = Index(self.input_shape(source), (Literal(-1),))
        return Name(name)

    def input_size(self, name: str, is_part: bool) -> Expr:
        """Return the size of an input by its name. Other sizes than channels may be None: nothing is computed from them."""
        sources = {block_size_names(lowered.block).get(name) for lowered in self.class_spec.instances}
        if len(sources) != 1 or (source := sources.pop()) is None:
            raise UnknownShape
        input_, axis = source
        layouts = [lowered.inputs[input_].layout for lowered in self.class_spec.instances]
        dims = {x.order.index(axis) - len(x.order) for x in layouts if axis in x.order}
        if len(dims) != 1 or any(axis not in x.order for x in layouts):
            raise UnknownShape
        [dim] = dims
        if is_part and dim != -1:
            raise UnknownShape
        self.note_need(input_, frozenset({dim}))
        return Index(self.input_shape(input_), (Literal(dim),))


def type_of_value(block: Block, key: str) -> TensorType:
    """Return the type of a value in any layout. The value of a row is that of its last layer."""
    ref = graph_reference(key)
    if ref in block.groups:
        ref = [node.name for node in block.nodes if node.name.startswith(f"{ref}.")][-1]
    return block.value_type(ref)


def size_expressions(x: TensorType) -> tuple[Any, ...]:
    """Return the axes of a value with their sizes, as expressions where they have some."""
    return tuple((axis, expression_of(size) or concrete(size)) for axis, size in x.sizes.items())
