"""Members: what a constructor assigns to an attribute. Layers, other classes, rows of layers, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from specbuild.codegen.tree import Expr, Literal, Name, TupleOf, ValuePlaceholder
from specbuild.codegen.tree_walk import list_read_names, map_children, walk_expression
from specbuild.expressions import bind_name, concrete, expression_of

INDEX_VARIABLE = (
    " index"  # ends the name of a table's variable until the file is written: no parameter has a space
)
OWN_MEMBER = Name("own member")  # stands for the attribute that holds the step's own member


class ConstructorArgument(Struct, frozen=True):
    """A constructor argument: positional if it has no default, and left out if it equals its default."""

    name: str
    value: Expr
    default: Any = ...  # `...`: no default

    @property
    def is_default(self) -> bool:
        return (
            self.default is not ...
            and is_literal(self.value)
            and is_same_value(literal_value(self.value), self.default)
        )


def is_same_value(a: Any, b: Any) -> bool:
    """Return whether two values are equal and of the same type; lists and tuples count as one type."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(is_same_value, a, b))
    return type(concrete(a)) is type(concrete(b)) and bool(concrete(a) == concrete(b))


class Construction(Struct, frozen=True):
    """A constructor call: a layer, a module, or an instance of a block's class."""

    function: str
    arguments: tuple[ConstructorArgument, ...]
    is_own_class: bool = False  # a class of the same file


class Repeated(Struct, frozen=True):
    """Members of a row of layers: the `head` is written out, then the `tail` repeats up to `length` members.

    With `has_index`, the tail contains the loop variable `i`. `indexed` is such a tail, if there can be one: a
    row with only one member is written without the index.
    """

    head: tuple[Member, ...]
    tail: Member
    length: Expr
    has_index: bool = False
    indexed: Member | None = None


class LayerRow(Struct, frozen=True):
    """A row of layers in one attribute; `names` if they are not simply numbered.

    With `is_loop`, the layers take further inputs besides the previous output: a loop calls them one by one.
    With `is_split`, a value inside the row is used elsewhere: the row is called piece by piece.
    """

    members: Repeated
    names: tuple[str, ...] | None = None
    is_loop: bool = False
    is_split: bool = False


class ComputedTable(Struct, frozen=True):
    """A constant table: its `value` is computed from local `variables`, which are assigned first."""

    variables: tuple[tuple[str, Expr], ...]
    value: Expr
    shape: tuple[Expr, ...]
    dtype: str  # float, int32 or bool


Member: TypeAlias = Expr | Construction | LayerRow | ComputedTable


class InitialValue(Struct, frozen=True):
    """The initial values of a weight of a layer, by its attribute there; "" if the member itself is the weight.

    In a row of layers, the attribute begins with the member: `0.weight`, or `*.weight` for all members.
    """

    weight: str
    kind: str
    arguments: tuple[ConstructorArgument, ...]
    mode: str = "fan_in"


def literal_expression(value: Any) -> Expr:
    """Return Python code for a number, a string, or a tuple of them."""
    if isinstance(value, list | tuple):
        return TupleOf(tuple(literal_expression(item) for item in value))
    return Literal(value)


def input_numbers(expr: Expr) -> list[int]:
    """Return the numbers of the values that an expression reads, without duplicates, in reading order."""
    return list(
        dict.fromkeys(part.index for part in walk_expression(expr) if isinstance(part, ValuePlaceholder))
    )


def is_literal(expr: Any) -> bool:
    """Return whether an expression is a literal, or a tuple of constants."""
    return isinstance(expr, Literal) or (isinstance(expr, TupleOf) and all(map(is_literal, expr.items)))


def literal_value(expr: Expr) -> Any:
    """Return the value of an expression for which `is_literal` holds."""
    if isinstance(expr, TupleOf):
        return tuple(map(literal_value, expr.items))
    assert isinstance(expr, Literal)
    return concrete(expr.value)


def has_index(member: Member) -> bool:
    """Return whether a value in a member depends on the index `i` of a repeat."""
    return any("i" in expression_names(value) for value in literal_values(member))


