"""Merges code of several instances of a block: what they share stays, what differs becomes a parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.constructions import (
    ConstructorArgument,
    Member,
    Repeated,
    drop_index_expression,
    is_literal,
    literal_values,
)
from specbuild.codegen.from_expression import expression_code
from specbuild.codegen.merged_params import MergedParams, instance_values
from specbuild.codegen.tree import (
    EQUAL_BY_VALUE,
    Expr,
    Index,
    Infix,
    ListOf,
    Literal,
    Name,
    TupleOf,
    ValuePlaceholder,
)
from specbuild.codegen.tree_walk import map_children
from specbuild.expressions import Expression, concrete, expression_of
from specbuild.expressions.common_expressions import CommonExpressions

SHORT_NAMES = {"shape": "size"}  # of what varies in an argument
PLAIN_TYPES = frozenset((bool, int, float, str, type(None)))
UNCHANGED_TYPES = PLAIN_TYPES | {Name, ValuePlaceholder}  # parts that one instance alone keeps as they are


class StructureMismatch(Exception):
    """Raised when the code of instances differs by more than values."""


class CodePlace(Struct, frozen=True):
    """A place in the code of a block, which several of its instances have."""

    instances: tuple[int, ...]  # their numbers in the group
    hint: str  # the name for a new parameter; "": the code here cannot read one
    reads_inputs: bool  # whether the code can read sizes of inputs when it runs
    step: str = ""  # the name of the step


def is_plain_literal(part: Any) -> bool:
    """Return whether a part is a constant without an expression, which one instance alone keeps as it is."""
    return type(part) is Literal and type(part.value) in PLAIN_TYPES


def is_one_value(values: list[Any]) -> bool:
    """Return whether these are equal constants without expressions, of a type whose equal values print alike."""
    kinds = set(map(type, values))
    return len(kinds) == 1 and kinds <= EQUAL_BY_VALUE and values.count(values[0]) == len(values)


class CodeMerger:
    """Merges code trees. What varies becomes one of `params`; raises StructureMismatch if that is impossible."""

    def __init__(self, params: MergedParams):
        self.params = params

    def merge(self, parts: Sequence[Any], place: CodePlace) -> Any:
        """Merge the code at one place, one part for each instance that has it."""
        first = parts[0]
        if len(parts) == 1 and (type(first) in UNCHANGED_TYPES or is_plain_literal(first)):
            return first
        kinds = set(map(type, parts))
        if kinds == {Literal} and is_one_value([part.value for part in parts]):
            return first
        if all(map(is_literal, parts)):
            return self.merge_values(parts, place)
        if len(parts) == 1 and isinstance(first, Expr):
            merged = map_children(first, lambda part: self.merge([part], place))
            return self.whole_list(merged) if isinstance(merged, ListOf) else merged
        if len(kinds) > 1:
            raise StructureMismatch
        if isinstance(first, Repeated):
            return self.merge_repeats(parts, place)
        if isinstance(first, ConstructorArgument):
            if len(parts) == 1 and is_plain_literal(first.value):
                return first
            value_place = replace(place, hint=SHORT_NAMES.get(first.name, first.name))
            value = self.merge([p.value for p in parts], value_place)
            return ConstructorArgument(first.name, value, first.default)
        if isinstance(first, tuple):
            if len(set(map(len, parts))) > 1:
                raise StructureMismatch
            return tuple(self.merge(list(column), place) for column in zip(*parts, strict=True))
        if isinstance(first, Struct) and not isinstance(first, Name | ValuePlaceholder):
            kind: type[Struct] = type(first)
            values = {
                name: self.merge(list(map(attrgetter(name), parts)), place) for name in kind.__struct_fields__
            }
            parts_together = kind(**values)
            return self.whole_list(parts_together) if isinstance(parts_together, ListOf) else parts_together
        if parts.count(first) < len(parts):
            raise StructureMismatch
        return first

    def merge_repeats(self, rows: Sequence[Repeated], place: CodePlace) -> Repeated:
        """Merge rows of layers, whose lengths may differ."""
        if any(row.has_index for row in rows):
            return self.merge_indexed_repeats(rows, place)
        head_length = max(len(row.head) for row in rows)
        lengths = [
            row.length.value if isinstance(row.length, Literal) and isinstance(row.length.value, int) else -1
            for row in rows
        ]
        heads: list[tuple[Member, ...]] = []
        for row, length in zip(rows, lengths, strict=True):
            heads.append(row.head + (row.tail,) * (min(head_length, length) - len(row.head)))
            if len(heads[-1]) < head_length:
                raise StructureMismatch
        head = tuple(self.merge(list(column), place) for column in zip(*heads, strict=True))
        longer = [i for i, length in enumerate(lengths) if length > head_length]
        if longer:
            those_longer = replace(place, instances=tuple(place.instances[i] for i in longer))
            tail = self.merge([rows[i].tail for i in longer], those_longer)
        else:
            tail = self.merge([row.tail for row in rows], place)
        return Repeated(head, tail, self.merge([row.length for row in rows], replace(place, hint="depth")))

    def merge_indexed_repeats(self, rows: Sequence[Repeated], place: CodePlace) -> Repeated:
        """Merge rows whose members differ by their index: the code with the index must be equal.

        If there are members before those, every row has as many of them.
        """
        indexed = [row.indexed for row in rows]
        first = next(row for row in rows if row.has_index)
        if any(part is None or part != indexed[0] for part in indexed):
            raise StructureMismatch
        heads = [row.head for row in rows if row.has_index]
        if len(set(map(len, heads))) > 1 or (first.head and len(heads) < len(rows)):
            raise StructureMismatch
        head = tuple(self.merge(list(column), place) for column in zip(*heads, strict=True))
        length = self.merge([row.length for row in rows], replace(place, hint="depth"))
        return replace(first, head=head, length=length)

    def merge_values(self, parts: Sequence[Expr], place: CodePlace) -> Expr:
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
                items = tuple(self.merge_values(column, place) for column in columns)
                return self.whole_param(items) or TupleOf(items)
        expressions = dict.fromkeys(expression_of(p.value) if isinstance(p, Literal) else None for p in parts)
        if None not in expressions and (
            common := self.common_expression([e for e in expressions if e is not None], parts, place)
        ):
            return expression_code(common)
        if all(p == first for p in parts):
            return Literal(concrete(first.value)) if isinstance(first, Literal) else first
        if not place.hint:  # the number of an axis in a conversion of the layout: no parameter of the class
            raise StructureMismatch
        return self.half_kernel_padding(parts, place) or Name(
            self.params.choose_param(parts, place.hint, place.instances, place.step)
        )

    def half_kernel_padding(self, column: Sequence[Expr], place: CodePlace) -> Expr | None:
        """Return `kernel // 2`, if the kernel varies and the padding is half of it in every instance."""
        for name in ("kernel", "kernel_size") if place.hint == "padding" else ():
            if name in self.params.added_values:
                kernels = [self.params.added_values[name][i] for i in place.instances]
                if all(
                    isinstance(k, int) and c == Literal(k // 2) for k, c in zip(kernels, column, strict=True)
                ):
                    return Infix("//", Name(name), Literal(2))
        return None

    def common_expression(
        self, expressions: list[Expression], parts: Sequence[Expr], place: CodePlace
    ) -> Expression | None:
        """Return the first of these expressions that gives the right value in every instance.

        An instance that skips a step has shorter expressions for the sizes after it.
        """
        usable = [e for e in expressions if self.params.unshared_sizes.isdisjoint(e.names)]
        if place.reads_inputs and len(usable) < len(expressions):
            raise StructureMismatch  # a number would be wrong for inputs of another size
        if len(expressions) == 1:
            return usable[0] if usable else None
        scopes = [instance_values(self.params.group[i].block) for i in place.instances]
        values = [concrete(part.value) for part in parts if isinstance(part, Literal)]
        found = CommonExpressions(scopes).find(usable, values)
        return found if isinstance(found, Expression) else None

    def whole_list(self, code: ListOf) -> Expr:
        """Return `taps[1]` for `[taps[1][0], taps[1][1]]`, if these are all items of the list."""
        match code.items:
            case (Index(whole, (Literal(0),)), *_) if list(code.items) == [
                Index(whole, (Literal(i),)) for i in range(len(code.items))
            ]:
                lists = [self.find_list(whole, lowered.block.params) for lowered in self.params.instances]
                if all(isinstance(p, list | tuple) and len(p) == len(code.items) for p in lists):
                    return whole
        return code

    def whole_param(self, items: tuple[Expr, ...]) -> Expr | None:
        """Return the parameter whose items a tuple repeats, if any: `shift` for `(shift[0], shift[1])`."""
        match items:
            case (Index(of), *_) if items == tuple(Index(of, (Literal(i),)) for i in range(len(items))):
                lists = [self.find_list(of, lowered.block.params) for lowered in self.params.instances]
                if all(isinstance(p, list | tuple) and len(p) == len(items) for p in lists):
                    return of
        return None

    def find_list(self, code: Expr, params: Mapping[str, Any]) -> Any:
        """Return the value of a parameter, or of an item of one; None if the code is something else."""
        match code:
            case Name(name):
                return params.get(name)
            case Index(of, (Literal(int(index)),)):
                values = self.find_list(of, params)
                return values[index] if isinstance(values, list | tuple) and index < len(values) else None
        return None
