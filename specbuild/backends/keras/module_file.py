"""The file of a Keras model: a layer class for each block, and a function that joins the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from specbuild.backends.keras.automatic_names import reserve_names
from specbuild.backends.keras.symbolic_shapes import fix_symbolic_steps
from specbuild.backends.module_parts import (
    assemble_module,
    class_docstring,
    constructor_parameters,
    emit_computed,
    emit_construction,
    emit_for_each,
    emit_list,
    emit_row,
    flag_conditions,
    flag_name,
    frozen_parts,
    row_members,
)
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, Construction, Container, Member, literal_expression
from specbuild.codegen.lowering import LoweredStep
from specbuild.codegen.statements import StatementWriter, call_parameters, qualify_parameter
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    Conditional,
    DictOf,
    Do,
    Expr,
    Function,
    Index,
    Infix,
    ListOf,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Star,
    Statement,
    TupleOf,
    map_children,
)
from specbuild.ops.types import TensorType

if TYPE_CHECKING:
    from specbuild.backends.base import Backend

IMPORTS = {
    "math": "import math",
    "keras": "import keras",
    "layers": "from keras import layers",
    "ops": "from keras import ops",
}
ADD_WEIGHT = "self.add_weight"


def build_module(backend: Backend, units: list[ClassSpec], doc: str, header: tuple[str, ...]) -> Module:
    """The whole file."""
    *blocks, model = units
    package, helpers = model.name, backend.helper_sources()
    stilled = {made for step, _ in frozen_parts(model) for made in called_functions(step.member)}
    classes = (build_class(unit, package, unit.name in stilled) for unit in blocks)
    return assemble_module((*classes, build_model_function(model, helpers)), helpers, IMPORTS, doc, header)


def called_functions(made: Member | None) -> Iterator[str]:
    """What is called to make a layer or a row of layers."""
    if isinstance(made, Construction):
        yield made.function
    elif isinstance(made, Container):
        for member in (*made.members.head, made.members.tail):
            yield from called_functions(member)


def registration_decorator(package: str) -> Call:
    return Call(Name("keras.saving.register_keras_serializable"), (), (("package", Literal(package)),))


def build_class(unit: ClassSpec, package: str, stilled: bool) -> Class:
    """A block's class; `stilled` says that the model has frozen instances of it."""
    members = tuple(
        m
        for m in (build_init(unit, stilled), build_own_weights(unit), build_forward(unit), build_config(unit))
        if m is not None
    )
    body: list[Statement] = []
    for member in members:
        body += [Blank(), member] if body else [member]
    return Class(
        unit.name,
        ("layers.Layer",),
        class_docstring(unit, model=False),
        tuple(body),
        (registration_decorator(package),),
    )


def build_init(unit: ClassSpec, stilled: bool) -> Function:
    kwargs = Parameter("kwargs", None, None, variadic="**")
    body: list[Statement] = [
        Do(Call(Attribute(Call(Name("super")), "__init__"), (), (("**", Name("kwargs")),)))
    ]
    body += [Assign(f"self.{name}", Name(name)) for name in unit.params]
    body += [Assign(name, expr) for name, expr in unit.derived.items()]
    body += [Assign(f"self.{name}", Name(name)) for name in call_parameters(unit) if name in unit.derived]
    for step in unit.steps:
        if step.member is None or is_weight(step):
            continue
        if isinstance(step.member, ComputedTable):
            before, value = emit_computed(step.member, {"self", "kwargs", *unit.params})
            floats = unit.first_instance.block.value_type(step.key).dtype == "float"
            cast = Call(Name("ops.cast"), (value, Name("self.compute_dtype"))) if floats else value
            body += [*before, Assign(f"self.{attribute_name(step)}", cast)]
            continue
        made = emit_layer(step.member, Literal(attribute_name(step)))
        if step.key in unit.flags:
            made = Conditional(unit.flags[step.key], made, Call(Name("layers.Identity")))
        body.append(Assign(f"self.{attribute_name(step)}", made))
    body += freeze_layers(frozen_layers(unit, lambda step: f"self.{attribute_name(step)}"))
    body += [Assign(f"self.{name}", condition) for name, condition in flag_conditions(unit).items()]
    given = constructor_parameters(unit)
    if stilled:  # an instance that is loaded from a file is told so here, and is to tell its layers
        given = (*given, Parameter("trainable", "bool", Literal(True)))
        body.append(Assign("self.trainable", Name("trainable")))
    return Function("__init__", (Parameter("self"), *given, kwargs), "None", "", tuple(body))