def expression_names(value: Any) -> tuple[str, ...]:
    """Return the names in the expression of a number; () if it has none."""
    expression = expression_of(value)
    return () if expression is None else expression.names


def nested_names(value: Any) -> Iterator[str]:
    """Yield the names in the expressions of a number, or of the numbers in lists and mappings."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from nested_names(item)
    else:
        yield from expression_names(value)


def list_names(code: Member) -> Iterator[str]:
    """Yield the names from which values in the code are computed."""
    return (name for value in literal_values(code) for name in expression_names(value))


def reads_names(code: Member, names: Iterable[str]) -> bool:
    """Return whether a value in the code is computed from one of these names."""
    known = frozenset(names)
    return any(name in known for name in list_names(code))


def member_names(member: Member) -> set[str]:
    """Return the names that the code of a member reads."""
    found: set[str] = set()

    def note(code: Expr) -> Expr:
        found.update(list_read_names(code))
        return code

    map_expressions(member, note)
    return found


def literal_values(member: Member) -> Iterator[Any]:
    """Yield the values of all literals in a member."""
    if type(member) is Literal:
        yield member.value
    elif isinstance(member, Construction):
        for argument in member.arguments:
            yield from literal_values(argument.value)
    elif isinstance(member, LayerRow):
        for part in (*member.members.head, member.members.tail):
            yield from literal_values(part)
    elif isinstance(member, ComputedTable):
        for expr in (*(e for _, e in member.variables), member.value, *member.shape):
            yield from literal_values(expr)
    else:
        yield from (part.value for part in walk_expression(member) if isinstance(part, Literal))


def map_expressions(member: Member, change: Callable[[Expr], Expr]) -> Member:
    """Apply `change` to every expression in a member."""
    if isinstance(member, Construction):
        values = [change(argument.value) for argument in member.arguments]
        if all(value is argument.value for value, argument in zip(values, member.arguments, strict=True)):
            return member
        arguments = tuple(
            ConstructorArgument(a.name, value, a.default)
            for a, value in zip(member.arguments, values, strict=True)
        )
        return Construction(member.function, arguments, member.is_own_class)
    if isinstance(member, LayerRow):
        repeated = member.members
        head = tuple(map_expressions(part, change) for part in repeated.head)
        tail = map_expressions(repeated.tail, change)
        return replace(
            member, members=replace(repeated, head=head, tail=tail, length=change(repeated.length))
        )
    if isinstance(member, ComputedTable):
        variables = tuple((name, change(e)) for name, e in member.variables)
        shape = tuple(map(change, member.shape))
        return replace(member, variables=variables, value=change(member.value), shape=shape)
    return change(member)


def map_initial_values(
    inits: tuple[InitialValue, ...], change: Callable[[Expr], Expr]
) -> tuple[InitialValue, ...]:
    """Apply `change` to the arguments of initial values."""
    return tuple(
        replace(init, arguments=tuple(replace(a, value=change(a.value)) for a in init.arguments))
        for init in inits
    )


def inline_names(expr: Expr, values: Mapping[str, Any]) -> Expr:
    """Replace names by their values in symbolic literals: `window // 2 * (i % 2)` becomes `3 * (i % 2)`."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(inline_names(item, values) for item in expr.items))
    if not isinstance(expr, Literal):
        return expr
    value = expr.value
    for name in sorted(values.keys() & expression_names(value)):
        value = bind_name(value, name, values[name])
    return Literal(value)


def bind_index(expr: Expr, index: int | None) -> Expr:
    """Return code that is written once for each member of a repeat: with the number of the member for `i`."""
    if index is None:
        return expr
    if isinstance(expr, Literal):
        return Literal(bind_name(expr.value, "i", index))
    return map_children(expr, lambda part: bind_index(part, index))


def drop_index_expression(expr: Expr) -> Expr:
    """Make those literals concrete whose expression uses the index `i` of a repeat."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(drop_index_expression(item) for item in expr.items))
    if isinstance(expr, Literal) and "i" in expression_names(expr.value):
        return Literal(concrete(expr.value))
    return expr
