"""Merges instances of a block into one class: what they share is code, what differs becomes a parameter.

This is anti-unification (Plotkin, 1970): it finds the most specific class of which every instance is a case,
and writes it with the names and expressions of the spec.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from typing import Any

from specbuild.codegen.class_spec import REQUIRED, ClassSpec, ClassTable, ConstructorParam
from specbuild.codegen.constructions import (
    Argument,
    ComputedTable,
    Construction,
    Container,
    Member,
    Repeated,
    constant_value,
    drop_index_expression,
    is_constant,
    literal_expression,
    literal_values,
)
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.lowering import LoweredBlock, LoweredStep, block_identity
from specbuild.codegen.tree import (
    Expr,
    Index,
    Infix,
    Input,
    Literal,
    Name,
    TupleOf,
    map_children,
    walk_expression,
)
from specbuild.expressions import (
    Expression,
    ExpressionError,
    concrete,
    evaluate_expression,
    expression_of,
    rewrite_expression,
    symbolic,
)
from specbuild.ir.graph import Block, BlockArgument, size_names
from specbuild.ops.types import CHANNEL


class StructureMismatch(Exception):
    """Raised when instances differ by more than values."""


class InstanceMerger:
    """Builds one class from a group of instances; raises StructureMismatch if there is none."""

    def __init__(
        self, group: list[LoweredBlock], table: ClassTable, is_model: bool, suffixes: Sequence[str] = ()
    ):
        self.group, self.table, self.is_model = group, table, is_model
        self.suffixes = suffixes  # name endings that tell this group from others of the block
        self.added_params: dict[tuple[str, ...], str] = {}  # values that vary -> name of the new parameter
        self.added_values: dict[str, list[Any]] = {}  # new parameter -> its value in each instance
        self.name_hints: dict[tuple[str, ...], list[str]] = {}  # values that vary -> possible names
        self.better_hints: dict[tuple[str, ...], str] = {}
        self.used_names: set[str] = set()
        self.active_instances: list[int] = []  # those that do not skip the current step

    def build_class(self) -> ClassSpec:
        """Merge the instances, and register the class and the new arguments in the table."""
        first = self.group[0]
        steps, flags = self.merge_steps()
        better = {
            key: hints[1] for key, hints in self.name_hints.items() if hints[0] == "padding" and hints[1:]
        }
        if better:  # a parameter first seen as a padding is named after the other argument that shares it
            self.added_params, self.added_values, self.used_names, self.better_hints = {}, {}, set(), better
            steps, flags = self.merge_steps()
        for position, lowered in enumerate(self.group):
            self.table.extra_arguments[lowered] = {
                name: column[position] for name, column in self.added_values.items()
            }
        derived = self.derived_params()
        params = {
            name: param for name, param in self.build_params(first.block).items() if name not in derived
        }
        numbers = self.table.value_numbers[block_identity(first.block)]
        class_spec = ClassSpec(
            self.choose_name(), first.block, params, derived, steps, flags, self.group, numbers
        )
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

    def derived_params(self) -> dict[str, Expr]:
        """Parameters whose default is an expression over others, if every instance has that default."""
        derived: dict[str, Expr] = {}
        for name, default in reversed(list(self.group[0].block.defaults.items())):
            if name not in self.used_names or not isinstance(default, str):
                continue
            expression = self.default_expression(name, default)
            if expression is not None and self.group[0].unstable_values.keys().isdisjoint(expression.names):
                derived[name] = expression_code(expression)
                self.mark_used(derived[name])
        return dict(reversed(derived.items()))

    def default_expression(self, name: str, default: str) -> Expression | None:
        """The default over the constructor's parameters, if it is the value in every instance; else None."""
        expression = None
        for lowered in self.group:
            params = lowered.block.params
            if isinstance(params[name], str):
                return None
            scope: dict[str, Any] = {
                p: symbolic(concrete(value), p) for p, value in value_params(lowered.block).items()
            }
            scope |= {i: x.sizes for i, x in lowered.block.inputs.items()}
            try:
                if evaluate_expression(default, scope) != params[name]:
                    return None
                expression = rewrite_expression(default, scope, use_own_names=True)
            except ExpressionError:
                return None
        return expression

    def build_params(self, block: Block) -> dict[str, ConstructorParam]:
        """The constructor's parameters: first input sizes, then required ones, then those with a default."""
        columns: dict[str, tuple[Any, list[Any]]] = {}
        for name, (source, axis) in size_names(block.inputs, block.params).items():
            if name in self.used_names and not self.is_model:
                columns[name] = (REQUIRED, [lowered.block.inputs[source][axis] for lowered in self.group])
        declared = {
            p: [lowered.block.params[p] for lowered in self.group]
            for p in block.params
            if p in self.used_names
        }
        for p, column in declared.items():
            default = concrete(column[0]) if self.is_model else block.defaults.get(p, REQUIRED)
            if isinstance(default, str) and not isinstance(column[0], str):
                default = REQUIRED  # an expression over other parameters
            columns[p] = (default, column)
        for p, column in self.added_values.items():
            if p in self.used_names:
                columns[p] = (self.param_default(p, column), column)
        ordered = sorted(columns, key=lambda p: columns[p][0] is not REQUIRED)
        return {
            p: ConstructorParam(columns[p][0], type_annotation([*columns[p][1], columns[p][0]]))
            for p in ordered
        }

    def param_default(self, name: str, column: Sequence[Any]) -> Any:
        """The default of a new parameter: False for a flag; the value without edits, if edits set it."""
        if all(isinstance(value, bool) for value in column):
            return False
        rest = [
            value
            for value, lowered in zip(column, self.group, strict=True)
            if not any(name in edit.settings for edit, _ in lowered.block.applied_edits)
        ]
        return rest[0] if len(rest) < len(column) and rest and rest.count(rest[0]) == len(rest) else REQUIRED

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
            self.mark_used(part)
        return replace(first, member=member, call=call)

    def step_condition(self, step: LoweredStep, count: int) -> Expr:
        """The condition in the spec, or a new flag `use_step`."""
        if step.when is not None:
            return expression_code(step.when)
        column = [i in self.active_instances for i in range(count)]
        self.active_instances = list(range(count))
        return Name(self.choose_param([Literal(c) for c in column], f"use_{step.node.replace('.', '_')}"))

    def mark_used(self, expr: Any) -> None:
        """Record the names that a piece of code reads."""
        if isinstance(expr, Construction):
            for argument in expr.arguments:
                self.mark_used(argument.value)
        elif isinstance(expr, Container):
            for part in (*expr.members.head, expr.members.tail, expr.members.length):
                self.mark_used(part)
        elif isinstance(expr, ComputedTable):
            own = {name for name, _ in expr.variables} - self.used_names
            for part in (*(e for _, e in expr.variables), expr.value):
                self.mark_used(part)
            self.used_names -= own
        elif expr is not None:
            self.used_names |= {
                part.text.partition(".")[0] for part in walk_expression(expr) if isinstance(part, Name)
            }

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
        return self.half_kernel_padding(parts, hint) or Name(self.choose_param(parts, hint))

    def half_kernel_padding(self, column: Sequence[Expr], hint: str) -> Expr | None:
        """`kernel // 2`, if the kernel varies and the padding is half of it in every instance."""
        for name in ("kernel", "kernel_size") if hint == "padding" else ():
            if name in self.added_values:
                kernels = [self.added_values[name][i] for i in self.active_instances]
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

    def choose_param(self, column: Sequence[Expr], hint: str) -> str:
        """The parameter for values that vary: one of the block with just these values, else a new one."""
        known = self.known_values(hint)
        matches = [
            name
            for name, values in known.items()
            if all(values[i] == value for i, value in zip(self.active_instances, column, strict=True))
        ]
        if not matches:
            name = self.add_param(column, hint, known)
        elif hint in matches:
            name = hint
        else:
            name = matches[0]
        self.used_names.add(name)
        return name

    def known_values(self, hint: str) -> dict[str, list[Expr]]:
        """The block's own parameters and input channels, and the size called `hint`, for each instance."""
        blocks = [lowered.block for lowered in self.group]
        known = {
            name: [literal_expression(b.params[name]) for b in blocks] for name in value_params(blocks[0])
        }
        for name, (source, axis) in size_names(blocks[0].inputs, blocks[0].params).items():
            if axis == CHANNEL or name == hint:
                known[name] = [Literal(concrete(b.inputs[source][axis])) for b in blocks]
        return known

    def add_param(self, column: Sequence[Expr], hint: str, known: Iterable[str]) -> str:
        """The new parameter for these values, named after `hint`; values that vary alike share one."""
        active_values = dict(zip(self.active_instances, column, strict=True))
        key = tuple(repr(active_values.get(i)) for i in range(len(self.group)))
        hints = self.name_hints.setdefault(key, [])
        if hint not in hints:
            hints.append(hint)
        hint = self.better_hints.get(key, hint)
        if key not in self.added_params:
            block = self.group[0].block
            taken = {
                *known,
                *size_names(block.inputs, block.params),
                *block.params,
                *block.inputs,
                *(node.name.partition(".")[0] for node in block.nodes),
                *self.added_params.values(),
            }
            candidates = chain([hint], (f"{hint}{number}" for number in range(2, 10_000)))
            name = next(name for name in candidates if name not in taken)
            self.added_params[key] = name
            self.added_values[name] = [
                constant_value(active_values.get(i, column[0])) for i in range(len(self.group))
            ]
        return self.added_params[key]


def value_params(block: Block) -> dict[str, Any]:
    """The parameters of a block whose values are not blocks themselves."""
    return {name: value for name, value in block.params.items() if not isinstance(value, BlockArgument)}


def type_annotation(values: Sequence[Any]) -> str:
    """The type annotation of a constructor parameter, from its values and its default."""
    kinds = {type(concrete(v)) for v in values if v is not REQUIRED}
    if kinds <= {bool}:
        return "bool"
    if kinds <= {int}:
        return "int"
    if kinds <= {int, float}:
        return "float"
    if kinds <= {str}:
        return "str"
    if kinds <= {list, tuple}:
        inner = {type_annotation([item]) for v in values if v is not REQUIRED for item in v}
        return f"tuple[{inner.pop() if len(inner) == 1 else 'float'}, ...]"
    if kinds == {int, tuple}:
        return "int | tuple[int, ...]"
    if type(None) in kinds:
        return type_annotation([v for v in values if v is not None]) + " | None"
    return "object"
