"""Merges instances of a block into one class: what they share is code, what differs becomes a parameter.

This is anti-unification (Plotkin, 1970): it finds the most specific class of which every instance is a case,
and writes it with the names and expressions of the spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from typing import Any

from specbuild.codegen.class_spec import ClassSpec, ClassTable
from specbuild.codegen.constructions import (
    Argument,
    Member,
    Repeated,
    drop_index_expression,
    is_constant,
    literal_values,
)
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.lowering import LoweredBlock, LoweredStep, block_identity
from specbuild.codegen.merged_params import MergedParams, value_params
from specbuild.codegen.tree import (
    Expr,
    Index,
    Infix,
    Input,
    Literal,
    Name,
    TupleOf,
    map_children,
)
from specbuild.expressions import (
    Expression,
    ExpressionError,
    concrete,
    evaluate_expression,
    expression_of,
)
from specbuild.ir.graph import BlockArgument, size_names


class StructureMismatch(Exception):
    """Raised when the code of instances differs by more than values."""


class InstanceMerger:
    """Builds one class from a group of instances; raises StructureMismatch if there is none."""

    def __init__(
        self, group: list[LoweredBlock], table: ClassTable, is_model: bool, suffixes: Sequence[str] = ()
    ):
        self.group, self.table, self.is_model = group, table, is_model
        self.suffixes = suffixes  # name endings that tell this group from others of the block
        self.params = MergedParams(group, is_model)
        self.active_instances: list[int] = []  # those that do not skip the current step

    def build_class(self) -> ClassSpec:
        """Merge the instances, and register the class and the new arguments in the table."""
        block = self.group[0].block
        steps, flags = self.merge_steps()
        if better_names := self.params.better_names():
            self.params = MergedParams(self.group, self.is_model, better_names)
            steps, flags = self.merge_steps()
        for number, lowered in enumerate(self.group):
            self.table.extra_arguments[lowered] = self.params.added_arguments(number)
        derived = self.params.derived_params()
        params = {name: param for name, param in self.params.build_params().items() if name not in derived}
        numbers = self.table.value_numbers[block_identity(block)]
        class_spec = ClassSpec(self.choose_name(), block, params, derived, steps, flags, self.group, numbers)
        for lowered in self.group:
            self.table.class_of[lowered] = class_spec
        return class_spec

    def merge_steps(self) -> tuple[list[LoweredStep], dict[str, Expr]]:
        """The merged steps, and the condition of each step that only some instances have."""
        steps: list[LoweredStep] = []
        flags: dict[str, Expr] = {}
        for index in range(len(self.group[0].steps)):
            steps.append(self.merge_step([lowered.steps[index] for lowered in self.group], flags))
        return steps, flags

    def choose_name(self) -> str:
        """An unused class name: the block's own, or with an ending for what only these instances have."""
        block = self.group[0].block
        inner_classes = [
            value.kind
            for value in block.params.values()
            if isinstance(value, BlockArgument) and value.kind != "none" and value.kind[0].isupper()
        ]
        candidates = chain(
            (f"{block.kind}{suffix}" for suffix in self.suffixes),
            [block.kind],
            (f"{block.kind}With{kind}" for kind in inner_classes),
            (f"{block.kind}{n}" for n in range(2, 10_000)),
        )
        name = next(name for name in candidates if name not in self.table.class_names)
        self.table.class_names.add(name)
        return name

    def merge_step(self, steps: list[LoweredStep], flags: dict[str, Expr]) -> LoweredStep:
        self.active_instances = [i for i, s in enumerate(steps) if not s.is_skipped]
        if not self.active_instances:
            return steps[0]
        active = [steps[i] for i in self.active_instances]
        first = active[0]
        member = None if first.member is None else self.merge_parts([s.member for s in active], first.node)
        call = self.merge_parts([s.call for s in active], first.node)
        if len(active) < len(steps):
            flags[first.key] = self.step_condition(first, len(steps))
        for part in (member, call, flags.get(first.key)):
            self.params.mark_used(part)
        return replace(first, member=member, call=call)

    def step_condition(self, step: LoweredStep, count: int) -> Expr:
        """The condition in the spec, or a new flag `use_step`."""
        if step.when is not None:
            return expression_code(step.when)
        values = [Literal(i in self.active_instances) for i in range(count)]
        hint = f"use_{step.node.replace('.', '_')}"
        self.active_instances = list(range(count))
        return Name(self.params.choose_param(values, hint, self.active_instances))

    def merge_parts(self, parts: Sequence[Any], hint: str) -> Any:
        """Merge the code at one position of every instance; `hint` names a new parameter for it."""
        first = parts[0]
        if all(map(is_constant, parts)):
            return self.merge_values(parts, hint)
        if len(parts) == 1 and isinstance(first, Expr):
            return map_children(first, lambda part: self.merge_parts([part], hint))
        if any(type(p) is not type(first) for p in parts):
            raise StructureMismatch
        if isinstance(first, Repeated):
            return self.merge_repeats(parts, hint)
        if isinstance(first, Argument):
            return replace(first, value=self.merge_parts([p.value for p in parts], first.name))
        if isinstance(first, tuple):
            if any(len(p) != len(first) for p in parts):
                raise StructureMismatch
            return tuple(self.merge_parts(list(column), hint) for column in zip(*parts, strict=True))
        if is_dataclass(first) and not isinstance(first, type | Name | Input):
            values = {
                f.name: self.merge_parts([getattr(p, f.name) for p in parts], hint) for f in fields(first)
            }
            return replace(first, **values)
        if any(p != first for p in parts):
            raise StructureMismatch
        return first

    def merge_repeats(self, rows: Sequence[Repeated], hint: str) -> Repeated:
        """Merge rows of layers, whose lengths may differ."""
        head_length = max(len(row.head) for row in rows)
        lengths = [
            row.length.value if isinstance(row.length, Literal) and isinstance(row.length.value, int) else -1
            for row in rows
        ]
        if any(row.has_index for row in rows) and any(row != rows[0] for row in rows):
            raise StructureMismatch
        heads: list[tuple[Member, ...]] = []
        active = self.active_instances
        for row, length in zip(rows, lengths, strict=True):
            heads.append(row.head + (row.tail,) * (min(head_length, length) - len(row.head)))
            if len(heads[-1]) < head_length:
                raise StructureMismatch
        head = tuple(self.merge_parts(list(column), hint) for column in zip(*heads, strict=True))
        longer = [i for i, length in enumerate(lengths) if length > head_length]
        self.active_instances = [active[i] for i in longer] or active
        tail = self.merge_parts([rows[i].tail for i in longer] or [row.tail for row in rows], hint)
        self.active_instances = active
        return Repeated(
            head, tail, self.merge_parts([row.length for row in rows], "depth"), rows[0].has_index
        )

    def merge_values(self, parts: Sequence[Expr], hint: str) -> Expr:
        """Merge constants: into their common expression, their common value, or a parameter."""
        parts = [drop_index_expression(p) for p in parts]
        first = parts[0]
        if all(
            isinstance(p, TupleOf) and isinstance(first, TupleOf) and len(p.items) == len(first.items)
            for p in parts
        ):
            assert isinstance(first, TupleOf)
            if all(p == first for p in parts) or any(
                expression_of(v) for p in parts for v in literal_values(p)
            ):
                columns = zip(*(p.items for p in parts if isinstance(p, TupleOf)), strict=True)
                items = tuple(self.merge_values(column, hint) for column in columns)
                return self.whole_param(items) or TupleOf(items)
        expressions = dict.fromkeys(expression_of(p.value) if isinstance(p, Literal) else None for p in parts)
        if None not in expressions and (
            common := self.common_expression([e for e in expressions if e is not None], parts)
        ):
            return expression_code(common)
        if all(p == first for p in parts):
            return Literal(concrete(first.value)) if isinstance(first, Literal) else first
        return self.half_kernel_padding(parts, hint) or Name(
            self.params.choose_param(parts, hint, self.active_instances)
        )

    def half_kernel_padding(self, column: Sequence[Expr], hint: str) -> Expr | None:
        """`kernel // 2`, if the kernel varies and the padding is half of it in every instance."""
        for name in ("kernel", "kernel_size") if hint == "padding" else ():
            if name in self.params.added_values:
                kernels = [self.params.added_values[name][i] for i in self.active_instances]
                if all(
                    isinstance(k, int) and c == Literal(k // 2) for k, c in zip(kernels, column, strict=True)
                ):
                    return Infix("//", Name(name), Literal(2))
        return None

    def common_expression(self, expressions: list[Expression], parts: Sequence[Expr]) -> Expression | None:
        """The first of these expressions that gives the right value in every active instance.

        An instance that skips a step has shorter expressions for the sizes after it.
        """
        if len(expressions) == 1:
            return expressions[0]
        blocks = [self.group[i].block for i in self.active_instances]
        scopes = []
        for block in blocks:
            names = size_names(block.inputs, block.params).items()
            sizes = {name: concrete(block.inputs[source][axis]) for name, (source, axis) in names}
            scopes.append(sizes | {p: concrete(value) for p, value in value_params(block).items()})
        values = [concrete(part.value) for part in parts if isinstance(part, Literal)]

        def is_true_everywhere(expression: Expression) -> bool:
            try:
                return all(
                    evaluate_expression(expression, s) == v for s, v in zip(scopes, values, strict=True)
                )
            except ExpressionError:
                return False

        return next(filter(is_true_everywhere, expressions), None)

    def whole_param(self, items: tuple[Expr, ...]) -> Expr | None:
        """The parameter whose items a tuple repeats, if any: `shift` for `(shift[0], shift[1])`."""
        match items:
            case (Index(Name(name)), *_) if items == tuple(
                Index(Name(name), (Literal(i),)) for i in range(len(items))
            ):
                lists = [lowered.block.params.get(name) for lowered in self.group]
                if all(isinstance(p, list | tuple) and len(p) == len(items) for p in lists):
                    return Name(name)
        return None
