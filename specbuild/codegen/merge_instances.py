"""Merging instances of a block into one class: what they share is written, what differs becomes a parameter.

The least general class of which every instance is a case (Plotkin's anti-unification), in the author's words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import chain
from typing import Any

from specbuild.codegen.class_def import REQUIRED, Param, Unit, Units
from specbuild.codegen.constructions import (
    Argument,
    Computed,
    Construct,
    Container,
    Made,
    Run,
    constant,
    literal,
    literals,
    uncounted,
    value_of,
)
from specbuild.codegen.from_expression import from_words
from specbuild.codegen.lowering import Lowered, Step, identity
from specbuild.codegen.tree import Expr, Index, Infix, Input, Literal, Name, TupleOf, rebuild, walk
from specbuild.expressions import WordsError, evaluate, named, names, plain, retell, words
from specbuild.ir.graph import Block, Chosen, size_words
from specbuild.ops.types import CHANNEL


class Mismatch(Exception):
    """Two instances have not the same structure."""


class Merger:
    """Makes one class of a group of instances; raises Mismatch where they differ by more than values."""

    def __init__(self, group: list[Lowered], table: Units, model: bool, apart: Sequence[str] = ()):
        self.group, self.table, self.model = group, table, model
        self.apart = apart  # what edits made of these instances only, for the name
        self.holes: dict[tuple[str, ...], str] = {}
        self.hole_values: dict[str, list[Any]] = {}
        self.hints: dict[tuple[str, ...], list[str]] = {}  # what each could be called
        self.better: dict[tuple[str, ...], str] = {}
        self.used: set[str] = set()
        self.alive: list[int] = []  # the instances that a step is not skipped in

    def unit(self) -> Unit:
        first = self.group[0]
        steps, flags = self.steps()
        better = {key: hints[1] for key, hints in self.hints.items() if hints[0] == "padding" and hints[1:]}
        if better:  # padding follows from what it goes with
            self.holes, self.hole_values, self.used, self.better = {}, {}, set(), better
            steps, flags = self.steps()
        for position, lowered in enumerate(self.group):
            self.table.extra[id(lowered)] = {
                name: column[position] for name, column in self.hole_values.items()
            }
        derived = self.derived()
        params = {name: param for name, param in self.params(first.block).items() if name not in derived}
        numbers = self.table.numbers[identity(first.block)]
        unit = Unit(self.name(), first.block, params, derived, steps, flags, self.group, numbers)
        for lowered in self.group:
            self.table.unit_of[id(lowered)] = unit
        return unit

    def steps(self) -> tuple[list[Step], dict[str, Expr]]:
        steps: list[Step] = []
        flags: dict[str, Expr] = {}
        for index in range(len(self.group[0].steps)):
            step = self.step([lowered.steps[index] for lowered in self.group], flags)
            if step is not None:
                steps.append(step)
        return steps, flags

    def name(self) -> str:
        """The block's name; a second class of the same block says what sets it apart."""
        block = self.group[0].block
        chosen = [
            v.kind
            for v in block.params.values()
            if isinstance(v, Chosen) and v.kind != "none" and v.kind[0].isupper()
        ]
        candidates = chain(
            (f"{block.kind}{word}" for word in self.apart),
            [block.kind],
            (f"{block.kind}With{c}" for c in chosen),
            (f"{block.kind}{n}" for n in range(2, 10_000)),
        )
        name = next(c for c in candidates if c not in self.table.names)
        self.table.names.add(name)
        return name

    def derived(self) -> dict[str, Expr]:
        """Parameters whose default is an expression over others, where no instance was given anything else."""
        found: dict[str, Expr] = {}
        for name, default in reversed(list(self.group[0].block.defaults.items())):
            if name not in self.used or not isinstance(default, str):
                continue
            text = self.told(name, default)
            if text is not None and not names(text) & self.group[0].block.literal:
                found[name] = from_words(text)
                self.use(found[name])
        return dict(reversed(found.items()))

    def told(self, name: str, default: str) -> str | None:
        """The default in the words of the constructor, if it gives every instance's value."""
        text = None
        for lowered in self.group:
            params = lowered.block.params
            if isinstance(params[name], str):
                return None
            scope: dict[str, Any] = {
                p: named(plain(v), p) for p, v in params.items() if not isinstance(v, Chosen)
            }
            scope |= {i: x.sizes for i, x in lowered.block.inputs.items()}
            try:
                if evaluate(default, scope) != params[name]:
                    return None
                text = retell(default, scope, own=True)
            except WordsError:
                return None
        return text

    def params(self, block: Block) -> dict[str, Param]:
        """Sizes of the inputs first, then what must be given, then what has a default."""
        columns: dict[str, tuple[Any, list[Any]]] = {}
        for word, (i, axis) in size_words(block.inputs, block.params).items():
            if word in self.used and not self.model:
                columns[word] = (REQUIRED, [lowered.block.inputs[i][axis] for lowered in self.group])
        declared = {
            p: [lowered.block.params[p] for lowered in self.group] for p in block.params if p in self.used
        }
        for p, column in declared.items():
            default = plain(column[0]) if self.model else block.defaults.get(p, REQUIRED)
            if isinstance(default, str) and not isinstance(column[0], str):
                default = REQUIRED  # an expression over other parameters
            columns[p] = (default, column)
        for p, column in self.hole_values.items():
            if p in self.used:
                columns[p] = (self.usual(p, column), column)
        ordered = sorted(columns, key=lambda p: columns[p][0] is not REQUIRED)
        return {p: Param(columns[p][0], annotation([*columns[p][1], columns[p][0]])) for p in ordered}

    def usual(self, name: str, column: Sequence[Any]) -> Any:
        """The default of a parameter that only merging found: of a flag, and of what edits set for some instances."""
        if all(isinstance(value, bool) for value in column):
            return False
        rest = [
            value
            for value, lowered in zip(column, self.group, strict=True)
            if not any(name in edit.settings for edit, _ in lowered.block.touched)
        ]
        return rest[0] if len(rest) < len(column) and rest and rest.count(rest[0]) == len(rest) else REQUIRED

    def step(self, steps: list[Step], flags: dict[str, Expr]) -> Step | None:
        self.alive = [i for i, s in enumerate(steps) if not s.skipped]
        if not self.alive:
            return steps[0]
        living = [steps[i] for i in self.alive]
        first = living[0]
        make = None if first.make is None else self.merge([s.make for s in living], first.node)
        call = self.merge([s.call for s in living], first.node)
        if len(living) < len(steps):
            flags[first.key] = self.condition(first, len(steps))
        for expr in (make, call, flags.get(first.key)):
            self.use(expr)
        return replace(first, make=make, call=call)

    def condition(self, step: Step, count: int) -> Expr:
        if step.when is not None:
            return from_words(step.when)
        column = [i in self.alive for i in range(count)]
        self.alive = list(range(count))
        return Name(self.parameter([Literal(c) for c in column], f"use_{step.node.replace('.', '_')}"))

    def use(self, expr: Any) -> None:
        if isinstance(expr, Construct):
            for argument in expr.arguments:
                self.use(argument.value)
        elif isinstance(expr, Container):
            for part in (*expr.members.head, expr.members.tail, expr.members.length):
                self.use(part)
        elif isinstance(expr, Computed):
            own = {name for name, _ in expr.variables} - self.used
            for part in (*(e for _, e in expr.variables), expr.value):
                self.use(part)
            self.used -= own
        elif expr is not None:
            self.used |= {part.text.partition(".")[0] for part in walk(expr) if isinstance(part, Name)}

    def merge(self, parts: Sequence[Any], hint: str) -> Any:
        """What the same place holds in every instance, as one piece of code."""
        first = parts[0]
        if all(map(constant, parts)):
            return self.leaf(parts, hint)
        if len(parts) == 1 and isinstance(first, Expr):
            return rebuild(first, lambda part: self.merge([part], hint))
        if any(type(p) is not type(first) for p in parts):
            raise Mismatch
        if isinstance(first, Run):
            return self.run(parts, hint)
        if isinstance(first, Argument):
            return replace(first, value=self.merge([p.value for p in parts], first.name))
        if isinstance(first, tuple):
            if any(len(p) != len(first) for p in parts):
                raise Mismatch
            return tuple(self.merge(list(column), hint) for column in zip(*parts, strict=True))
        if is_dataclass(first) and not isinstance(first, type | Name | Input):
            values = {f.name: self.merge([getattr(p, f.name) for p in parts], hint) for f in fields(first)}
            return replace(first, **values)
        if any(p != first for p in parts):
            raise Mismatch
        return first

    def run(self, runs: Sequence[Run], hint: str) -> Run:
        """Rows of layers, as long as each instance has them."""
        written = max(len(r.head) for r in runs)
        lengths = [
            r.length.value if isinstance(r.length, Literal) and isinstance(r.length.value, int) else -1
            for r in runs
        ]
        if any(r.index for r in runs) and any(r != runs[0] for r in runs):
            raise Mismatch
        heads: list[tuple[Made, ...]] = []
        alive = self.alive
        for r, length in zip(runs, lengths, strict=True):
            heads.append(r.head + (r.tail,) * (min(written, length) - len(r.head)))
            if len(heads[-1]) < written:
                raise Mismatch
        head = tuple(self.merge(list(column), hint) for column in zip(*heads, strict=True))
        longer = [i for i, length in enumerate(lengths) if length > written]
        self.alive = [alive[i] for i in longer] or alive
        tail = self.merge([runs[i].tail for i in longer] or [r.tail for r in runs], hint)
        self.alive = alive
        return Run(head, tail, self.merge([r.length for r in runs], "depth"), runs[0].index)

    def leaf(self, parts: Sequence[Expr], hint: str) -> Expr:
        parts = [uncounted(p) for p in parts]
        first = parts[0]
        if all(
            isinstance(p, TupleOf) and isinstance(first, TupleOf) and len(p.items) == len(first.items)
            for p in parts
        ):
            assert isinstance(first, TupleOf)
            if all(p == first for p in parts) or any(words(v) for p in parts for v in literals(p)):
                columns = zip(*(p.items for p in parts if isinstance(p, TupleOf)), strict=True)
                items = tuple(self.leaf(column, hint) for column in columns)
                return self.whole(items) or TupleOf(items)
        said = dict.fromkeys(words(p.value) if isinstance(p, Literal) else None for p in parts)
        if None not in said and (text := self.common([text for text in said if text], parts)):
            return from_words(text)
        if all(p == first for p in parts):
            return Literal(plain(first.value)) if isinstance(first, Literal) else first
        return self.halved(parts, hint) or Name(self.parameter(parts, hint))

    def halved(self, column: Sequence[Expr], hint: str) -> Expr | None:
        """The padding that goes with a kernel which differs among the instances, if it always is half of it."""
        for name in ("kernel", "kernel_size") if hint == "padding" else ():
            if name in self.hole_values:
                kernels = [self.hole_values[name][i] for i in self.alive]
                if all(
                    isinstance(k, int) and c == Literal(k // 2) for k, c in zip(kernels, column, strict=True)
                ):
                    return Infix("//", Name(name), Literal(2))
        return None

    def common(self, said: list[str], parts: Sequence[Expr]) -> str | None:
        """The words that are true of every instance: where a step was skipped, sizes are told more shortly."""
        if len(said) == 1:
            return said[0]
        blocks = [self.group[i].block for i in self.alive]
        scopes = []
        for block in blocks:
            sizes = size_words(block.inputs, block.params).items()
            scope = {word: plain(block.inputs[i][axis]) for word, (i, axis) in sizes}
            scopes.append(scope | {p: plain(v) for p, v in block.params.items() if not isinstance(v, Chosen)})
        values = [plain(part.value) for part in parts if isinstance(part, Literal)]

        def true(text: str) -> bool:
            try:
                return all(evaluate(text, s) == v for s, v in zip(scopes, values, strict=True))
            except WordsError:
                return False

        return next(filter(true, said), None)

    def whole(self, items: tuple[Expr, ...]) -> Expr | None:
        """The parameter that a tuple repeats item by item, if there is one: `shift` for `(shift[0], shift[1])`."""
        match items:
            case (Index(Name(name)), *_) if items == tuple(
                Index(Name(name), (Literal(i),)) for i in range(len(items))
            ):
                lists = [lowered.block.params.get(name) for lowered in self.group]
                if all(isinstance(p, list | tuple) and len(p) == len(items) for p in lists):
                    return Name(name)
        return None

    def parameter(self, column: Sequence[Expr], hint: str) -> str:
        """The name of what varies: a parameter of the block that varies just so, else a new one."""
        blocks = [lowered.block for lowered in self.group]
        known = {
            p: [literal(b.params[p]) for b in blocks]
            for p in blocks[0].params
            if not isinstance(blocks[0].params[p], Chosen)
        }
        sizes = size_words(blocks[0].inputs, blocks[0].params)
        for word, (i, axis) in sizes.items():
            if axis == CHANNEL or word == hint:
                known[word] = [Literal(plain(b.inputs[i][axis])) for b in blocks]
        fits = [
            p
            for p, values in known.items()
            if all(values[i] == c for i, c in zip(self.alive, column, strict=True))
        ]
        if fits:
            name = hint if hint in fits else fits[0]
        else:
            held = dict(zip(self.alive, column, strict=True))
            key = tuple(repr(held.get(i)) for i in range(len(blocks)))
            self.hints.setdefault(key, [])
            self.hints[key] += [hint] * (hint not in self.hints[key])
            hint = self.better.get(key, hint)
            if key not in self.holes:
                attributes = {node.name.partition(".")[0] for node in blocks[0].nodes}
                taken = {
                    *known,
                    *sizes,
                    *blocks[0].params,
                    *self.holes.values(),
                    *blocks[0].inputs,
                    *attributes,
                }
                self.holes[key] = next(
                    n for n in (hint, *(f"{hint}{k}" for k in range(2, 10_000))) if n not in taken
                )
                fallback = column[0]
                self.hole_values[self.holes[key]] = [
                    value_of(held.get(i, fallback)) for i in range(len(blocks))
                ]
            name = self.holes[key]
        self.used.add(name)
        return name


def annotation(values: Sequence[Any]) -> str:
    """The type of a constructor's parameter."""
    kinds = {type(plain(v)) for v in values if v is not REQUIRED}
    if kinds <= {bool}:
        return "bool"
    if kinds <= {int}:
        return "int"
    if kinds <= {int, float}:
        return "float"
    if kinds <= {str}:
        return "str"
    if kinds <= {list, tuple}:
        inner = {annotation([item]) for v in values if v is not REQUIRED for item in v}
        return f"tuple[{inner.pop() if len(inner) == 1 else 'float'}, ...]"
    if kinds == {int, tuple}:
        return "int | tuple[int, ...]"
    if type(None) in kinds:
        return annotation([v for v in values if v is not None]) + " | None"
    return "object"