def frozen_layers(unit: ClassSpec, layer_name: Callable[[LoweredStep], str]) -> list[Expr]:
    """The layers of a class or of the model that are frozen; `held` is how one is spoken of."""
    found: list[Expr] = []
    for step, inside in frozen_parts(unit):
        if is_weight(step) or isinstance(step.member, ComputedTable):
            continue
        layer: Expr = Name(layer_name(step))
        if isinstance(step.member, Container) and (step.member.is_loop or step.member.is_split):
            found.append(Index(layer, (Literal(int(inside)),)) if inside else Star(layer))
            continue
        for name in inside.split(".") if inside else ():
            layer = Call(Attribute(layer, "get_layer"), (Literal(name),))
        found.append(layer)
    return found


def freeze_layers(parts: list[Expr]) -> list[Statement]:
    """Layers whose weights and statistics stay."""
    return emit_for_each(parts, "layer", lambda layer: Assign(f"{layer.text}.trainable", Literal(False)))


def is_weight(step: LoweredStep) -> bool:
    return isinstance(step.member, Construction) and step.member.function == ADD_WEIGHT


def attribute_name(step: LoweredStep) -> str:
    """The attribute that holds a layer, which is also its name."""
    return step.layer_name.replace(".", "_")


def build_own_weights(unit: ClassSpec) -> Function | None:
    """Weights of the block's own are made when its input is known, so that their paths are whole."""
    body: list[Statement] = []
    for step in unit.steps:
        if is_weight(step):
            assert isinstance(step.member, Construction)
            made = emit_construction(step.member, name=Literal(attribute_name(step)))
            body.append(Assign(f"self.{attribute_name(step)}", use_attributes(made, unit)))
    if not body:
        return None
    inputs = list(unit.first_instance.inputs)
    shapes = [f"{name}_shape" for name in inputs] if len(inputs) > 1 else ["input_shape"]
    body.append(Assign("self.built", Literal(True)))
    return Function("build", (Parameter("self"), *map(Parameter, shapes)), None, "", tuple(body))


def use_attributes(expr: Expr, unit: ClassSpec) -> Expr:
    """The same code outside the constructor, where its parameters are attributes."""
    return map_children(qualify_parameter(expr, unit, "self"), lambda part: use_attributes(part, unit))


def build_forward(unit: ClassSpec) -> Function:
    flow = StatementWriter(
        unit,
        lambda step: Name(f"self.{attribute_name(step)}"),
        lambda step: Name(f"self.{flag_name(step, unit)}"),
        owner="self",
        rows_are_lists=True,
    )
    outputs = flow.write_statements()
    result = outputs[0] if len(outputs) == 1 else TupleOf(tuple(outputs))
    inputs = tuple(Parameter(name) for name in unit.first_instance.inputs)
    return Function("call", (Parameter("self"), *inputs), None, "", (*flow.statements, Return(result)))


def build_config(unit: ClassSpec) -> Function | None:
    if not unit.params:
        return None
    parent = Call(Attribute(Call(Name("super")), "get_config"))
    items = tuple((Literal(name), Name(f"self.{name}")) for name in unit.params)
    return Function(
        "get_config", (Parameter("self"),), "dict", "", (Return(DictOf(((None, parent), *items))),)
    )


def emit_layer(made: Member, name: Expr) -> Expr:
    """A construction as a call with its name, which is the path of its weights."""
    if isinstance(made, Construction):
        return emit_construction(made, name=name)
    if isinstance(made, Container):
        if made.names is not None:
            members = zip(made.names, row_members(made.members), strict=True)
            inner: tuple[Expr, ...] = tuple(emit_layer(m, Literal(own)) for own, m in members)
        elif made.is_loop or made.is_split:
            return emit_list(
                emit_row(made.members, lambda m, i: emit_layer(m, indexed_name(name, i)), numbered=True)
            )
        else:
            inner = emit_row(made.members, lambda m, i: emit_layer(m, index_text(i)), numbered=True)
        return Call(Name("keras.Sequential"), (emit_list(inner),), (("name", name),))
    assert not isinstance(made, ComputedTable)
    return made


def indexed_name(name: Expr, index: Expr) -> Expr:
    """The name of one of several layers that Keras keeps side by side: `stack_0`."""
    assert isinstance(name, Literal)
    if isinstance(index, Literal):
        return Literal(f"{name.value}_{index.value}")
    return Infix("+", Literal(f"{name.value}_"), index_text(index))


def index_text(index: Expr) -> Expr:
    return Literal(str(index.value)) if isinstance(index, Literal) else Call(Name("str"), (index,))


