"""Code that creates, names and freezes the layers of a PyTorch module."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from specbuild.backends.module_parts import (
    emit_construction,
    emit_for_each,
    emit_list,
    emit_row,
    frozen_parts,
    row_members,
)
from specbuild.backends.torch.reserved import MEMBER_ATTRIBUTES, RESERVED_NAMES
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, Construction, LayerRow, Member
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.tree import (
    Attribute,
    Call,
    DictOf,
    Do,
    Expr,
    Index,
    ListOf,
    Literal,
    Name,
    Statement,
    TupleOf,
)
from specbuild.frontend.names import write_alias

MODULE_LISTS: WeakKeyDictionary[ClassSpec, set[str]] = WeakKeyDictionary()  # what `find_module_lists` gave


def attribute_name(name: str) -> str:
    """Return the attribute of a module for a name: `half_` for `half`, which every module has."""
    return write_alias(name, RESERVED_NAMES.attributes)


def member_name(name: str) -> str:
    """Return the name of a module in a row or dictionary of modules."""
    return write_alias(name, MEMBER_ATTRIBUTES)


def module_path(path: str) -> str:
    """Return the path of a module inside its block: its group is an attribute, the rest are members."""
    top, *rest = path.split(".")
    return ".".join((attribute_name(top), *map(member_name, rest)))


def is_tensor(step: LoweredStep) -> bool:
    """Return whether a step has a parameter or buffer instead of a module. A ModuleList cannot contain it."""
    return step.buffer or (isinstance(step.member, Construction) and step.member.function == "nn.Parameter")


def emit_layer(member: Member) -> Expr:
    """Return the code that creates a layer, or a row of layers."""
    if isinstance(member, Construction):
        return emit_construction(member)
    if isinstance(member, LayerRow):
        if member.names is not None:
            members = zip(member.names, row_members(member.members), strict=True)
            pairs = tuple(TupleOf((Literal(member_name(name)), emit_layer(m))) for name, m in members)
            return Call(Name("nn.Sequential"), (Call(Name("OrderedDict"), (ListOf(pairs),)),))
        row = emit_row(member.members, lambda m, _: emit_layer(m))
        if member.is_loop:
            return Call(Name("nn.ModuleList"), (emit_list(row),))
        return Call(Name("nn.Sequential"), row)
    assert not isinstance(member, ComputedTable)
    return member


def layer_reference(class_spec: ClassSpec, layer_name: str, holder: Expr | None = None) -> Expr:
    """Return how `forward` refers to a layer: `self.conv1`, `self.layers[0]`, `self.branch["reduce"]`.

    `holder` is the object that has the layer, if it is not `self`.
    """

    def attribute(name: str) -> Expr:
        return Name(f"self.{name}") if holder is None else Attribute(holder, name)

    if owner := class_spec.find_owner(layer_name):
        step_name, inner_class, inner_name = owner
        return layer_reference(inner_class, inner_name, layer_reference(class_spec, step_name, holder))
    if any(map(is_tensor, class_spec.makers_by_layer.get(layer_name, ()))):
        return attribute(attribute_name(layer_name.replace(".", "_")))
    top, *rest = layer_name.split(".")
    expr = attribute(attribute_name(top))
    prefix = top
    for part in rest:
        is_list = prefix in find_module_lists(class_spec)
        expr = Index(expr, (Literal(int(part) if is_list else member_name(part)),))
        prefix = f"{prefix}.{part}"
    return expr


def find_module_lists(class_spec: ClassSpec) -> set[str]:
    """Return the groups of a class whose modules are called 0, 1, 2 ..., as in `nest_modules`."""
    if class_spec not in MODULE_LISTS:
        members: dict[str, dict[str, None]] = {}
        for step in class_spec.steps:
            if step.member is not None and not is_tensor(step):
                parts = step.layer_name.split(".")
                for depth, part in enumerate(parts[1:], 1):
                    members.setdefault(".".join(parts[:depth]), {})[part] = None
        MODULE_LISTS[class_spec] = {
            group for group, names in members.items() if list(names) == [str(i) for i in range(len(names))]
        }
    return MODULE_LISTS[class_spec]


def nest_modules(members: dict[str, Expr]) -> Expr:
    """Return a ModuleList if the names are 0, 1, 2 ..., else a ModuleDict. Dotted names are nested."""
    nested: dict[str, dict[str, Expr] | Expr] = {}
    for path, member in members.items():
        head, _, rest = path.partition(".")
        if rest:
            group = nested.setdefault(head, {})
            assert isinstance(group, dict)
            group[rest] = member
        else:
            nested[head] = member
    values = {
        name: nest_modules(value) if isinstance(value, dict) else value for name, value in nested.items()
    }
    if list(values) == [str(i) for i in range(len(values))]:
        return Call(Name("nn.ModuleList"), (ListOf(tuple(values.values())),))
    return Call(
        Name("nn.ModuleDict"), (DictOf(tuple((Literal(member_name(k)), v) for k, v in values.items())),)
    )


def frozen_layers(class_spec: ClassSpec) -> list[Expr]:
    """Return the modules of a class that are not trained."""
    layers: list[Expr] = []
    for step, inner_path in frozen_parts(class_spec):
        if is_tensor(step):
            continue
        layer = layer_reference(class_spec, step.layer_name)
        if inner_path.isdigit() and isinstance(step.member, LayerRow) and step.member.names is None:
            layer = Index(layer, (Literal(int(inner_path)),))
        elif inner_path:
            layer = Call(
                Attribute(layer, "get_submodule"),
                (
                    Literal(
                        ".".join(map(member_name, inner_path.split("."))),
                    ),
                ),
            )
        layers.append(layer)
    return layers


def freeze_layers(layers: list[Expr]) -> list[Statement]:
    """Return the statements that stop the gradients of these modules and set evaluation mode."""

    def freeze(layer: Expr) -> Statement:
        without_gradients = Call(Attribute(layer, "requires_grad_"), (Literal(False),))
        return Do(Call(Attribute(without_gradients, "eval")))

    return emit_for_each(layers, "part", freeze)
