"""Merges instances of a block into one class: what they share is code, what differs becomes a parameter.

This is anti-unification (Plotkin, 1970): it finds the most specific class of which every instance is a case,
and writes it with the names and expressions of the spec.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec.structs import replace

from specbuild.codegen.class_spec import ClassSpec, ClassTable, ConstructorParam, Guard
from specbuild.codegen.constructions import ComputedTable
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.input_sizes import InputSizeReader
from specbuild.codegen.lowered_steps import LoweredBlock, LoweredStep
from specbuild.codegen.merge_code import CodeMerger, CodePlace, StructureMismatch
from specbuild.codegen.merged_params import MergedParams
from specbuild.codegen.size_checks import SizeCheck
from specbuild.codegen.tree import Expr, Literal, Name
from specbuild.expressions import Expression, SymInt, bind_name, expression_of, presence_of
from specbuild.ir.graph import BlockArgument, definition_key


def bind_names(expression: Expression, values: Mapping[str, Any]) -> Expression | None:
    """Return an expression with values in place of names; None if that is impossible."""
    number: int = SymInt(0, expression)
    for name in values.keys() & {*expression.names}:
        number = bind_name(number, name, values[name])
    return expression_of(number)


class InstanceMerger:
    """Builds one class from a group of instances; raises StructureMismatch if there is none."""

    def __init__(
        self,
        instances: Sequence[LoweredBlock],
        table: ClassTable,
        is_model: bool,
        suffixes: Sequence[str] = (),
        variations: Sequence[LoweredBlock] = (),
    ):
        self.instances = list(instances)
        self.group = [*instances, *variations]  # the file has no variations, but the class must serve them
        self.table, self.is_model = table, is_model
        self.suffixes = suffixes  # name endings that distinguish this group from others of the block
        self.params = MergedParams(self.group, len(self.instances), is_model)
        numbers = table.value_numbers[definition_key(self.group[0].block)]
        self.sizes = InputSizeReader(self.group, numbers)
        if not self.sizes.is_consistent:
            raise StructureMismatch
        self.presence: dict[str, tuple[str, bool]] = {}  # see `ClassSpec`
        self.optional_inputs = [n for n in self.group[0].inputs if any(n not in x.inputs for x in self.group)]
        self.merged_steps: list[LoweredStep] = []
        self.flags: dict[str, Expr] = {}
        # numbers that are 0, and odd numbers, if the arguments fit
        self.remainders: dict[Expression, None] = {}
        self.odd_numbers: dict[Expression, None] = {}
        self.derived: dict[str, Expr] = {}
        self.constructor_params: dict[str, ConstructorParam] = {}
        self.size_checks: dict[SizeCheck, Expr] = {}

    def merge(self) -> None:
        """Merge the steps and the parameters."""
        self.merged_steps, self.flags = self.merge_steps()
        if better_names := self.params.better_names():
            self.params = MergedParams(self.group, len(self.instances), self.is_model, better_names)
            self.merged_steps, self.flags = self.merge_steps()
        if self.sizes.reads_varying:
            raise StructureMismatch
        self.size_checks = self.merge_size_checks()
        self.derived = self.params.derived_params()
        params = self.params.build_params().items()
        self.constructor_params = {name: param for name, param in params if name not in self.derived}

    def register_class(self, guards: tuple[Guard, ...] = (), untried: tuple[str, ...] = ()) -> ClassSpec:
        """Register the merged class and the new arguments in the table."""
        block = self.group[0].block
        for number, lowered in enumerate(self.group):
            added = self.params.added_arguments(number)
            self.table.extra_arguments |= {lowered: added, lowered.plain or lowered: added}
        numbers = self.table.value_numbers[definition_key(block)]
        inner = {name: self.table.class_of[child] for name, child in self.group[0].children.items()}
        class_spec = ClassSpec(
            self.choose_name(),
            block,
            self.constructor_params,
            self.derived,
            self.merged_steps,
            self.flags,
            self.instances,
            numbers,
            self.sizes.used,
            inner,
            self.presence,
            guards,
            self.size_checks,
            untried,
        )
        for lowered in self.group:
            self.table.class_of |= {lowered: class_spec, lowered.plain or lowered: class_spec}
        return class_spec

    def merge_size_checks(self) -> dict[SizeCheck, Expr]:
        """Return the sizes that the inputs of every instance must have."""
        checks: dict[SizeCheck, Expr] = {}
        variables = {source: name for name, source in self.params.shared_sizes.items()}
        for check in self.instances[0].size_checks:
            key = (check.source, check.axis)
            if key not in variables or not self.has_dimension(*key):
                continue
            if check.same_as is not None and not self.has_dimension(*check.same_as):
                continue
            instances = tuple(i for i, x in enumerate(self.group) if check in x.size_checks)
            if instances[: len(self.instances)] == tuple(range(len(self.instances))):
                # a size of the constructor is compared with that of the input
                place = CodePlace(instances, variables[key], reads_inputs=False)
                column = [self.group[i].size_checks[check] for i in instances]
                checks[check] = CodeMerger(self.params).merge(column, place)
                self.params.mark_used(checks[check])
        return checks

    def has_dimension(self, source: str, axis: str) -> bool:
        """Return whether an axis of an input is the same dimension in every instance."""
        layouts = [x.inputs[source].layout for x in self.group if source in x.inputs]
        dims = {layout.dim(axis) if axis in layout.order else None for layout in layouts}
        return len(layouts) == len(self.group) and len(dims) == 1 and None not in dims

    def merge_steps(self) -> tuple[list[LoweredStep], dict[str, Expr]]:
        """Return the merged steps, and the condition of each step that only some instances have."""
        steps: list[LoweredStep] = []
        flags: dict[str, Expr] = {}
        for index in range(len(self.group[0].steps)):
            steps.append(self.merge_step([lowered.steps[index] for lowered in self.group], flags))
        return steps, flags

    def choose_name(self) -> str:
        """Return an unused class name: the block's own, or with an ending for what only these instances have."""
        block = self.group[0].block
        if self.is_model:
            return block.name
        inner_classes = [
            value.name
            for value in block.params.values()
            if isinstance(value, BlockArgument) and value.name != "none" and value.name[0].isupper()
        ]
        candidates = chain(
            (f"{block.name}{suffix}" for suffix in self.suffixes),
            [block.name],
            (f"{block.name}With{kind}" for kind in inner_classes),
            (f"{block.name}{n}" for n in range(2, 10_000)),
        )
        name = next(name for name in candidates if name not in self.table.class_names)
        self.table.class_names.add(name)
        return name

    def merge_step(self, steps: list[LoweredStep], flags: dict[str, Expr]) -> LoweredStep:
        instances = tuple(i for i, s in enumerate(steps) if not s.is_skipped)
        if not instances:
            return steps[0]
        if instances[0] >= len(self.instances):
            raise StructureMismatch  # only variations have this step
        active = [steps[i] for i in instances]
        first = active[0]
        hint = first.node.replace(".", "_")
        code = CodeMerger(self.params)
        in_member = CodePlace(instances, hint, isinstance(first.member, ComputedTable), first.node)
        in_call = CodePlace(instances, hint, reads_inputs=True, step=first.node)
        member = None if first.member is None else code.merge([s.member for s in active], in_member)
        inits = code.merge([s.inits for s in active], CodePlace(instances, hint, False, first.node))
        call = code.merge([s.call for s in active], in_call)
        if len(active) < len(steps):
            skipped = next(step for step in steps if step.is_skipped)
            key = skipped.inputs[0]
            inputs = first.inputs if key in first.inputs else (*first.inputs, key)
            first = replace(first, inputs=inputs, skip_key=key)
            if self.optional_inputs:
                first = self.ask_presence(first, instances)
            else:
                flags[first.key] = self.step_condition(first, instances)
        else:
            self.merge_numbers([s.remainders for s in active], self.remainders, in_call)
            self.merge_numbers([s.odd_numbers for s in active], self.odd_numbers, in_call)
        merged = self.sizes.read_sizes(replace(first, member=member, inits=inits, call=call))
        numbers = (argument.value for init in merged.inits for argument in init.arguments)
        for part in (member, merged.call, flags.get(first.key), *numbers):
            self.params.mark_used(part)
        return merged

    def ask_presence(self, step: LoweredStep, instances: tuple[int, ...]) -> LoweredStep:
        """Record that the code asks whether an input is given. A step with a layer, or under another condition,
        gives each instance a class of its own."""
        name, is_given = presence_of(step.when) or ("", True)
        having = tuple(i for i, lowered in enumerate(self.group) if (name in lowered.inputs) == is_given)
        if name not in self.optional_inputs or having != instances or step.member or step.layer_name:
            raise StructureMismatch
        self.presence[step.key] = name, is_given
        return replace(step, inputs=tuple(dict.fromkeys((*step.inputs, name))))

    def merge_numbers(
        self, rows: Sequence[tuple[Expr, ...]], found: dict[Expression, None], place: CodePlace
    ) -> None:
        """Add the numbers that have an expression in every instance; a row has the numbers of one instance."""
        for column in zip(*rows, strict=False):
            expressions = dict.fromkeys(expression_of(x.value) for x in column if isinstance(x, Literal))
            if None not in expressions and not self.params.unshared_sizes:
                known = [e for e in expressions if e is not None]
                if (common := CodeMerger(self.params).common_expression(known, column, place)) is not None:
                    found[common] = None

    def step_condition(self, step: LoweredStep, instances: tuple[int, ...]) -> Expr:
        """Return the condition in the spec, or a new flag `use_step`."""
        if step.when is not None and self.params.unshared_sizes.isdisjoint(step.when.names):
            plain = self.group[0].unstable_values
            condition = (
                step.when if plain.keys().isdisjoint(step.when.names) else bind_names(step.when, plain)
            )
            if condition is not None:
                return expression_code(condition)
        everywhere = range(len(self.group))
        values = [Literal(i in instances) for i in everywhere]
        hint = f"use_{step.node.replace('.', '_')}"
        return Name(self.params.choose_param(values, hint, everywhere))
