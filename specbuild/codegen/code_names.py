"""Chooses the names in emitted classes, in one place: inputs, constructor parameters, attributes, variables.

Names from the spec are kept where possible. Where a word would hide something that the code needs (a module, a
class, a builtin, an attribute of the framework's class) or another name of the class, an underscore is added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec
from specbuild.codegen.constructions import (
    Construction,
    LayerRow,
    Member,
    map_expressions,
    map_initial_values,
)
from specbuild.codegen.exact_divisions import undo_divisions
from specbuild.codegen.lowered_steps import LoweredStep
from specbuild.codegen.neutral_numbers import drop_neutral_numbers
from specbuild.codegen.tree import Call, Expr, Name
from specbuild.codegen.tree_walk import map_children
from specbuild.frontend.names import BUILTIN_CLASSES, COMMON_NAMES, ReservedNames, write_alias
from specbuild.ir.graph import input_arguments, runtime_sizes

LOOP_VARIABLES = frozenset({"layer", "part"})  # of the code that freezes layers


def class_names(reserved: ReservedNames) -> frozenset[str]:
    """Return the names that no class of an emitted file can have."""
    return reserved.emitted | reserved.helpers | BUILTIN_CLASSES


def choose_code_names(classes: Sequence[ClassSpec], reserved: ReservedNames) -> list[ClassSpec]:
    """Return the classes of a file with the names that the code has, where they differ from the spec's."""
    file_names = (
        reserved.emitted
        | reserved.helpers
        | reserved.builtins
        | COMMON_NAMES.builtins
        | BUILTIN_CLASSES
        | {c.name for c in classes}
    )
    # a derived value without its divisions may equal an argument, and the reverse
    plain = [undo_divisions(replace_equal_names(undo_divisions(drop_neutral_numbers(c)))) for c in classes]
    named = [ClassNamer(c, reserved, file_names, is_model=c is plain[-1]).name_class() for c in plain]
    renamed = {c.name: {word: name for name, word in c.param_words.items()} for c in named if c.param_words}
    return [rename_arguments(c, renamed) for c in named] if renamed else named


class ClassNamer:
    """Chooses the names of one class."""

    def __init__(
        self, class_spec: ClassSpec, reserved: ReservedNames, file_names: frozenset[str], is_model: bool
    ):
        """`file_names` are the global names of the file. All its classes share the set, which may be large."""
        self.class_spec, self.reserved, self.file_names = class_spec, reserved, file_names
        self.is_model = is_model

    def name_class(self) -> ClassSpec:
        layer_attributes = self.layer_attributes()
        arguments = self.reserved.arguments | COMMON_NAMES.arguments
        local_variables = {f"{name}_layer{ending}" for name in layer_attributes for ending in ("", "s")}
        words = {name: name.replace(".", "_") for name in self.class_spec.first_instance.inputs}
        lists = input_arguments(words)
        taken_arguments = local_variables if self.is_model else self.reserved.call_arguments
        if self.class_spec.optional_inputs and "mask" in taken_arguments:  # and so are the masks of inputs
            taken_arguments = taken_arguments | {f"{name}_mask" for name in words}
        chosen = choose_names(
            dict.fromkeys((*words.values(), *lists)),
            self.file_names,
            COMMON_NAMES.call_arguments | taken_arguments,
        )
        inputs = {name: chosen[word] for name, word in words.items()}
        shapes = {f"{chosen[name]}_shape" for name in (*words.values(), *lists)}
        sizes = runtime_sizes(self.class_spec.block).keys() - self.class_spec.params.keys()
        taken = {*arguments, *sizes}
        if self.class_spec.block.frozen_paths:
            taken |= LOOP_VARIABLES
        if self.is_model:
            taken |= {*inputs.values(), *shapes, *local_variables, *self.table_names()}
        params = choose_names([*self.class_spec.params, *self.class_spec.derived], self.file_names, taken)
        renamed = {word: name for word, name in params.items() if word != name}
        attributes = choose_names(params.values(), {*self.reserved.attributes, *layer_attributes})
        return replace(
            rename_params(self.class_spec, renamed) if renamed else self.class_spec,
            input_names=inputs,
            arguments={
                chosen[name]: None if items is None else tuple(inputs[item] for item in items)
                for name, items in lists.items()
            },
            attribute_names=attributes,
            param_words={name: word for word, name in renamed.items()},
            equal_names={word: params[name] for word, name in self.class_spec.equal_names.items()},
            taken_attributes=self.reserved.attributes | layer_attributes | set(attributes.values()),
            used_globals=self.reserved.emitted | {"self"},
            file_names=self.file_names,
            own_variables=frozenset({*params.values(), *shapes, *local_variables}),
        )

    def layer_attributes(self) -> set[str]:
        """Return the attributes of layers and weights; those of a group are in one attribute, or each has one."""
        names = {step.layer_name for step in self.class_spec.steps if step.layer_name}
        paths = {name.partition(".")[0] for name in names} | {name.replace(".", "_") for name in names}
        return {write_alias(name, self.reserved.attributes) for name in paths}

    def table_names(self) -> set[str]:
        return {step.layer_name.replace(".", "_") for step in self.class_spec.steps if step.buffer}


