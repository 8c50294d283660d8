"""Code that creates, names and freezes Keras layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from specbuild.backends.keras.reserved import RESERVED_NAMES
from specbuild.backends.module_parts import (
    emit_construction,
    emit_for_each,
    emit_list,
    emit_row,
    frozen_parts,
    row_members,
)
from specbuild.codegen.class_spec import ClassSpec, Guard
from specbuild.codegen.constructions import ComputedTable, Construction, LayerRow, Member
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.requirements import count_row_members, list_rows, require_members
from specbuild.codegen.tree import Assign, Attribute, Call, Expr, Index, Infix, Literal, Name, Star, Statement
from specbuild.codegen.tree_walk import list_read_names
from specbuild.frontend.names import write_alias

ADD_WEIGHT = "self.add_weight"


def is_weight(step: LoweredStep) -> bool:
    """Return whether a step has a weight of its own instead of a layer."""
    return isinstance(step.member, Construction) and step.member.function == ADD_WEIGHT


def is_layer_list(member: Member | None) -> bool:
    """Return whether the layers of a row are in a list, because the row is not called as a whole."""
    return isinstance(member, LayerRow) and (member.is_loop or member.is_split)


def refuse_empty_rows(class_spec: ClassSpec) -> ClassSpec:
    """Return the class with a check for each row of layers: Keras cannot call one without layers."""
    written = count_row_members(class_spec.steps)
    least = dict(written)
    for step in class_spec.steps:
        for row in list_rows(step.member):
            if not is_layer_list(row) and row.names is None:
                least[row.members.length] = max(least.get(row.members.length, 0), 1)
    if least == written:
        return class_spec
    arguments = {*class_spec.params, *class_spec.derived}

    def require(numbers: Mapping[Expr, int]) -> list[Guard]:
        known = {
            length: number
            for length, number in numbers.items()
            if (read := {*list_read_names(length)}) and read <= arguments
        }
        return list(require_members(known, class_spec.instances))

    weaker = require(written)
    kept = [guard for guard in class_spec.guards if guard not in weaker]
    return replace(class_spec, guards=(*kept, *require(least)))


def row_parts(member: Member | None) -> list[Member]:
    """Return the layers of a row, or the one layer that a member is."""
    if isinstance(member, LayerRow):
        return [*member.members.head, member.members.tail]
    return [] if member is None else [member]


def attribute_name(step: LoweredStep) -> str:
    """Return the attribute that holds a layer. It is also the name of the layer."""
    return layer_attribute(step.layer_name)


def layer_attribute(path: str) -> str:
    """Return the attribute for the path of a layer in its block: `half_` for `half`, which every layer has."""
    return write_alias(path.replace(".", "_"), RESERVED_NAMES.attributes)


def layer_reference(class_spec: ClassSpec, layer_name: str, holder: Expr) -> Expr:
    """Return how `holder`, an object of a class, refers to a layer: `self.conv1`, `self.encoder.conv1`."""
    if owner := class_spec.find_owner(layer_name):
        step_name, inner_class, inner_name = owner
        return layer_reference(inner_class, inner_name, layer_reference(class_spec, step_name, holder))
    name = layer_attribute(layer_name)
    return Name(f"self.{name}") if holder == Name("self") else Attribute(holder, name)


def emit_layer(member: Member, name: Expr, **more: Expr) -> Expr:
    """Return the code that creates a layer or a row of layers. Its weight paths begin with `name`.

    `more` are further arguments of each layer.
    """
    if isinstance(member, Construction):
        return emit_construction(member, **more, name=name)
    if isinstance(member, LayerRow):
        row = member.members
        if member.names is not None:
            members = zip(member.names, row_members(row), strict=True)
            layers: tuple[Expr, ...] = tuple(emit_part_of_row(m, Literal(own), **more) for own, m in members)
        elif is_layer_list(member):
            return emit_list(
                emit_row(row, lambda m, i: emit_layer(m, indexed_name(name, i), **more), uses_index=True)
            )
        else:
            layers = emit_row(row, lambda m, i: emit_part_of_row(m, index_text(i), **more), uses_index=True)
        return Call(Name("keras.Sequential"), (emit_list(layers),), (("name", name),))
    assert not isinstance(member, ComputedTable)
    return member


def emit_part_of_row(member: Member, name: Expr, **more: Expr) -> Expr:
    """Return the code that creates a layer of a row. A row inside gets the dtype: the outer one casts to it."""
    match emit_layer(member, name, **more):
        case Call(Name("keras.Sequential"), layers, keywords) if more:
            return Call(Name("stack_layers"), layers, (*more.items(), *keywords))
        case code:
            return code


def emit_weight_layer(step: LoweredStep) -> Expr:
    """Return a layer that gives a weight of the model. It may be called on any input."""
    assert isinstance(step.member, Construction)
    is_stored = any(argument.value == Call(Name("Unfilled"), ()) for argument in step.member.arguments)
    layer = replace(step.member, function="StoredTable" if is_stored else "Weight")
    return emit_construction(layer, name=Literal(attribute_name(step)))


def indexed_name(name: Expr, index: Expr) -> Expr:
    """Return the name of one layer of a list: `stack_0`."""
    assert isinstance(name, Literal)
    if isinstance(index, Literal):
        return Literal(f"{name.value}_{index.value}")
    return Infix("+", Literal(f"{name.value}_"), index_text(index))


def index_text(index: Expr) -> Expr:
    """Return an index as a string: `"0"` or `str(i)`."""
    return Literal(str(index.value)) if isinstance(index, Literal) else Call(Name("str"), (index,))


def frozen_layers(class_spec: ClassSpec, layer_variable: Callable[[LoweredStep], str]) -> list[Expr]:
    """Return the layers that are not trained. `layer_variable` gives the variable of a step's layer."""
    layers: list[Expr] = []
    for step, inner_path in frozen_parts(class_spec):
        if is_weight(step) or isinstance(step.member, ComputedTable):
            continue
        layer: Expr = Name(layer_variable(step))
        if is_layer_list(step.member):
            if not inner_path:
                layers.append(Star(layer))
                continue
            index, _, inner_path = inner_path.partition(".")
            layer = Index(layer, (Literal(int(index)),))
        for name in inner_path.split(".") if inner_path else ():
            layer = Call(Attribute(layer, "get_layer"), (Literal(name),))
        layers.append(layer)
    return layers


def freeze_layers(layers: list[Expr]) -> list[Statement]:
    """Return the statements that fix the weights and statistics of these layers."""
    return emit_for_each(layers, "layer", lambda layer: Assign(f"{layer.text}.trainable", Literal(False)))
