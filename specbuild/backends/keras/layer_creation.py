"""The statements that create the layers of a block: in its constructor, or in `build` if they need the channels of inputs."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from specbuild.backends.keras.channel_sizes import creates_in_build, needs_channels
from specbuild.backends.keras.layers import (
    attribute_name,
    emit_layer,
    freeze_layers,
    frozen_layers,
    is_weight,
)
from specbuild.backends.module_parts import emit_computed, flag_conditions, guard_statements
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import ComputedTable, member_names
from specbuild.codegen.parameter_reads import call_parameters
from specbuild.codegen.tree import Assign, Call, Conditional, Literal, Name, Statement
from specbuild.codegen.tree_walk import list_read_names

DTYPE = Name("self.dtype_policy")  # the layers of a block compute in its precision


class CreationParts(Struct):
    """The statements of one method, in their order: guards, what is derived from arguments, layers, conditions."""

    first_guards: list[Statement]
    derived: list[Statement]
    guards: list[Statement]
    kept: list[Statement]  # derived values that `call` reads
    layers: list[Statement]


def constructor_parts(class_spec: ClassSpec) -> CreationParts:
    """Return what the constructor does."""
    if not creates_in_build(class_spec):
        freezing = freeze_layers(frozen_layers(class_spec, lambda step: f"self.{attribute_name(step)}"))
        created = [*create_layers(class_spec), *freezing, *create_conditions(class_spec)]
        return assemble_parts(class_spec, list(class_spec.derived), created)
    early = [name for name in class_spec.derived if not needs_channels(class_spec, [name])]
    guards = tuple(
        g for g in class_spec.guards if not needs_channels(class_spec, list_read_names(g.condition))
    )
    part = replace(class_spec, guards=guards)
    tables = [step.member for step in class_spec.steps if isinstance(step.member, ComputedTable)]
    read = {name for table in tables for name in member_names(table)} | {*call_parameters(class_spec)}
    read |= {name for guard in guards for name in list_read_names(guard.condition)}
    needed = [name for name in needed_derived(class_spec, read) if name in early]
    return assemble_parts(part, needed, create_layers(class_spec, tables=True))


def build_parts(class_spec: ClassSpec) -> CreationParts | None:
    """Return what `build` does before it builds the layers; None if the constructor creates them."""
    if not creates_in_build(class_spec):
        return None
    guards = tuple(g for g in class_spec.guards if needs_channels(class_spec, list_read_names(g.condition)))
    late = [name for name in class_spec.derived if needs_channels(class_spec, [name])]
    created = [*create_layers(class_spec, tables=False), *create_conditions(class_spec)]
    parts = assemble_parts(replace(class_spec, guards=guards), list(class_spec.derived), created)
    parts.kept = [
        Assign(f"self.{class_spec.attribute_of(name)}", Name(name))
        for name in call_parameters(class_spec)
        if name in late
    ]
    return parts


def assemble_parts(class_spec: ClassSpec, derived: list[str], created: list[Statement]) -> CreationParts:
    kept = [name for name in call_parameters(class_spec) if name in derived]
    return CreationParts(
        guard_statements(class_spec),
        [Assign(name, class_spec.derived[name]) for name in derived],
        guard_statements(class_spec, derived=True),
        [Assign(f"self.{class_spec.attribute_of(name)}", Name(name)) for name in kept],
        created,
    )


def needed_derived(class_spec: ClassSpec, names: Iterable[str]) -> list[str]:
    """Return the derived values among these names, and those that they are computed from, in the order of the code."""
    found, todo = set[str](), list(names)
    while todo:
        name = todo.pop()
        if name in class_spec.derived and name not in found:
            found.add(name)
            todo += list_read_names(class_spec.derived[name])
    return [name for name in class_spec.derived if name in found]


def create_conditions(class_spec: ClassSpec) -> list[Statement]:
    """Return the statements that keep conditions, without those that are parameters."""
    params = {class_spec.attribute_of(name) for name in class_spec.params}
    conditions = flag_conditions(class_spec).items()
    return [Assign(f"self.{name}", condition) for name, condition in conditions if name not in params]


def create_layers(class_spec: ClassSpec, tables: bool | None = None) -> list[Statement]:
    """Return the statements that create layers and compute tables; `tables` chooses one of these kinds."""
    statements: list[Statement] = []
    for step in class_spec.steps:
        is_table = isinstance(step.member, ComputedTable)
        if step.member is None or is_weight(step) or tables not in (None, is_table):
            continue
        if isinstance(step.member, ComputedTable):
            before, value = emit_computed(step.member, {*class_spec.used_variables, "self", "kwargs"})
            if class_spec.first_instance.block.value_type(step.key).dtype == "float":
                value = Call(Name("ops.cast"), (value, Name("self.compute_dtype")))
            statements += [*before, Assign(f"self.{attribute_name(step)}", value)]
            continue
        layer = emit_layer(step.member, Literal(attribute_name(step)), dtype=DTYPE)
        if step.key in class_spec.flags:
            identity = Call(Name("layers.Identity"), (), (("dtype", DTYPE),))
            layer = Conditional(class_spec.flags[step.key], layer, identity)
        statements.append(Assign(f"self.{attribute_name(step)}", layer))
    return statements