def build_model_function(unit: ClassSpec, helpers: Mapping[str, str]) -> Function:
    """The model: a function that joins layers into a keras.Model."""
    shared = {s.layer_name for s in unit.steps if s.member is None and s.layer_name}
    shared |= {step.layer_name for step, _ in frozen_parts(unit)}
    rows = {
        s.layer_name
        for s in unit.steps
        if isinstance(s.member, Container) and (s.member.is_loop or s.member.is_split)
    }
    made: set[str] = set()
    inputs: list[Expr] = [Name(name) for name in unit.first_instance.inputs]
    body: list[Statement] = [Assign(name, expr) for name, expr in unit.derived.items()]
    shapes = []
    for name, value in unit.first_instance.inputs.items():
        shapes.append(
            Parameter(
                f"{name}_shape",
                "tuple[int | None, ...]",
                literal_expression(axis_sizes(value.type, value.layout.order)),
            )
        )
        dtype = () if value.type.dtype == "float" else (("dtype", Literal(value.type.dtype)),)
        body.append(
            Assign(
                name, Call(Name("keras.Input"), (Name(f"{name}_shape"),), (*dtype, ("name", Literal(name))))
            )
        )

    def layer_variable(step: LoweredStep) -> str:
        return f"{attribute_name(step)}_layer{'s' if step.layer_name in rows else ''}"

    def layer_expression(step: LoweredStep) -> Expr:
        if step.layer_name in shared:
            return Name(layer_variable(step))
        assert step.member is not None
        if is_weight(step):
            return Call(emit_weight_layer(step), (inputs[0],))
        if isinstance(step.member, ComputedTable):
            return Name(attribute_name(step))
        return emit_layer(step.member, Literal(attribute_name(step)))

    tables: list[Statement] = []
    layered = tables_read_by_layers(unit)
    for step in unit.steps:
        if isinstance(step.member, ComputedTable):
            before, table = emit_computed(
                step.member, {*unit.params, *unit.first_instance.inputs, *(s.key for s in unit.steps)}
            )
            if step.key in layered:
                named_table = Call(Name("Table"), (table,), (("name", Literal(attribute_name(step))),))
                table = Call(named_table, (inputs[0],))
            tables += [*before, Assign(attribute_name(step), table)]
        elif step.member is not None and step.layer_name in shared and step.layer_name not in made:
            body.append(Assign(layer_variable(step), emit_layer(step.member, Literal(attribute_name(step)))))
            made.add(step.layer_name)
    body += freeze_layers(frozen_layers(unit, layer_variable))
    body += tables
    flow = StatementWriter(
        fix_symbolic_steps(unit),
        layer_expression,
        lambda step: Name(flag_name(step, unit)),
        indent=4,
        rows_are_lists=True,
    )
    flow.live_until |= {
        attribute_name(step): len(unit.steps) for step in unit.steps if isinstance(step.member, ComputedTable)
    }
    outputs = flow.write_statements()
    if len(outputs) == 1 and not isinstance(outputs[0], Name):
        last = next(name for name in ("x", "out", "result") if name not in unit.first_instance.inputs)
        flow.statements.append(Assign(last, outputs[0]))
        outputs = [Name(last)]
    results = list(unit.first_instance.outputs)
    joined = (
        inputs[0] if len(inputs) == 1 else ListOf(tuple(inputs)),
        outputs[0]
        if len(outputs) == 1
        else DictOf(tuple((Literal(n), o) for n, o in zip(results, outputs, strict=True))),
    )
    names = (
        *unit.first_instance.inputs,
        *(attribute_name(s) for s in unit.steps if s.member and not isinstance(s.member, ComputedTable)),
    )
    body = reserve_names(names, flow.statements, helpers) + body
    model = Call(Name("keras.Model"), joined, (("name", Literal(unit.name)),))
    return Function(
        unit.name,
        (*constructor_parameters(unit), *shapes),
        "keras.Model",
        class_docstring(unit, model=True),
        (*body, *flow.statements, Return(model)),
    )


def tables_read_by_layers(unit: ClassSpec) -> set[str]:
    """The tables that must be part of the model: what follows from them alone goes into a layer, or comes out."""
    behind: dict[str, set[str]] = {}  # value that follows from tables alone -> those tables
    found: set[str] = set()
    for step in unit.steps:
        before = [behind.get(key) for key in step.inputs]
        if isinstance(step.member, ComputedTable):
            behind[step.key] = {step.key}
        elif before and all(before):
            read = set().union(*(b for b in before if b))
            if step.layer_name:
                found |= read
            behind |= dict.fromkeys((step.key, *step.parts), read)
    for value in unit.first_instance.outputs.values():
        found |= behind.get(value.key, set())
    return found


def emit_weight_layer(step: LoweredStep) -> Expr:
    """A weight of the model's own, which has no `build`: a layer, to be called on any input."""
    assert isinstance(step.member, Construction)
    return emit_construction(replace(step.member, function="Weight"), name=Literal(attribute_name(step)))


def axis_sizes(x: TensorType, order: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(x[a] for a in order)
