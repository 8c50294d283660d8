"""Merging instances of a block into one class: what they share is written, what differs becomes a parameter.

The least general class of which every instance is a case (Plotkin's anti-unification), in the author's words.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from specbuild.codegen.from_expression import parse_code
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
    ExpressionError,
    concrete,
    evaluate_expression,
    expression_of,
    referenced_names,
    rewrite_expression,
    symbolic,
)
from specbuild.ir.graph import Block, BlockArgument, size_names
from specbuild.ops.types import CHANNEL


class StructureMismatch(Exception):
    """Two instances have not the same structure."""


class InstanceMerger:
    """Makes one class of a group of instances; raises Mismatch where they differ by more than values."""

    def __init__(self, group: list[LoweredBlock], table: ClassTable, model: bool, apart: Sequence[str] = ()):
        self.group, self.table, self.is_model = group, table, model
        self.suffixes = apart  # what edits made of these instances only, for the name
        self.added_params: dict[tuple[str, ...], str] = {}
        self.added_values: dict[str, list[Any]] = {}
        self.name_hints: dict[tuple[str, ...], list[str]] = {}  # what each could be called
        self.better_hints: dict[tuple[str, ...], str] = {}
        self.used_names: set[str] = set()
        self.active_instances: list[int] = []  # the instances that a step is not skipped in

    def build_class(self) -> ClassSpec:
        first = self.group[0]
        steps, flags = self.merge_steps()
        better = {
            key: hints[1] for key, hints in self.name_hints.items() if hints[0] == "padding" and hints[1:]
        }
        if better:  # padding follows from what it goes with
            self.added_params, self.added_values, self.used_names, self.better_hints = {}, {}, set(), better
            steps, flags = self.merge_steps()
        for position, lowered in enumerate(self.group):
            self.table.extra_arguments[id(lowered)] = {
                name: column[position] for name, column in self.added_values.items()
            }
        derived = self.derived_params()
        params = {
            name: param for name, param in self.build_params(first.block).items() if name not in derived
        }
        numbers = self.table.value_numbers[block_identity(first.block)]
        unit = ClassSpec(self.choose_name(), first.block, params, derived, steps, flags, self.group, numbers)
        for lowered in self.group:
            self.table.class_of[id(lowered)] = unit
        return unit

    def merge_steps(self) -> tuple[list[LoweredStep], dict[str, Expr]]:
        steps: list[LoweredStep] = []
        flags: dict[str, Expr] = {}
        for index in range(len(self.group[0].steps)):
            step = self.merge_step([lowered.steps[index] for lowered in self.group], flags)
            if step is not None:
                steps.append(step)
        return steps, flags

    def choose_name(self) -> str:
        """The block's name; a second class of the same block says what sets it apart."""
        block = self.group[0].block
        chosen = [
            v.kind
            for v in block.params.values()
            if isinstance(v, BlockArgument) and v.kind != "none" and v.kind[0].isupper()
        ]
        candidates = chain(
            (f"{block.kind}{word}" for word in self.suffixes),
            [block.kind],
            (f"{block.kind}With{c}" for c in chosen),
            (f"{block.kind}{n}" for n in range(2, 10_000)),
        )
        name = next(c for c in candidates if c not in self.table.class_names)
        self.table.class_names.add(name)
        return name

    def derived_params(self) -> dict[str, Expr]:
        """Parameters whose default is an expression over others, where no instance was given anything else."""
        derived: dict[str, Expr] = {}
        for name, default in reversed(list(self.group[0].block.defaults.items())):
            if name not in self.used_names or not isinstance(default, str):
                continue
            text = self.default_expression(name, default)
            if text is not None and not referenced_names(text) & self.group[0].block.unstable_params:
                derived[name] = parse_code(text)
                self.mark_used(derived[name])
        return dict(reversed(derived.items()))

    def default_expression(self, name: str, default: str) -> str | None:
        """The default in the words of the constructor, if it gives every instance's value."""
        text = None
        for lowered in self.group:
            params = lowered.block.params
            if isinstance(params[name], str):
                return None
            scope: dict[str, Any] = {
                p: symbolic(concrete(v), p) for p, v in params.items() if not isinstance(v, BlockArgument)
            }
            scope |= {i: x.sizes for i, x in lowered.block.inputs.items()}
            try:
                if evaluate_expression(default, scope) != params[name]:
                    return None
                text = rewrite_expression(default, scope, use_own_names=True)
            except ExpressionError:
                return None
        return text

    def build_params(self, block: Block) -> dict[str, ConstructorParam]:
        """Sizes of the inputs first, then what must be given, then what has a default."""
        columns: dict[str, tuple[Any, list[Any]]] = {}
        for word, (i, axis) in size_names(block.inputs, block.params).items():
            if word in self.used_names and not self.is_model:
                columns[word] = (REQUIRED, [lowered.block.inputs[i][axis] for lowered in self.group])
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
        """The default of a parameter that only merging found: of a flag, and of what edits set for some instances."""
        if all(isinstance(value, bool) for value in column):
            return False
        rest = [
            value
            for value, lowered in zip(column, self.group, strict=True)
            if not any(name in edit.settings for edit, _ in lowered.block.applied_edits)
        ]
        return rest[0] if len(rest) < len(column) and rest and rest.count(rest[0]) == len(rest) else REQUIRED

    def merge_step(self, steps: list[LoweredStep], flags: dict[str, Expr]) -> LoweredStep | None:
        self.active_instances = [i for i, s in enumerate(steps) if not s.is_skipped]
        if not self.active_instances:
            return steps[0]
        living = [steps[i] for i in self.active_instances]
        first = living[0]
        make = None if first.member is None else self.merge_parts([s.member for s in living], first.node)
        call = self.merge_parts([s.call for s in living], first.node)
        if len(living) < len(steps):
            flags[first.key] = self.step_condition(first, len(steps))
        for expr in (make, call, flags.get(first.key)):
            self.mark_used(expr)
        return replace(first, member=make, call=call)

    def step_condition(self, step: LoweredStep, count: int) -> Expr:
        if step.when is not None:
            return parse_code(step.when)
        column = [i in self.active_instances for i in range(count)]
        self.active_instances = list(range(count))
        return Name(self.choose_param([Literal(c) for c in column], f"use_{step.node.replace('.', '_')}"))

    def mark_used(self, expr: Any) -> None:
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
        """What the same place holds in every instance, as one piece of code."""
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

    def merge_repeats(self, runs: Sequence[Repeated], hint: str) -> Repeated:
        """Rows of layers, as long as each instance has them."""
        written = max(len(r.head) for r in runs)
        lengths = [
            r.length.value if isinstance(r.length, Literal) and isinstance(r.length.value, int) else -1
            for r in runs
        ]
        if any(r.has_index for r in runs) and any(r != runs[0] for r in runs):
            raise StructureMismatch
        heads: list[tuple[Member, ...]] = []
        alive = self.active_instances
        for r, length in zip(runs, lengths, strict=True):
            heads.append(r.head + (r.tail,) * (min(written, length) - len(r.head)))
            if len(heads[-1]) < written:
                raise StructureMismatch
        head = tuple(self.merge_parts(list(column), hint) for column in zip(*heads, strict=True))
        longer = [i for i, length in enumerate(lengths) if length > written]
        self.active_instances = [alive[i] for i in longer] or alive
        tail = self.merge_parts([runs[i].tail for i in longer] or [r.tail for r in runs], hint)
        self.active_instances = alive
        return Repeated(head, tail, self.merge_parts([r.length for r in runs], "depth"), runs[0].has_index)

    def merge_values(self, parts: Sequence[Expr], hint: str) -> Expr:
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
            text := self.common_expression([text for text in expressions if text], parts)
        ):
            return parse_code(text)
        if all(p == first for p in parts):
            return Literal(concrete(first.value)) if isinstance(first, Literal) else first
        return self.half_kernel_padding(parts, hint) or Name(self.choose_param(parts, hint))

    def half_kernel_padding(self, column: Sequence[Expr], hint: str) -> Expr | None:
        """The padding that goes with a kernel which differs among the instances, if it always is half of it."""
        for name in ("kernel", "kernel_size") if hint == "padding" else ():
            if name in self.added_values:
                kernels = [self.added_values[name][i] for i in self.active_instances]
                if all(
                    isinstance(k, int) and c == Literal(k // 2) for k, c in zip(kernels, column, strict=True)
                ):
                    return Infix("//", Name(name), Literal(2))
        return None

    def common_expression(self, expressions: list[str], parts: Sequence[Expr]) -> str | None:
        """The words that are true of every instance: where a step was skipped, sizes are told more shortly."""
        if len(expressions) == 1:
            return expressions[0]
        blocks = [self.group[i].block for i in self.active_instances]
        scopes = []
        for block in blocks:
            sizes = size_names(block.inputs, block.params).items()
            scope = {word: concrete(block.inputs[i][axis]) for word, (i, axis) in sizes}
            scopes.append(
                scope | {p: concrete(v) for p, v in block.params.items() if not isinstance(v, BlockArgument)}
            )
        values = [concrete(part.value) for part in parts if isinstance(part, Literal)]

        def is_true_everywhere(text: str) -> bool:
            try:
                return all(evaluate_expression(text, s) == v for s, v in zip(scopes, values, strict=True))
            except ExpressionError:
                return False

        return next(filter(is_true_everywhere, expressions), None)

    def whole_param(self, items: tuple[Expr, ...]) -> Expr | None:
        """The parameter that a tuple repeats item by item, if there is one: `shift` for `(shift[0], shift[1])`."""
        match items:
            case (Index(Name(name)), *_) if items == tuple(
                Index(Name(name), (Literal(i),)) for i in range(len(items))
            ):
                lists = [lowered.block.params.get(name) for lowered in self.group]
                if all(isinstance(p, list | tuple) and len(p) == len(items) for p in lists):
                    return Name(name)
        return None

    def choose_param(self, column: Sequence[Expr], hint: str) -> str:
        """The name of what varies: a parameter of the block that varies just so, else a new one."""
        blocks = [lowered.block for lowered in self.group]
        known = {
            p: [literal_expression(b.params[p]) for b in blocks]
            for p in blocks[0].params
            if not isinstance(blocks[0].params[p], BlockArgument)
        }
        sizes = size_names(blocks[0].inputs, blocks[0].params)
        for word, (i, axis) in sizes.items():
            if axis == CHANNEL or word == hint:
                known[word] = [Literal(concrete(b.inputs[i][axis])) for b in blocks]
        fits = [
            p
            for p, values in known.items()
            if all(values[i] == c for i, c in zip(self.active_instances, column, strict=True))
        ]
        if fits:
            name = hint if hint in fits else fits[0]
        else:
            active_values = dict(zip(self.active_instances, column, strict=True))
            key = tuple(repr(active_values.get(i)) for i in range(len(blocks)))
            self.name_hints.setdefault(key, [])
            self.name_hints[key] += [hint] * (hint not in self.name_hints[key])
            hint = self.better_hints.get(key, hint)
            if key not in self.added_params:
                attributes = {node.name.partition(".")[0] for node in blocks[0].nodes}
                taken = {
                    *known,
                    *sizes,
                    *blocks[0].params,
                    *self.added_params.values(),
                    *blocks[0].inputs,
                    *attributes,
                }
                self.added_params[key] = next(
                    n for n in (hint, *(f"{hint}{k}" for k in range(2, 10_000))) if n not in taken
                )
                fallback = column[0]
                self.added_values[self.added_params[key]] = [
                    constant_value(active_values.get(i, fallback)) for i in range(len(blocks))
                ]
            name = self.added_params[key]
        self.used_names.add(name)
        return name


def type_annotation(values: Sequence[Any]) -> str:
    """The type of a constructor's parameter."""
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
