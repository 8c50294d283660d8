"""The file of a PyTorch model: a class for each block. The last class is the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from specbuild.backends.module_parts import (
    assemble_module,
    class_docstring,
    constructor_parameters,
    emit_computed,
    emit_for_each,
    flag_conditions,
    flag_name,
)
from specbuild.backends.torch.initializers import emit_initializer
from specbuild.backends.torch.layers import (
    emit_layer,
    freeze_layers,
    frozen_layers,
    is_tensor,
    layer_reference,
    nest_modules,
)
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable
from specbuild.codegen.lowering import LoweredStep
from specbuild.codegen.statements import StatementWriter, call_parameters
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

IMPORTS = {
    "math": "import math",
    "OrderedDict": "from collections import OrderedDict",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "nn": "from torch import nn",
}


def build_module(
    class_specs: list[ClassSpec], helpers: Mapping[str, str], doc: str, header: tuple[str, ...]
) -> Module:
    """Return the file with these classes and the helpers that they use."""
    classes = tuple(build_class(c, is_model=c is class_specs[-1]) for c in class_specs)
    return assemble_module(classes, helpers, IMPORTS, doc, header)


def build_class(class_spec: ClassSpec, is_model: bool) -> Class:
    methods = (
        build_init(class_spec),
        build_reset_parameters(class_spec),
        build_train(class_spec),
        build_forward(class_spec),
    )
    body: list[Statement] = []
    for method in methods:
        if method is not None:
            body += [Blank(), method] if body else [method]
    return Class(class_spec.name, ("nn.Module",), class_docstring(class_spec, is_model), tuple(body))


def build_init(class_spec: ClassSpec) -> Function | None:
    body: list[Statement] = [Do(Call(Attribute(Call(Name("super")), "__init__")))]
    body += [Assign(name, expr) for name, expr in class_spec.derived.items()]
    body += [Assign(f"self.{name}", Name(name)) for name in call_parameters(class_spec)]
    body += build_layers(class_spec)
    body += [Assign(f"self.{name}", condition) for name, condition in flag_conditions(class_spec).items()]
    body += freeze_layers(frozen_layers(class_spec))
    if any(step.inits for step in class_spec.steps):
        body.append(Do(Call(Name("self.reset_parameters"))))
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
            order.append((step.layer_name, list(build_tensor(step, class_spec))))
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
            order.append((step.layer_name, [Assign(f"self.{step.layer_name}", layer)]))
    statements: list[Statement] = []
    for name, own in order:
        statements += [Assign(f"self.{name}", nest_modules(groups[name]))] if own is None else own
    return statements


def build_tensor(step: LoweredStep, class_spec: ClassSpec) -> Iterator[Statement]:
    """Yield the statements that create a parameter or buffer.

    A table is not saved in checkpoints, because the constructor computes it again.
    """
    assert step.member is not None
    name = step.layer_name.replace(".", "_")
    if not step.buffer:
        yield Assign(f"self.{name}", emit_layer(step.member))
        return
    if isinstance(step.member, ComputedTable):
        before, value = emit_computed(step.member, {"self", *class_spec.params})
        yield from before
    else:
        value = emit_layer(step.member)
    keywords = () if step.inits else (("persistent", Literal(False)),)
    yield Do(Call(Name("self.register_buffer"), (Literal(name), value), keywords))


def build_reset_parameters(class_spec: ClassSpec) -> Function | None:
    """Return the method `reset_parameters`, which runs the initializers of the spec; None if it has none."""
    body: list[Statement] = []
    for step in class_spec.steps:
        for name, init in step.inits:
            layer = layer_reference(class_spec, step.layer_name)
            body.append(Do(emit_initializer(Attribute(layer, name) if name else layer, init)))
    if not body:
        return None
    return Function("reset_parameters", (Parameter("self"),), "None", "", tuple(body))


def build_forward(class_spec: ClassSpec) -> Function:
    writer = StatementWriter(
        class_spec,
        lambda step: layer_reference(class_spec, step.layer_name),
        lambda step: Name(f"self.{flag_name(step, class_spec)}"),
        owner="self",
    )
    outputs = writer.write_statements()
    if len(outputs) == 1:
        result, annotation = outputs[0], "torch.Tensor"
    else:
        result = TupleOf(tuple(outputs))
        # TorchScript does not accept `tuple[torch.Tensor, ...]`
        annotation = f"tuple[{', '.join(['torch.Tensor'] * len(outputs))}]"
    inputs = (Parameter(name, "torch.Tensor") for name in class_spec.first_instance.inputs)
    body = (*writer.statements, Return(result))
    parameters = (Parameter("self"), *inputs)
    return Function("forward", parameters, annotation, "", body, marks=tuple(writer.marks))
