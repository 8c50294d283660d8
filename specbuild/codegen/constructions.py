"""What a class makes in its constructor: layers, instances of other classes, rows of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from specbuild.codegen.tree import Expr, Input, Literal, Name, TupleOf, walk_expression
from specbuild.expressions import bind_name, concrete, expression_of, referenced_names

SELF = Name("made_here")  # stands for the attribute that holds what a step makes


@dataclass(frozen=True)
class Argument:
    """An argument of a construction: positional if the callee has no default for it, else left out when equal to it."""

    name: str
    value: Expr
    default: Any = ...  # `...`: it has none

    @property
    def is_default(self) -> bool:
        return (
            self.default is not ...
            and is_constant(self.value)
            and is_same_value(constant_value(self.value), self.default)
        )


def is_same_value(a: Any, b: Any) -> bool:
    """Whether two values are equal and of one type; a list is as a tuple."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(is_same_value, a, b))
    return type(concrete(a)) is type(concrete(b)) and bool(concrete(a) == concrete(b))


@dataclass(frozen=True)
class Construction:
    """Something made once and held: a layer, a module, an instance of a block's class."""

    function: str
    arguments: tuple[Argument, ...]
    is_own_class: bool = False  # whether it is one of the file's own classes


@dataclass(frozen=True)
class Repeated:
    """Members of a container: some written out, then one again and again. `index` where it counts with `i`."""

    head: tuple[Member, ...]
    tail: Member
    length: Expr
    has_index: bool = False


@dataclass(frozen=True)
class Container:
    """Layers in a row under one name; `names` where they are not simply numbered.

    `loop` is a row whose layers also read something besides the one before: it is called one by one.
    `cut` is a row with a value inside that is read: it is called piece by piece.
    """

    members: Repeated
    names: tuple[str, ...] | None = None
    is_loop: bool = False
    is_split: bool = False


@dataclass(frozen=True)
class ComputedTable:
    """A table: `variables` are worked out first, in their order, then its value."""

    variables: tuple[tuple[str, Expr], ...]
    value: Expr


Member: TypeAlias = Expr | Construction | Container | ComputedTable


def literal_expression(value: Any) -> Expr:
    """A value as code: a number or text, or a tuple of them."""
    if isinstance(value, list | tuple):
        return TupleOf(tuple(literal_expression(item) for item in value))
    return Literal(value)


def input_numbers(expr: Expr) -> list[int]:
    """The numbers of the values that an expression reads, each once, in the order of reading."""
    return list(dict.fromkeys(part.index for part in walk_expression(expr) if isinstance(part, Input)))


def is_constant(expr: Any) -> bool:
    """Whether an expression is a plain value, or a tuple of them."""
    return isinstance(expr, Literal) or (isinstance(expr, TupleOf) and all(map(is_constant, expr.items)))


def constant_value(expr: Expr) -> Any:
    """The value of a constant expression."""
    return tuple(map(constant_value, expr.items)) if isinstance(expr, TupleOf) else concrete(expr.value)  # type: ignore[union-attr]


def has_index(member: Member) -> bool:
    """Whether something in it was told by the index of a repeat."""
    return any("i" in referenced_names(w) for value in literal_values(member) if (w := expression_of(value)))


def literal_values(member: Member) -> Iterator[Any]:
    """Every plain value in it."""
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
    """The same, with every argument's expression replaced."""
    if isinstance(member, Construction):
        return replace(member, arguments=tuple(replace(a, value=change(a.value)) for a in member.arguments))
    if isinstance(member, Container):
        run = member.members
        head = tuple(map_expressions(member, change) for member in run.head)
        return replace(
            member,
            members=replace(
                run, head=head, tail=map_expressions(run.tail, change), length=change(run.length)
            ),
        )
    if isinstance(member, ComputedTable):
        return ComputedTable(tuple((name, change(e)) for name, e in member.variables), change(member.value))
    return change(member)


def inline_names(expr: Expr, values: Mapping[str, Any]) -> Expr:
    """The same value told with the numbers that some names stand for: `3 * (i % 2)` for `window // 2 * (i % 2)`."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(inline_names(item, values) for item in expr.items))
    if not isinstance(expr, Literal):
        return expr
    value = expr.value
    for name in sorted(referenced_names(expression_of(value) or "0") & values.keys()):
        number = isinstance(values[name], int | float) and not isinstance(values[name], bool)
        value = bind_name(value, name, values[name]) if number else concrete(value)
    return Literal(value)


def drop_index_expression(expr: Expr) -> Expr:
    """The same value without words that speak of a repeat's index."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(drop_index_expression(item) for item in expr.items))
    text = expression_of(expr.value) if isinstance(expr, Literal) else None
    return (
        Literal(concrete(expr.value))
        if isinstance(expr, Literal) and text and "i" in referenced_names(text)
        else expr
    )