def choose_names(words: Iterable[str], *taken: Collection[str]) -> dict[str, str]:
    """Return a name for each word: the word itself, or if it is taken, the word with underscores at its end."""
    names: dict[str, str] = dict.fromkeys(words, "")
    chosen: set[str] = set()
    for word in names:
        name = word
        while name in chosen or any(name in group for group in taken) or (name != word and name in names):
            name += "_"
        names[word] = name
        chosen.add(name)
    return names


def replace_equal_names(class_spec: ClassSpec) -> ClassSpec:
    """Return the class with one name for a value that is derived from an argument without any change."""
    equal: dict[str, str] = {}
    for name, code in class_spec.derived.items():
        if isinstance(code, Name) and (code.text in class_spec.params or code.text in class_spec.derived):
            equal[name] = equal.get(code.text, code.text)
    if not equal:
        return class_spec
    kept = {name: code for name, code in class_spec.derived.items() if name not in equal}
    return replace(rename_params(replace(class_spec, derived=kept), equal), equal_names=equal)


def rename_params(class_spec: ClassSpec, renamed: Mapping[str, str]) -> ClassSpec:
    """Return the class with other names for its constructor parameters."""
    change = partial(rename_reads, renamed=renamed)
    return replace(
        class_spec,
        params={renamed.get(name, name): param for name, param in class_spec.params.items()},
        derived={renamed.get(name, name): change(code) for name, code in class_spec.derived.items()},
        steps=[
            replace(
                step,
                call=change(step.call),
                member=None if step.member is None else map_expressions(step.member, change),
                inits=map_initial_values(step.inits, change),
            )
            for step in class_spec.steps
        ],
        flags={key: change(code) for key, code in class_spec.flags.items()},
        guards=tuple(replace(guard, condition=change(guard.condition)) for guard in class_spec.guards),
        size_checks={check: change(size) for check, size in class_spec.size_checks.items()},
    )


def rename_reads(expr: Expr, renamed: Mapping[str, str]) -> Expr:
    """Return code that reads parameters by other names. A function or a module is no parameter."""
    if isinstance(expr, Name):
        return Name(renamed.get(expr.text, expr.text))
    if isinstance(expr, Call) and isinstance(expr.function, Name):
        args = tuple(rename_reads(arg, renamed) for arg in expr.args)
        return Call(expr.function, args, tuple((n, rename_reads(v, renamed)) for n, v in expr.keywords))
    return map_children(expr, partial(rename_reads, renamed=renamed))


def rename_arguments(class_spec: ClassSpec, renamed: Mapping[str, Mapping[str, str]]) -> ClassSpec:
    """Return the class with the new names of parameters in its calls of other classes, by class."""

    def rename_in_member(member: Member) -> Member:
        if isinstance(member, Construction) and member.is_own_class and member.function in renamed:
            names = renamed[member.function]
            arguments = tuple(replace(a, name=names.get(a.name, a.name)) for a in member.arguments)
            return replace(member, arguments=arguments)
        if isinstance(member, LayerRow):
            row = member.members
            head, tail = tuple(map(rename_in_member, row.head)), rename_in_member(row.tail)
            return replace(member, members=replace(row, head=head, tail=tail))
        return member

    def rename_in_step(step: LoweredStep) -> LoweredStep:
        return step if step.member is None else replace(step, member=rename_in_member(step.member))

    return replace(class_spec, steps=list(map(rename_in_step, class_spec.steps)))
