"""The function of an emitted file that joins layers into a `keras.Model`."""

from __future__ import annotations

from collections.abc import Mapping

from specbuild.backends.keras.automatic_names import reserve_names
from specbuild.backends.keras.layers import (
    attribute_name,
    emit_layer,
    emit_weight_layer,
    freeze_layers,
    frozen_layers,
    is_layer_list,
    is_weight,
)
from specbuild.backends.keras.symbolic_shapes import fix_symbolic_steps
from specbuild.backends.module_parts import (
    class_docstring,
    constructor_parameters,
    emit_computed,
    flag_name,
    frozen_parts,
)
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, literal_expression
from specbuild.codegen.lowering import LoweredStep
from specbuild.codegen.statements import StatementWriter
from specbuild.codegen.tree import (
    Assign,
    Call,
    CodeMark,
    DictOf,
    Expr,
    Function,
    ListOf,
    Literal,
    Name,
    Parameter,
    Return,
    Statement,
)


class ModelFunction:
    """Builds the function. A layer that is called only once is created where it is called."""

    def __init__(self, class_spec: ClassSpec, helpers: Mapping[str, str]):
        self.class_spec, self.helpers = class_spec, helpers
        self.inputs: list[Expr] = [Name(name) for name in class_spec.first_instance.inputs]
        # layers that are called again or frozen have a variable
        self.layers_with_variable = {
            *(s.layer_name for s in class_spec.steps if s.member is None and s.layer_name),
            *(step.layer_name for step, _ in frozen_parts(class_spec)),
        }
        self.layer_lists = {s.layer_name for s in class_spec.steps if is_layer_list(s.member)}

    def build(self) -> Function:
        class_spec = self.class_spec
        body = [
            *(Assign(name, expr) for name, expr in class_spec.derived.items()),
            *self.input_statements(),
            *self.layer_statements(),
            *freeze_layers(frozen_layers(class_spec, self.layer_variable)),
            *self.table_statements(),
        ]
        statements, outputs, marks = self.call_statements()
        model = Call(
            Name("keras.Model"),
            (self.inputs[0] if len(self.inputs) == 1 else ListOf(tuple(self.inputs)), self.join(outputs)),
            (("name", Literal(class_spec.name)),),
        )
        names = reserve_names(self.chosen_names(), statements, self.helpers)
        return Function(
            class_spec.name,
            (*constructor_parameters(class_spec), *self.shape_parameters()),
            "keras.Model",
            class_docstring(class_spec, is_model=True),
            (*names, *body, *statements, Return(model)),
            marks=marks,
        )

    def shape_parameters(self) -> list[Parameter]:
        """Return a parameter for the shape of each input, without the batch."""
        parameters = []
        for name, value in self.class_spec.first_instance.inputs.items():
            shape = tuple(value.type[a] for a in value.layout.order)
            parameters.append(Parameter(f"{name}_shape", "tuple[int | None, ...]", literal_expression(shape)))
        return parameters

    def input_statements(self) -> list[Statement]:
        """Return the statements that create the inputs of the model."""
        statements: list[Statement] = []
        for name, value in self.class_spec.first_instance.inputs.items():
            dtype = () if value.type.dtype == "float" else (("dtype", Literal(value.type.dtype)),)
            keywords = (*dtype, ("name", Literal(name)))
            statements.append(Assign(name, Call(Name("keras.Input"), (Name(f"{name}_shape"),), keywords)))
        return statements

    def layer_statements(self) -> list[Statement]:
        """Return the statements that create the layers with a variable."""
        created: dict[str, Statement] = {}
        for step in self.class_spec.steps:
            if step.member is None or isinstance(step.member, ComputedTable):
                continue
            if step.layer_name in self.layers_with_variable and step.layer_name not in created:
                layer = emit_layer(step.member, Literal(attribute_name(step)))
                created[step.layer_name] = Assign(self.layer_variable(step), layer)
        return list(created.values())

    def table_statements(self) -> list[Statement]:
        """Return the statements that compute the tables. If a layer reads a table, it becomes a layer too."""
        class_spec = self.class_spec
        used_names = {
            *class_spec.params,
            *class_spec.first_instance.inputs,
            *(s.key for s in class_spec.steps),
        }
        read_by_layers = tables_read_by_layers(class_spec)
        statements: list[Statement] = []
        for step in class_spec.steps:
            if isinstance(step.member, ComputedTable):
                before, table = emit_computed(step.member, used_names)
                if step.key in read_by_layers:
                    layer = Call(Name("Table"), (table,), (("name", Literal(attribute_name(step))),))
                    table = Call(layer, (self.inputs[0],))
                statements += [*before, Assign(attribute_name(step), table)]
        return statements

    def call_statements(self) -> tuple[list[Statement], list[Expr], tuple[CodeMark, ...]]:
        """Return the statements that call the layers, the outputs, and the marks of the steps' code."""
        steps, inputs = self.class_spec.steps, self.class_spec.first_instance.inputs
        writer = StatementWriter(
            fix_symbolic_steps(self.class_spec),
            self.layer_expression,
            lambda step: Name(flag_name(step, self.class_spec)),
            indent=4,
            rows_are_lists=True,
        )
        writer.live_until |= {
            attribute_name(step): len(steps) for step in steps if isinstance(step.member, ComputedTable)
        }
        outputs = writer.write_statements()
        if len(outputs) == 1 and not isinstance(outputs[0], Name):
            variable = next(name for name in ("x", "out", "result") if name not in inputs)
            writer.statements.append(Assign(variable, outputs[0]))
            outputs = [Name(variable)]
        return writer.statements, outputs, tuple(writer.marks)

    def join(self, outputs: list[Expr]) -> Expr:
        """Return the outputs of the model: one value, or a dict by name."""
        if len(outputs) == 1:
            return outputs[0]
        names = self.class_spec.first_instance.outputs
        return DictOf(tuple((Literal(name), value) for name, value in zip(names, outputs, strict=True)))

    def chosen_names(self) -> list[str]:
        """Return the names of the inputs and layers, which the author chose."""
        layers = (s for s in self.class_spec.steps if s.member and not isinstance(s.member, ComputedTable))
        return [*self.class_spec.first_instance.inputs, *map(attribute_name, layers)]

    def layer_variable(self, step: LoweredStep) -> str:
        return f"{attribute_name(step)}_layer{'s' if step.layer_name in self.layer_lists else ''}"

    def layer_expression(self, step: LoweredStep) -> Expr:
        """Return the layer, table or weight that a step calls or reads."""
        if step.layer_name in self.layers_with_variable:
            return Name(self.layer_variable(step))
        assert step.member is not None
        if is_weight(step):
            return Call(emit_weight_layer(step), (self.inputs[0],))
        if isinstance(step.member, ComputedTable):
            return Name(attribute_name(step))
        return emit_layer(step.member, Literal(attribute_name(step)))


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
