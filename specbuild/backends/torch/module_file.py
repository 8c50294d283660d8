"""The file of a PyTorch model: a class for each block. The last class is the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from specbuild.backends.docstrings import class_docstring
from specbuild.backends.module_parts import (
    assemble_module,
    condition_code,
    constructor_parameters,
    emit_for_each,
    flag_conditions,
    guard_statements,
    input_parameters,
)
from specbuild.backends.torch.initial_values import (
    Rules,
    build_init_weights,
    build_reset_parameters,
    find_rules,
    initializer_code,
    tensor_attribute,
)
from specbuild.backends.torch.layers import (
    attribute_name,
    emit_layer,
    freeze_layers,
    frozen_layers,
    is_tensor,
    layer_reference,
    nest_modules,
)
from specbuild.backends.torch.lone_numbers import read_numbers_whole
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable
from specbuild.codegen.input_sizes import compute_tables
from specbuild.codegen.let_variables import write_let_variables
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.parameter_reads import call_parameters
from specbuild.codegen.statements import StatementWriter
from specbuild.codegen.tree import (
    Assign,
    Attribute,
    Blank,
    Call,
    Class,
    Conditional,
    Do,
    Expr,
    Function,
    Literal,
    Module,
    Name,
    Parameter,
    Return,
    Statement,
    TupleOf,
)
from specbuild.codegen.tree_walk import map_children

TABLE_DTYPES = {"int32": "torch.long", "bool": "torch.bool"}
IMPORTS = {
    "math": "import math",
    "OrderedDict": "from collections import OrderedDict",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "nn": "from torch import nn",
    "pack_padded_sequence": "from torch.nn.utils.rnn import pack_padded_sequence",
    "pad_packed_sequence": "from torch.nn.utils.rnn import pad_packed_sequence",
}


def build_module(
    class_specs: list[ClassSpec], helpers: Mapping[str, str], doc: str, header: tuple[str, ...]
) -> Module:
    """Return the file with these classes and the helpers that they use."""
    class_specs = [complete_class(class_spec) for class_spec in class_specs]
    rules = find_rules(class_specs)
    classes = tuple(build_class(c, rules, is_model=c is class_specs[-1]) for c in class_specs)
    return assemble_module(classes, helpers, IMPORTS, doc, header)


def complete_class(class_spec: ClassSpec) -> ClassSpec:
    """Return the class with the tables, checks and numbers that its code computes and reads."""
    # PyTorch itself refuses to split an axis into parts that are not equal
    checks = {check: size for check, size in class_spec.size_checks.items() if not check.is_multiple}
    return read_numbers_whole(compute_tables(replace(class_spec, size_checks=checks), place_table))


def build_class(class_spec: ClassSpec, rules: Rules, is_model: bool) -> Class:
    fill = build_reset_parameters(class_spec), build_init_weights(class_spec, rules, is_model)
    initializers = [method for method in fill if method is not None]
    methods = (
        build_init(class_spec, initializers),
        *initializers,
        build_train(class_spec),
        build_forward(class_spec),
    )
    body: list[Statement] = []
    for method in methods:
        if method is not None:
            method = write_let_variables(method, class_spec)
            body += [Blank(), method] if body else [method]
    return Class(class_spec.name, ("nn.Module",), class_docstring(class_spec, is_model), tuple(body))


def build_init(class_spec: ClassSpec, initializers: Sequence[Function]) -> Function | None:
    """Return the constructor, which calls the initializers at its end; None if it has nothing to do."""
    body: list[Statement] = [Do(Call(Attribute(Call(Name("super")), "__init__")))]
    body += guard_statements(class_spec)
    body += [Assign(name, expr) for name, expr in class_spec.derived.items()]
    body += guard_statements(class_spec, derived=True)
    attributes = call_parameters(class_spec, *initializer_code(class_spec))
    body += [Assign(f"self.{class_spec.attribute_of(name)}", Name(name)) for name in attributes]
    body += build_layers(class_spec)
    kept = {class_spec.attribute_of(name) for name in attributes}
    conditions = flag_conditions(class_spec).items()
    body += [Assign(f"self.{name}", condition) for name, condition in conditions if name not in kept]
    body += freeze_layers(frozen_layers(class_spec))
    body += [Do(Call(Name(f"self.{method.name}"))) for method in initializers]
    if len(body) == 1:
        return None
    parameters = (Parameter("self"), *constructor_parameters(class_spec))
    return Function("__init__", parameters, "None", "", tuple(body))


def build_train(class_spec: ClassSpec) -> Function | None:
    """Return the method `train`, which keeps frozen modules in evaluation mode; None if there are none."""
    layers = frozen_layers(class_spec)
    if not layers:
        return None
    body = (
        Do(Call(Attribute(Call(Name("super")), "train"), (Name("mode"),))),
        *emit_for_each(layers, "part", lambda layer: Do(Call(Attribute(layer, "eval")))),
        Return(Name("self")),
    )
    mode = Parameter("mode", "bool", Literal(True))
    return Function("train", (Parameter("self"), mode), "nn.Module", "", body)


def build_layers(class_spec: ClassSpec) -> list[Statement]:
    """Return the statements that create layers and tensors.

    Layers with a dotted name, such as `branch.reduce`, go into one list or dict per group.
    """
    groups: dict[str, dict[str, Expr]] = {}
    order: list[tuple[str, list[Statement] | None]] = []  # None for a group
    for step in class_spec.steps:
        if step.member is None:
            continue
        if is_tensor(step):
            order.append((step.layer_name, [build_tensor(step, class_spec.flags.get(step.key))]))
            continue
        layer = emit_layer(step.member)
        if step.key in class_spec.flags:
            layer = Conditional(class_spec.flags[step.key], layer, Call(Name("nn.Identity")))
        group, _, name = step.layer_name.partition(".")
        if name:
            if group not in groups:
                order.append((group, None))
            groups.setdefault(group, {})[name] = layer
        else:
            order.append((step.layer_name, [Assign(f"self.{attribute_name(step.layer_name)}", layer)]))
    statements: list[Statement] = []
    for name, own in order:
        if own is None:
            own = [Assign(f"self.{attribute_name(name)}", nest_modules(groups[name]))]
        statements += own
    return statements


def build_tensor(step: LoweredStep, flag: Expr | None) -> Statement:
    """Return the statement that creates a parameter or buffer; with a `flag`, some instances have no such parameter.

    A table is filled by `reset_parameters`, and not saved in checkpoints.
    """
    assert step.member is not None
    name = tensor_attribute(step)
    if not step.buffer:
        tensor = emit_layer(step.member)
        return Assign(f"self.{name}", tensor if flag is None else Conditional(flag, tensor, Literal(None)))
    if not isinstance(step.member, ComputedTable):
        return Do(Call(Name("self.register_buffer"), (Literal(name), emit_layer(step.member))))
    table = step.member
    dtype = () if table.dtype == "float" else (("dtype", Name(TABLE_DTYPES[table.dtype])),)
    empty = Call(Name("torch.empty"), table.shape or (TupleOf(()),), dtype)
    return Do(Call(Name("self.register_buffer"), (Literal(name), empty), (("persistent", Literal(False)),)))


def place_table(code: Expr, like: Expr, dtype: str | None) -> Expr:
    """Return the code of a table in `forward`, on the device of an input, and with its dtype if both are floats."""

    def place(expr: Expr) -> Expr:
        match map_children(expr, place):
            case Call(
                Name(
                    "torch.arange" | "torch.full" | "torch.zeros" | "torch.ones" | "torch.tensor"
                ) as function,
                args,
                keywords,
            ):
                return Call(function, args, (*keywords, ("device", Attribute(like, "device"))))
            case other:
                return other

    placed = place(code)
    return Call(Attribute(placed, "to"), (Attribute(like, "dtype"),)) if dtype == "float" else placed


def build_forward(class_spec: ClassSpec) -> Function:
    writer = StatementWriter(
        class_spec,
        lambda step: layer_reference(class_spec, step.layer_name),
        lambda step: condition_code(step, class_spec, "self"),
        owner="self",
        checks_sizes=True,
    )
    outputs = writer.write_statements()
    if len(outputs) == 1:
        result, annotation = outputs[0], "torch.Tensor"
    else:
        result = TupleOf(tuple(outputs))
        # TorchScript does not accept `tuple[torch.Tensor, ...]`
        annotation = f"tuple[{', '.join(['torch.Tensor'] * len(outputs))}]"
    inputs = input_parameters(class_spec, "torch.Tensor")
    body = (*writer.statements, Return(result))
    parameters = (Parameter("self"), *inputs)
    return Function("forward", parameters, annotation, "", body)
