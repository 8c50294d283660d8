"""What a class makes in its constructor: layers, instances of other classes, rows of layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from specbuild.codegen.tree import Expr, Input, Literal, Name, TupleOf, walk
from specbuild.expressions import names, plain, settled, words

SELF = Name("made_here")  # stands for the attribute that holds what a step makes


@dataclass(frozen=True)
class Argument:
    """An argument of a construction: positional if the callee has no default for it, else left out when equal to it."""

    name: str
    value: Expr
    default: Any = ...  # `...`: it has none

    @property
    def silent(self) -> bool:
        return self.default is not ... and constant(self.value) and same(value_of(self.value), self.default)


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal and of one type; a list is as a tuple."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(plain(a)) is type(plain(b)) and bool(plain(a) == plain(b))


@dataclass(frozen=True)
class Construct:
    """Something made once and held: a layer, a module, an instance of a block's class."""

    function: str
    arguments: tuple[Argument, ...]
    unit: bool = False  # whether it is one of the file's own classes


@dataclass(frozen=True)
class Run:
    """Members of a container: some written out, then one again and again. `index` where it counts with `i`."""

    head: tuple[Made, ...]
    tail: Made
    length: Expr
    index: bool = False


@dataclass(frozen=True)
class Container:
    """Layers in a row under one name; `names` where they are not simply numbered.

    `loop` is a row whose layers also read something besides the one before: it is called one by one.
    `cut` is a row with a value inside that is read: it is called piece by piece.
    """

    members: Run
    names: tuple[str, ...] | None = None
    loop: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Computed:
    """A table: `variables` are worked out first, in their order, then its value."""

    variables: tuple[tuple[str, Expr], ...]
    value: Expr


Made: TypeAlias = Expr | Construct | Container | Computed


def literal(value: Any) -> Expr:
    """A value as code: a number or text, or a tuple of them."""
    if isinstance(value, list | tuple):
        return TupleOf(tuple(literal(item) for item in value))
    return Literal(value)


def inputs_of(expr: Expr) -> list[int]:
    """The numbers of the values that an expression reads, each once, in the order of reading."""
    return list(dict.fromkeys(part.index for part in walk(expr) if isinstance(part, Input)))


def constant(expr: Any) -> bool:
    """Whether an expression is a plain value, or a tuple of them."""
    return isinstance(expr, Literal) or (isinstance(expr, TupleOf) and all(map(constant, expr.items)))


def value_of(expr: Expr) -> Any:
    """The value of a constant expression."""
    return tuple(map(value_of, expr.items)) if isinstance(expr, TupleOf) else plain(expr.value)  # type: ignore[union-attr]


def counted(expr: Made) -> bool:
    """Whether something in it was told by the index of a repeat."""
    return any("i" in names(w) for value in literals(expr) if (w := words(value)))


def literals(made: Made) -> Iterator[Any]:
    """Every plain value in it."""
    if isinstance(made, Construct):
        for argument in made.arguments:
            yield from literals(argument.value)
    elif isinstance(made, Container):
        for member in (*made.members.head, made.members.tail):
            yield from literals(member)
    elif isinstance(made, Computed):
        for expr in (*(e for _, e in made.variables), made.value):
            yield from literals(expr)
    else:
        yield from (part.value for part in walk(made) if isinstance(part, Literal))


def changed(made: Made, change: Callable[[Expr], Expr]) -> Made:
    """The same, with every argument's expression replaced."""
    if isinstance(made, Construct):
        return replace(made, arguments=tuple(replace(a, value=change(a.value)) for a in made.arguments))
    if isinstance(made, Container):
        run = made.members
        head = tuple(changed(member, change) for member in run.head)
        return replace(
            made, members=replace(run, head=head, tail=changed(run.tail, change), length=change(run.length))
        )
    if isinstance(made, Computed):
        return Computed(tuple((name, change(e)) for name, e in made.variables), change(made.value))
    return change(made)


def unspoken(expr: Expr, lost: Mapping[str, Any]) -> Expr:
    """The same value told with the numbers that some names stand for: `3 * (i % 2)` for `window // 2 * (i % 2)`."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(unspoken(item, lost) for item in expr.items))
    if not isinstance(expr, Literal):
        return expr
    value = expr.value
    for name in sorted(names(words(value) or "0") & lost.keys()):
        number = isinstance(lost[name], int | float) and not isinstance(lost[name], bool)
        value = settled(value, name, lost[name]) if number else plain(value)
    return Literal(value)


def uncounted(expr: Expr) -> Expr:
    """The same value without words that speak of a repeat's index."""
    if isinstance(expr, TupleOf):
        return TupleOf(tuple(uncounted(item) for item in expr.items))
    text = words(expr.value) if isinstance(expr, Literal) else None
    return Literal(plain(expr.value)) if isinstance(expr, Literal) and text and "i" in names(text) else expr
