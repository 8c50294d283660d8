"""The function of an emitted file that joins layers into a `keras.Model`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from specbuild.backends.docstrings import class_docstring
from specbuild.backends.keras.automatic_names import reserve_automatic_names
from specbuild.backends.keras.fixed_shapes import refuse_open_shapes
from specbuild.backends.keras.layers import (
    attribute_name,
    emit_layer,
    emit_weight_layer,
    freeze_layers,
    frozen_layers,
    is_layer_list,
    is_weight,
    layer_reference,
)
from specbuild.backends.keras.symbolic_shapes import fix_symbolic_steps
from specbuild.backends.module_parts import (
    condition_code,
    constructor_parameters,
    emit_computed,
    frozen_parts,
    guard_statements,
)
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, literal_expression, map_expressions
from specbuild.codegen.fixed_conditions import decide_condition
from specbuild.codegen.input_sizes import table_reads_names
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.size_checks import SizeCheck
from specbuild.codegen.statements import StatementWriter
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Call,
    DictOf,
    Expr,
    Function,
    Index,
    ListOf,
    Literal,
    Name,
    Parameter,
    Return,
    Statement,
)
from specbuild.codegen.tree_walk import map_children
from specbuild.expressions import concrete
from specbuild.ir.fixed_sizes import list_input_sizes
from specbuild.ir.graph import runtime_sizes


class ModelFunction:
    """Builds the function. A layer that is called only once is created where it is called."""

    def __init__(self, class_spec: ClassSpec, helpers: Mapping[str, str]):
        class_spec = fix_tables_of_steps(class_spec)
        self.class_spec, self.helpers = class_spec, helpers
        self.size_code = {  # of the sizes that tables read
            variable: Index(Attribute(Name(class_spec.input_names[source]), "shape"), (Literal(dim),))
            for variable, source, dim in input_dims(class_spec)
        }
        self.inputs: list[Expr] = [Name(name) for name in class_spec.input_names.values()]
        # layers that are called again or frozen have a variable
        self.layers_with_variable = {
            *(
                self.variable_step(s.layer_name)
                for s in class_spec.steps
                if s.member is None and s.layer_name
            ),
            *(step.layer_name for step, _ in frozen_parts(class_spec)),
        }
        self.tables = {s.layer_name for s in class_spec.steps if isinstance(s.member, ComputedTable)}
        self.weights = {s.layer_name for s in class_spec.steps if is_weight(s)}
        self.layer_lists = {s.layer_name for s in class_spec.steps if is_layer_list(s.member)}

    def build(self) -> Function:
        class_spec = self.class_spec
        body = [
            *guard_statements(class_spec),
            *(Assign(name, expr) for name, expr in class_spec.derived.items()),
            *guard_statements(class_spec, derived=True),
            *refuse_open_shapes(class_spec),
            *self.input_statements(),
            *self.layer_statements(),
            *freeze_layers(frozen_layers(class_spec, self.layer_variable)),
            *self.table_statements(),
        ]
        statements, outputs = self.call_statements()
        model = Call(
            Name("keras.Model"),
            (self.inputs[0] if len(self.inputs) == 1 else ListOf(tuple(self.inputs)), self.join(outputs)),
            (("name", Literal(class_spec.name)),),
        )
        names = reserve_automatic_names(self.chosen_names(), statements, self.helpers)
        return Function(
            class_spec.name,
            (*constructor_parameters(class_spec), *self.shape_parameters()),
            "keras.Model",
            class_docstring(class_spec, is_model=True, more=self.describe_shapes()),
            (*names, *body, *statements, Return(model)),
        )

    def shape_parameters(self) -> list[Parameter]:
        """Return a parameter for the shape of each input, without the batch."""
        parameters = []
        for word, value in self.class_spec.first_instance.inputs.items():
            name = self.class_spec.input_names[word]
            free = self.class_spec.block.free_axes
            shape = tuple(None if (word, a) in free else value.type[a] for a in value.layout.order)
            parameters.append(Parameter(f"{name}_shape", "tuple[int | None, ...]", literal_expression(shape)))
        return parameters

    def describe_shapes(self) -> dict[str, str]:
        """Return a description of the parameter for the shape of each input."""
        names = {word: self.class_spec.input_names[word] for word in self.class_spec.first_instance.inputs}
        return {
            f"{name}_shape": f"shape of {word} without the batch; None for a size that varies"
            for word, name in names.items()
        }

    def input_statements(self) -> list[Statement]:
        """Return the statements that create the inputs of the model."""
        statements: list[Statement] = []
        for word, value in self.class_spec.first_instance.inputs.items():
            name = self.class_spec.input_names[word]
            dtype = () if value.type.dtype == "float" else (("dtype", Literal(value.type.dtype)),)
            keywords = (*dtype, ("name", Literal(word)))
            statements.append(Assign(name, Call(Name("keras.Input"), (Name(f"{name}_shape"),), keywords)))
        return statements

    def layer_statements(self) -> list[Statement]:
        """Return the statements that create the layers with a variable."""
        created: dict[str, Statement] = {}
        for step in self.class_spec.steps:
            if step.member is None or isinstance(step.member, ComputedTable):
                continue
            if step.layer_name in self.layers_with_variable and step.layer_name not in created:
                name = Literal(attribute_name(step))
                layer = emit_weight_layer(step) if is_weight(step) else emit_layer(step.member, name)
                created[step.layer_name] = Assign(self.layer_variable(step), layer)
        return list(created.values())

    def table_statements(self) -> list[Statement]:
        """Return the statements that compute the tables. If a layer reads a table, it becomes a layer too."""
        class_spec = self.class_spec
        used_names = {
            *class_spec.used_variables,
            *class_spec.input_names.values(),
            *(s.key for s in class_spec.steps),
        }
        read_by_layers = tables_read_by_layers(class_spec)
        statements: list[Statement] = []
        for step in class_spec.steps:
            if isinstance(step.member, ComputedTable):
                member = map_expressions(step.member, self.read_sizes)
                assert isinstance(member, ComputedTable)
                before, table = emit_computed(member, used_names)
                if step.key in read_by_layers:
                    layer = Call(Name("Table"), (table,), (("name", Literal(attribute_name(step))),))
                    table = Call(layer, (self.inputs[0],))
                statements += [*before, Assign(self.table_variable(step), table)]
        return statements

    def read_sizes(self, expr: Expr) -> Expr:
        """Return the code of a table with the sizes that it needs read from the inputs."""
        if isinstance(expr, Name):
            return self.size_code.get(expr.text, expr)
        return map_children(expr, self.read_sizes)

    def call_statements(self) -> tuple[list[Statement], list[Expr]]:
        """Return the statements that call the layers, and the outputs."""
        steps, inputs = self.class_spec.steps, self.class_spec.first_instance.inputs
        writer = StatementWriter(
            fix_symbolic_steps(self.class_spec),
            self.layer_expression,
            lambda step: condition_code(step, self.class_spec),
            indent=4,
            checks_sizes=True,
            compare_function=Name("match_size"),
            replaces_inputs=True,
            rows_are_lists=True,
        )
        writer.live_until |= {
            self.table_variable(step): len(steps) for step in steps if isinstance(step.member, ComputedTable)
        }
        outputs = writer.write_statements()
        if len(outputs) == 1 and not isinstance(outputs[0], Name):
            variable = next(name for name in ("x", "out", "result") if name not in inputs)
            writer.statements.append(Assign(variable, outputs[0]))
            outputs = [Name(variable)]
        return writer.statements, outputs

    def join(self, outputs: list[Expr]) -> Expr:
        """Return the outputs of the model: one value, or a dict by name."""
        if len(outputs) == 1:
            return outputs[0]
        names = self.class_spec.first_instance.outputs
        return DictOf(tuple((Literal(name), value) for name, value in zip(names, outputs, strict=True)))

    def chosen_names(self) -> list[str]:
        """Return the names of the inputs and layers, which the author chose."""
        layers = (s for s in self.class_spec.steps if s.member and not isinstance(s.member, ComputedTable))
        return [
            *self.class_spec.first_instance.inputs,
            *map(attribute_name, layers),
            *self.inner_layer_names(),
        ]

    def inner_layer_names(self) -> list[str]:
        """Return the names of layers inside other layers that the model calls itself.

        Raises SB601 if the model would then have two layers of one name, which Keras refuses.
        """
        steps = [s for s in self.class_spec.steps if self.class_spec.find_owner(s.layer_name)]
        own = {s.layer_name.replace(".", "_") for s in self.class_spec.steps if s.member is not None}
        names: dict[str, str] = {}
        for step in steps:
            name, inner_class = self.find_inside(step.layer_name)
            node = self.class_spec.block.find_node(step.node)
            assert node is not None
            if any(is_weight(s) and attribute_name(s) == name for s in inner_class.steps):
                message = "keras cannot express this reuse: a model cannot read a weight inside another layer"
                raise node.at.error(
                    "SB601", message, "make the weight a step of the model, and give it to the block"
                )
            if name in own or names.setdefault(name, step.layer_name) != step.layer_name:
                message = f"keras cannot express this reuse: the model would have two layers named {name}"
                raise node.at.error(
                    "SB601", message, "give one of the steps another name, or put them into a block"
                )
        return list(names)

    def find_inside(self, layer_name: str) -> tuple[str, ClassSpec]:
        """Return the name that a layer inside another layer has there, and the class that has it."""
        class_spec = self.class_spec
        while owner := class_spec.find_owner(layer_name):
            _, class_spec, layer_name = owner
        return layer_name.replace(".", "_"), class_spec

    def layer_variable(self, step: LoweredStep) -> str:
        return f"{attribute_name(step)}_layer{'s' if step.layer_name in self.layer_lists else ''}"

    def table_variable(self, step: LoweredStep) -> str:
        name = attribute_name(step)
        while name in self.class_spec.used_variables:
            name += "_"
        return name

    def variable_step(self, layer_name: str) -> str:
        """Return the step whose layer is, or contains, this layer."""
        owner = self.class_spec.find_owner(layer_name)
        return layer_name if owner is None else owner[0]

    def layer_expression(self, step: LoweredStep) -> Expr:
        """Return the layer, table or weight that a step calls or reads."""
        if owner := self.class_spec.find_owner(step.layer_name):
            step_name, inner_class, inner_name = owner
            variable = Name(f"{step_name.replace('.', '_')}_layer")
            return layer_reference(inner_class, inner_name, variable)
        if step.layer_name in self.tables:
            return Name(self.table_variable(step))
        if step.layer_name in self.layers_with_variable:
            layer = Name(self.layer_variable(step))
            return Call(layer, (self.inputs[0],)) if step.layer_name in self.weights else layer
        assert step.member is not None
        if is_weight(step):
            return Call(emit_weight_layer(step), (self.inputs[0],))
        return emit_layer(step.member, Literal(attribute_name(step)))


def fix_tables_of_steps(class_spec: ClassSpec) -> ClassSpec:
    """Return the model with numbers for the sizes of steps in its tables, which are computed before the steps.

    The sizes of its inputs are fixed then.
    """
    block = class_spec.block
    names = block.step_sizes.keys()
    sized = [
        s
        for s in class_spec.steps
        if isinstance(s.member, ComputedTable) and table_reads_names(s.member, names)
    ]
    if not sized:
        return class_spec
    values = {
        name: Literal(concrete(block.value_type(ref)[axis])) for name, (ref, axis) in block.step_sizes.items()
    }

    def fill_sizes(expr: Expr) -> Expr:
        if isinstance(expr, Name):
            return values.get(expr.text, expr)
        return decide_condition(map_children(expr, fill_sizes))

    def fill_table(step: LoweredStep) -> LoweredStep:
        assert step.member is not None
        return replace(step, member=map_expressions(step.member, fill_sizes), inputs=())

    steps = [fill_table(step) if step in sized else step for step in class_spec.steps]
    checks = {
        SizeCheck(*source): Literal(concrete(size))
        for source, size in list_input_sizes(block).items()
        if source not in block.free_axes
    }
    return replace(class_spec, steps=steps, size_checks=checks | dict(class_spec.size_checks))


def input_dims(class_spec: ClassSpec) -> Iterator[tuple[str, str, int]]:
    """Yield the variable for each size of the model's inputs, with the input and the dimension."""
    for variable, (source, axis) in runtime_sizes(class_spec.block).items():
        yield variable, source, class_spec.first_instance.inputs[source].layout.dim(axis)


def tables_read_by_layers(class_spec: ClassSpec) -> set[str]:
    """Return the tables that must be part of the model.

    A layer or an output reads them, or a value that is computed from tables only.
    """
    tables_of: dict[str, set[str]] = {}  # value that depends on tables only -> these tables
    read_tables: set[str] = set()
    for step in class_spec.steps:
        sources = [tables_of.get(key) for key in step.inputs]
        if isinstance(step.member, ComputedTable):
            tables_of[step.key] = {step.key}
        elif sources and all(sources):
            tables = set().union(*(s for s in sources if s))
            if step.layer_name:
                read_tables |= tables
            tables_of |= dict.fromkeys((step.key, *step.parts), tables)
    for value in class_spec.first_instance.outputs.values():
        read_tables |= tables_of.get(value.key, set())
    return read_tables
