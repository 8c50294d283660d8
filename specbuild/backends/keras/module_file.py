"""The file of a Keras model: a layer class for each block, and a function that creates the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from specbuild.backends.docstrings import class_docstring
from specbuild.backends.keras.batch_norms import share_constants
from specbuild.backends.keras.build_method import BuildMethods
from specbuild.backends.keras.channel_sizes import ChannelSizes
from specbuild.backends.keras.dynamic_sizes import cast_table, convert_table_sizes, read_dynamic_sizes
from specbuild.backends.keras.layer_creation import constructor_parts
from specbuild.backends.keras.layers import layer_reference, refuse_empty_rows
from specbuild.backends.keras.model_function import ModelFunction
from specbuild.backends.module_parts import (
    assemble_module,
    condition_code,
    constructor_parameters,
    frozen_parts,
    input_parameters,
)
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import Construction, LayerRow, Member
from specbuild.codegen.input_sizes import compute_tables
from specbuild.codegen.let_variables import write_let_variables
from specbuild.codegen.statements import StatementWriter
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    DictOf,
    Do,
    Function,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    TupleOf,
)

IMPORTS = {
    "math": "import math",
    "keras": "import keras",
    "layers": "from keras import layers",
    "ops": "from keras import ops",
}


def build_module(
    class_specs: list[ClassSpec], helpers: Mapping[str, str], doc: str, header: tuple[str, ...]
) -> Module:
    """Return the file with these classes and the helpers that they use."""
    *blocks, model = map(refuse_empty_rows, share_constants(class_specs))
    frozen_classes = {name for step, _ in frozen_parts(model) for name in called_functions(step.member)}
    build_methods = BuildMethods()
    # a frozen layer must be there before the model is called
    channels = None if any(c.block.frozen_paths for c in class_specs) else ChannelSizes()
    classes = [build_class(c, model.name, c.name in frozen_classes, build_methods, channels) for c in blocks]
    model = channels.take_out(model, is_model=True) if channels else model
    return assemble_module(
        (*classes, write_let_variables(ModelFunction(model, helpers).build(), model)),
        helpers,
        IMPORTS,
        doc,
        header,
    )


def called_functions(member: Member | None) -> Iterator[str]:
    """Yield the functions and classes whose calls create a layer or a row of layers."""
    if isinstance(member, Construction):
        yield member.function
    elif isinstance(member, LayerRow):
        for part in (*member.members.head, member.members.tail):
            yield from called_functions(part)


def registration_decorator(package: str) -> Call:
    return Call(Name("keras.saving.register_keras_serializable"), (), (("package", Literal(package)),))


def build_class(
    class_spec: ClassSpec,
    package: str,
    is_frozen: bool,
    build_methods: BuildMethods,
    channels: ChannelSizes | None,
) -> Class:
    """Return the class of a block. `is_frozen` says that the model has frozen instances of it."""
    class_spec = read_dynamic_sizes(compute_tables(convert_table_sizes(class_spec), cast_table))
    class_spec = channels.take_out(class_spec, is_model=False) if channels else class_spec
    methods = (
        build_init(class_spec, is_frozen),
        build_methods.write(class_spec),
        build_forward(class_spec),
        build_config(class_spec),
    )
    body: list[Statement] = []
    for method in methods:
        if method is not None:
            method = write_let_variables(method, class_spec)
            body += [Blank(), method] if body else [method]
    docstring = class_docstring(class_spec, is_model=False)
    decorators = (registration_decorator(package),)
    return Class(class_spec.name, ("layers.Layer",), docstring, tuple(body), decorators)


def build_init(class_spec: ClassSpec, is_frozen: bool) -> Function | None:
    kwargs = Parameter("kwargs", None, None, variadic="**")
    parts = constructor_parts(class_spec)
    body: list[Statement] = [
        Do(Call(Attribute(Call(Name("super")), "__init__"), (), (("**", Name("kwargs")),))),
        *parts.first_guards,
        *(Assign(f"self.{class_spec.attribute_of(name)}", Name(name)) for name in class_spec.params),
        *parts.derived,
        *parts.guards,
        *parts.kept,
        *parts.layers,
    ]
    parameters = (Parameter("self"), *constructor_parameters(class_spec))
    if is_frozen:  # a layer loaded from a file gets `trainable` here, and passes it on to its own layers
        parameters = (*parameters, Parameter("trainable", "bool", Literal(True)))
        body.append(Assign("self.trainable", Name("trainable")))
    if len(body) == 1 and not is_frozen:  # as without a constructor
        return None
    return Function("__init__", (*parameters, kwargs), "None", "", tuple(body))


def build_forward(class_spec: ClassSpec) -> Function:
    writer = StatementWriter(
        class_spec,
        lambda step: layer_reference(class_spec, step.layer_name, Name("self")),
        lambda step: condition_code(step, class_spec, "self"),
        owner="self",
        shape_function=Name("ops.shape"),
        checks_sizes=True,
        compare_function=Name("check_same"),
        rows_are_lists=True,
    )
    outputs = writer.write_statements()
    result = outputs[0] if len(outputs) == 1 else TupleOf(tuple(outputs))
    inputs = input_parameters(class_spec)
    body = (*writer.statements, Return(result))
    return Function("call", (Parameter("self"), *inputs), None, "", body)


def build_config(class_spec: ClassSpec) -> Function | None:
    """Return the method `get_config` with the parameters of a block; None if it has none."""
    if not class_spec.params:
        return None
    parent = Call(Attribute(Call(Name("super")), "get_config"))
    items = tuple(
        (Literal(name), Name(f"self.{class_spec.attribute_of(name)}")) for name in class_spec.params
    )
    body = (Return(DictOf(((None, parent), *items))),)
    return Function("get_config", (Parameter("self"),), "dict", "", body)
