"""Channels of inputs: a block's constructor does not take them, since `build` knows the shapes of the inputs.

Then `build` creates the layers that need them, as Keras' own composite layers do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from specbuild.backends.keras.layers import is_weight, row_parts
from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import (
    ComputedTable,
    Construction,
    LayerRow,
    Member,
    member_names,
)
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.parameter_reads import call_parameters
from specbuild.codegen.tree import Attribute, Expr, Index, Literal, Name, ValuePlaceholder
from specbuild.codegen.tree_walk import list_read_names, map_children
from specbuild.ir.graph import block_size_names
from specbuild.ops.types import CHANNEL


class ChannelSizes:
    """Takes the channels of inputs out of the constructors of a file's classes, inner classes first."""

    def __init__(self) -> None:
        self.dropped: dict[str, set[str]] = {}  # class -> the arguments that its constructor no longer has
        self.with_tables: set[str] = (
            set()
        )  # classes whose constructor, or that of a layer in it, computes a table

    def take_out(self, class_spec: ClassSpec, is_model: bool) -> ClassSpec:
        """Return the class without these arguments, and without those that it gave to the constructors of others."""
        steps = [
            step if step.member is None else replace(step, member=self.drop_arguments(step.member))
            for step in class_spec.steps
        ]
        class_spec = replace(class_spec, steps=steps)
        if is_model:
            return class_spec
        layers = [part for step in steps for part in row_parts(step.member)]
        has_inner_tables = any(isinstance(x, Construction) and x.function in self.with_tables for x in layers)
        if has_inner_tables or any(isinstance(x, ComputedTable) for x in layers):
            self.with_tables.add(class_spec.name)
        shapes = {"input_shape", *(f"{name}_shape" for name in class_spec.arguments)}
        taken = shapes | {"shape", "layer"}  # other variables of `build`
        sizes = find_channel_sizes(class_spec)
        if not taken.isdisjoint((*sizes, *class_spec.derived)):
            sizes = {}
        if has_inner_tables and creates_in_build(replace(class_spec, built_sizes=sizes)):
            sizes = {}  # what `build` computes while Keras traces a model is no number that can be kept
        read = names_in_code(class_spec)
        given = {
            name
            for name in class_spec.params
            if class_spec.param_words.get(name, name) in class_spec.block.params
        }
        unused = class_spec.params.keys() - read - given - sizes.keys()
        if not sizes and not unused:
            return class_spec
        self.dropped[class_spec.name] = {*sizes, *unused}
        params = {n: p for n, p in class_spec.params.items() if n not in self.dropped[class_spec.name]}
        numbers = class_spec.value_numbers
        code = {
            name: Index(
                Attribute(ValuePlaceholder(numbers.setdefault(source, len(numbers))), "shape"), (Literal(-1),)
            )
            for name, source in sizes.items()
        }
        steps = [read_from_inputs(step, code, sizes) for step in class_spec.steps]
        return replace(class_spec, params=params, steps=steps, built_sizes=sizes)

    def drop_arguments(self, member: Member) -> Member:
        """Return a member without the arguments that constructors no longer have."""
        if isinstance(member, LayerRow):
            row = member.members
            head = tuple(map(self.drop_arguments, row.head))
            return replace(member, members=replace(row, head=head, tail=self.drop_arguments(row.tail)))
        if not isinstance(member, Construction) or not member.is_own_class:
            return member
        dropped = self.dropped.get(member.function, set())
        return replace(member, arguments=tuple(a for a in member.arguments if a.name not in dropped))


def find_channel_sizes(class_spec: ClassSpec) -> dict[str, str]:
    """Return the constructor's arguments that are channels of an input, with the input.

    Those stay that a table or a check of another size reads: both are made before any input is seen.
    """
    names = block_size_names(class_spec.block)
    tables = [step.member for step in class_spec.steps if isinstance(step.member, ComputedTable)]
    fixed = {name for member in tables for name in member_names(member)}
    fixed |= {name for size in class_spec.size_checks.values() for name in list_read_names(size)}
    fixed |= {name for derived in fixed & {*class_spec.derived} for name in all_names(class_spec, derived)}
    found = {}
    for name in class_spec.params:
        word = class_spec.param_words.get(name, name)
        source, axis = names.get(word, ("", ""))
        if word in class_spec.block.params or axis != CHANNEL or name in fixed:
            continue
        layouts = [
            lowered.inputs[source].layout for lowered in class_spec.instances if source in lowered.inputs
        ]
        if len(layouts) == len(class_spec.instances) and all(x.order[-1:] == (CHANNEL,) for x in layouts):
            found[name] = source
    return found


def all_names(class_spec: ClassSpec, derived: str) -> Iterator[str]:
    """Yield the names that a derived value reads, also through others."""
    for name in list_read_names(class_spec.derived[derived]):
        yield name
        if name in class_spec.derived:
            yield from all_names(class_spec, name)


def names_in_code(class_spec: ClassSpec) -> set[str]:
    """Return the names that the code of a class reads anywhere."""
    code = [
        *(step.call for step in class_spec.steps),
        *class_spec.derived.values(),
        *class_spec.flags.values(),
        *class_spec.size_checks.values(),
        *(guard.condition for guard in class_spec.guards),
        *(a.value for step in class_spec.steps for init in step.inits for a in init.arguments),
    ]
    names = {name.partition(".")[0] for part in code for name in list_read_names(part)}
    return names.union(*(member_names(s.member) for s in class_spec.steps if s.member is not None))


def read_from_inputs(step: LoweredStep, code: Mapping[str, Expr], sizes: Mapping[str, str]) -> LoweredStep:
    """Return a step whose code, when it runs, reads channels from the shapes of the inputs."""
    read = [name for name in code if name in set(list_read_names(step.call))]
    if not read:
        return step

    def rewrite(expr: Expr) -> Expr:
        return (
            code[expr.text] if isinstance(expr, Name) and expr.text in code else map_children(expr, rewrite)
        )

    inputs = dict.fromkeys((*step.inputs, *(sizes[name] for name in read)))
    return replace(step, call=rewrite(step.call), inputs=tuple(inputs))


def creates_in_build(class_spec: ClassSpec) -> bool:
    """Return whether a layer, a condition, or a number that `call` reads needs the channels of an input."""
    names = {name for name in call_parameters(class_spec) if name in class_spec.derived}
    names |= {
        name
        for step in class_spec.steps
        if step.member is not None and not is_weight(step)
        for name in member_names(step.member)
    }
    names |= {name for flag in class_spec.flags.values() for name in list_read_names(flag)}
    names |= {name for guard in class_spec.guards for name in list_read_names(guard.condition)}
    return needs_channels(class_spec, names)


def needs_channels(class_spec: ClassSpec, names: Iterable[str]) -> bool:
    """Return whether one of these names is a size that `build` reads, or computed from one."""
    return any(
        name in class_spec.built_sizes
        or (
            name in class_spec.derived
            and needs_channels(class_spec, list_read_names(class_spec.derived[name]))
        )
        for name in names
    )
