"""Members: what a constructor assigns to an attribute. Layers, other classes, rows of layers, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from specbuild.codegen.tree import Expr, Input, Literal, Name, TupleOf, walk_expression
from specbuild.expressions import bind_name, concrete, expression_of

SELF = Name("own_member")  # stands for the attribute that holds the step's own member


@dataclass(frozen=True)
class Argument:
    """A constructor argument: positional if it has no default, and left out if it equals its default."""

    name: str
    value: Expr
    default: Any = ...  # `...`: no default

    @property
    def is_default(self) -> bool:
        return (
            self.default is not ...
            and is_constant(self.value)
            and is_same_value(constant_value(self.value), self.default)
        )


def is_same_value(a: Any, b: Any) -> bool:
    """Whether two values are equal and of the same type; lists and tuples count as one type."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(is_same_value, a, b))
    return type(concrete(a)) is type(concrete(b)) and bool(concrete(a) == concrete(b))


@dataclass(frozen=True)
class Construction:
    """A constructor call: a layer, a module, or an instance of a block's class."""

    function: str
    arguments: tuple[Argument, ...]
    is_own_class: bool = False  # a class of the same file


@dataclass(frozen=True)
class Repeated:
    """Members of a container: the `head` is written out, then the `tail` repeats up to `length` members.

    With `has_index`, the tail contains the loop variable `i`.
    """

    head: tuple[Member, ...]
    tail: Member
    length: Expr
    has_index: bool = False


@dataclass(frozen=True)
class Container:
    """A row of layers in one attribute; `names` if they are not simply numbered.

    With `is_loop`, the layers take further inputs besides the previous output: a loop calls them one by one.
    With `is_split`, a value inside the row is used elsewhere: the row is called piece by piece.
    """

    members: Repeated
    names: tuple[str, ...] | None = None
    is_loop: bool = False
    is_split: bool = False


@dataclass(frozen=True)
class ComputedTable:
    """A constant table: its `value` is computed from local `variables`, which are assigned first."""

    variables: tuple[tuple[str, Expr], ...]
    value: Expr


Member: TypeAlias = Expr | Construction | Container | ComputedTable


def literal_expression(value: Any) -> Expr:
    """Python code for a number, a string, or a tuple of them."""
    if isinstance(value, list | tuple):
        return TupleOf(tuple(literal_expression(item) for item in value))
    return Literal(value)


def input_numbers(expr: Expr) -> list[int]:
    """The numbers of the values that an expression reads, without duplicates, in reading order."""
    return list(dict.fromkeys(part.index for part in walk_expression(expr) if isinstance(part, Input)))


def is_constant(expr: Any) -> bool:
    """Whether an expression is a literal, or a tuple of constants."""
    return isinstance(expr, Literal) or (isinstance(expr, TupleOf) and all(map(is_constant, expr.items)))


def constant_value(expr: Expr) -> Any:
    """The value of an expression for which `is_constant` holds."""
    if isinstance(expr, TupleOf):
        return tuple(map(constant_value, expr.items))
    assert isinstance(expr, Literal)
    return concrete(expr.value)


def has_index(member: Member) -> bool:
    """Whether a value in a member depends on the index `i` of a repeat."""
    return any("i" in expression_names(value) for value in literal_values(member))


def expression_names(value: Any) -> tuple[str, ...]:
    """The names in the expression of a number; () if it has none."""
    expression = expression_of(value)
    return () if expression is None else expression.names


def literal_values(member: Member) -> Iterator[Any]:
    """The values of all literals in a member."""
    if isinstance(member, Construction):
        for argument in member.arguments:
            yield from literal_values(argument.value)
    elif isinstance(member, Container):
        for part in (*member.members.head, member.members.tail):
            yield from literal_values(part)
    elif isinstance(member, ComputedTable):
        for expr in (*(e for _, e in member.variables), member.value):
            yield from literal_values(expr)
    else:
        yield from (part.value for part in walk_expression(member) if isinstance(part, Literal))


def map_expressions(member: Member, change: Callable[[Expr], Expr]) -> Member:
    """Apply `change` to every expression in a member."""
    if isinstance(member, Construction):
        return replace(member, arguments=tuple(replace(a, value=change(a.value)) for a in member.arguments))
    if isinstance(member, Container):
        repeated = member.members
        head = tuple(map_expressions(part, change) for part in repeated.head)
        tail = map_expressions(repeated.tail, change)
        return replace(
            member, members=replace(repeated, head=head, tail=tail, length=change(repeated.length))
        )
    if isinstance(member, ComputedTable):
        return ComputedTable(tuple((name, change(e)) for name, e in member.variables), change(member.value))
    return change(member)


def inline_names(expr: Expr, values: Mapping[str, Any]) -> Expr:
    """Replace names by their values in symbolic literals: `window // 2 * (i % 2)` becomes `3 * (i % 2)`."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(inline_names(item, values) for item in expr.items))
    if not isinstance(expr, Literal):
        return expr
    value = expr.value
    for name in sorted(values.keys() & expression_names(value)):
        is_number = isinstance(values[name], int | float) and not isinstance(values[name], bool)
        value = bind_name(value, name, values[name]) if is_number else concrete(value)
    return Literal(value)


def drop_index_expression(expr: Expr) -> Expr:
    """Make those literals concrete whose expression uses the index `i` of a repeat."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(drop_index_expression(item) for item in expr.items))
    if isinstance(expr, Literal) and has_index(expr):
        return Literal(concrete(expr.value))
    return expr
