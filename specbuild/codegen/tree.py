"""The code tree: the subset of Python that an emitted file needs. Only `printer` turns it into text.

Nodes are frozen and hashable, so that code can be compared and used as a key. They are not validated here:
the printer checks names and texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from operator import is_
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

# ------------------------------------------------------------------------------------------------ expressions


class CodeMark(Struct, frozen=True, eq=False):
    """Links an expression to the step of the model that it computes. All marks are equal: no code differs by them."""

    kind: str  # "value": the step's result; "calls": the layer it calls; "each": a row called layer by layer
    keys: tuple[str, ...]  # of the step's results, or of the layer
    before: CodeMark | None  # the last mark that the expression had: a skipped step gives what it gets

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CodeMark)

    def __hash__(self) -> int:
        return 0


NO_MARK = CodeMark("", (), None)


class Code(Struct, frozen=True, kw_only=True):
    """An expression, with the marks of the steps that it computes. Marks are not part of the code."""

    mark: CodeMark = NO_MARK  # the last one

    def list_marks(self) -> list[CodeMark]:
        """Return all marks of the expression, the first one first."""
        found, mark = list[CodeMark](), self.mark
        while mark.before is not None:
            found.append(mark)
            mark = mark.before
        return found[::-1]


class Name(Code, frozen=True):
    """An identifier, or a dotted path of them: `x`, `nn.Conv2d`, `self.conv1`; `...` is the ellipsis."""

    text: str


EQUAL_BY_VALUE = frozenset({bool, int, str, type(None)})  # no floats: 0.0 and -0.0 are equal


class Literal(Code, frozen=True, eq=False):
    """A constant. The literals `1`, `1.0` and `True` are different, although the values are equal."""

    value: int | float | bool | str | None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Literal):
            return False
        kind = type(self.value)
        if kind in EQUAL_BY_VALUE and kind is type(other.value):
            return self.value == other.value
        return self._comparison_key() == other._comparison_key()

    def __hash__(self) -> int:
        return hash(self._comparison_key())

    def _comparison_key(self) -> str:
        value = self.value
        for kind in (bool, int, float, str):  # so that the repr of a subclass does not count
            if isinstance(value, kind):
                return kind.__repr__(value)
        return repr(value)


class Call(Code, frozen=True):
    """`function(*args, name=value)`; a keyword named `**` unpacks a mapping."""

    function: Expr
    args: tuple[Expr, ...] = ()
    keywords: tuple[tuple[str, Expr], ...] = ()


class Attribute(Code, frozen=True):
    """`of.name`, where `of` is not a plain name."""

    of: Expr
    name: str


class Index(Code, frozen=True):
    """`of[items]`; an item may be a `SliceExpr`, `Literal(None)` or `Name("...")`."""

    of: Expr
    items: tuple[Expr, ...]


class SliceExpr(Code, frozen=True):
    """`lower:upper:step`, only inside an `Index`."""

    lower: Expr | None = None
    upper: Expr | None = None
    step: Expr | None = None


class Infix(Code, frozen=True):
    """`left operator right`, for an operator of `precedence.INFIX`."""

    operator: str
    left: Expr
    right: Expr


class Prefix(Code, frozen=True):
    """`-x`, `~x` or `not x`."""

    operator: str
    operand: Expr


class Conditional(Code, frozen=True):
    """`then if test else otherwise`."""

    test: Expr
    then: Expr
    otherwise: Expr


class TupleOf(Code, frozen=True):
    """`(a, b)`, in parentheses except inside an index."""

    items: tuple[Expr, ...]


class ListOf(Code, frozen=True):
    """`[a, b]`."""

    items: tuple[Expr, ...]


class DictOf(Code, frozen=True):
    """`{key: value}`; a key that is None unpacks its value: `{**value}`."""

    items: tuple[tuple[Expr | None, Expr], ...]


class Star(Code, frozen=True):
    """`*of`, in a call, a list or a tuple."""

    of: Expr


class Generator(Code, frozen=True):
    """`(element for target in iterable)`; without extra parentheses if it is the only argument of a call."""

    element: Expr
    target: str
    iterable: Expr


class ListComprehension(Code, frozen=True):
    """`[element for target in iterable]`."""

    element: Expr
    target: str
    iterable: Expr


class ValuePlaceholder(Code, frozen=True):
    """A placeholder for value number `index` of a block. It must be replaced before printing."""

    index: int


Expr: TypeAlias = (
    Name
    | Literal
    | Call
    | Attribute
    | Index
    | SliceExpr
    | Infix
    | Prefix
    | Conditional
    | TupleOf
    | ListOf
    | DictOf
    | Star
    | Generator
    | ListComprehension
    | ValuePlaceholder
)

# ------------------------------------------------------------------------------------------------- statements


class Assign(Struct, frozen=True):
    """`target: annotation = value`; the target is a name or a dotted path."""

    target: str
    value: Expr
    annotation: str | None = None


class Unpack(Struct, frozen=True):
    """`a, b = value`; a target may be starred: `*rest`."""

    targets: tuple[str, ...]
    value: Expr


class Return(Struct, frozen=True):
    """`return value`."""

    value: Expr


class Raise(Struct, frozen=True):
    """`raise error`."""

    error: Expr


class Do(Struct, frozen=True):
    """An expression statement."""

    value: Expr


class For(Struct, frozen=True):
    """`for target in iterable:`; the target may be several names: `a, b`."""

    target: str
    iterable: Expr
    body: tuple[Statement, ...]


class If(Struct, frozen=True):
    """`if test:`; an `otherwise` with a single `If` becomes `elif`."""

    test: Expr
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


class Comment(Struct, frozen=True):
    """Free text, written as comment lines."""

    text: str


class Blank(Struct, frozen=True):
    """An empty line between two statements."""


# ------------------------------------------------------------------------------------------------ definitions


class Parameter(Struct, frozen=True):
    """A parameter of a function; `variadic` is `""`, `"*"` or `"**"`."""

    name: str
    annotation: str | None = None
    default: Expr | None = None
    keyword_only: bool = False
    variadic: str = ""


class Function(Struct, frozen=True):
    """A `def`."""

    name: str
    parameters: tuple[Parameter, ...]
    returns: str | None
    doc: str
    body: tuple[Statement, ...]
    decorators: tuple[Expr, ...] = ()


class Class(Struct, frozen=True):
    """A `class`; its members may be functions."""

    name: str
    bases: tuple[str, ...]
    doc: str
    body: tuple[Statement, ...]
    decorators: tuple[Expr, ...] = ()


class Helper(Struct, frozen=True):
    """A class or function copied from a helper file, which is formatted already."""

    source: str


Statement: TypeAlias = (
    Assign | Unpack | Return | Raise | Do | For | If | Comment | Blank | Function | Class | Helper
)


class Module(Struct, frozen=True):
    """A whole file. `imports` are source lines in their final order; an empty line separates two groups."""

    doc: str
    imports: tuple[str, ...]
    body: tuple[Statement, ...]
    header_comments: tuple[str, ...] = ()


# -------------------------------------------------------------------------------------------------- traversal

LEAVES = frozenset((Literal, Name, ValuePlaceholder))  # the most frequent expressions; they have no parts


def child_expressions(expr: Expr) -> Iterator[Expr]:
    """Yield the direct parts of an expression, in reading order."""
    if type(expr) in LEAVES:
        return
    match expr:
        case Call(function, args, keywords):
            yield function
            yield from args
            yield from (value for _, value in keywords)
        case DictOf(items):
            yield from (part for item in items for part in item if part is not None)
        case Index(of, items):
            yield of
            yield from items
        case TupleOf(items) | ListOf(items):
            yield from items
        case SliceExpr(lower, upper, step):
            yield from (part for part in (lower, upper, step) if part is not None)
        case Infix(_, left, right):
            yield from (left, right)
        case Conditional(test, then, otherwise):
            yield from (then, test, otherwise)
        case Generator(element, _, iterable) | ListComprehension(element, _, iterable):
            yield from (element, iterable)
        case Attribute(of) | Star(of) | Prefix(_, of):
            yield of


@cache
def code_fields_of_any(kind: type) -> tuple[str, ...]:
    """Return the names of the fields of a node that are part of the code; none of what is no node."""
    return code_field_names(kind) if issubclass(kind, Struct) else ()


def code_fields(node: Any) -> Iterator[Any]:
    """Return the values of a node's fields that are part of the code."""
    kind: type[Struct] = type(node)
    return (getattr(node, name) for name in code_field_names(kind))


@cache
def code_field_names(kind: type[Struct]) -> tuple[str, ...]:
    return tuple(name for name in kind.__struct_fields__ if name != "mark")


def walk_expression(expr: Expr) -> Iterator[Expr]:
    """Yield an expression and all expressions inside it, in pre-order."""
    if type(expr) in LEAVES:
        yield expr
        return
    waiting = [expr]
    while waiting:
        yield (expr := waiting.pop())
        if type(expr) not in LEAVES:
            waiting += reversed(tuple(child_expressions(expr)))


def list_read_names(expr: Expr) -> Iterator[str]:
    """Yield the variables that an expression reads: all plain names except those of functions that it calls."""
    if isinstance(expr, Name) and "." not in expr.text:
        yield expr.text
    for part in child_expressions(expr):
        if not (isinstance(expr, Call) and part is expr.function and isinstance(part, Name)):
            yield from list_read_names(part)


def map_children(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return an expression with each direct part replaced by `change(part)`, and with its marks.

    Where no part becomes another, it is the same object: most calls change little, and copies take time.
    """
    if type(expr) in LEAVES:
        return expr
    if isinstance(expr, Call):
        return map_call(expr, change)
    copy = rebuild_expression(expr, change)
    if copy is expr or expr.mark is NO_MARK:
        return copy
    return replace(copy, mark=expr.mark)


def map_call(expr: Call, change: Callable[[Expr], Expr]) -> Call:
    """Return what `map_children` returns for a call, the most frequent expression with parts."""
    is_changed = False
    keywords = []
    for pair in expr.keywords:
        value = change(pair[1])
        is_changed |= value is not pair[1]
        keywords.append((pair[0], value))
    function = change(expr.function)
    args = map_parts(expr.args, change)
    if not is_changed and function is expr.function and args is expr.args:
        return expr
    return Call(function, args, tuple(keywords), mark=expr.mark)


def map_parts(parts: tuple[Expr, ...], change: Callable[[Expr], Expr]) -> tuple[Expr, ...]:
    """Return the changed parts, in the same tuple if none becomes another."""
    changed = tuple(map(change, parts))
    return parts if all(map(is_, changed, parts)) else changed


def rebuild_expression(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Return an expression, or a copy without marks, with each direct part replaced by `change(part)`."""

    def change_optional(part: Expr | None) -> Expr | None:
        return None if part is None else change(part)

    parts: tuple[Any, ...]
    match expr:
        case Attribute(of, name):
            parts = (change(of), name)
        case Index(of, items):
            parts = (change(of), map_parts(items, change))
        case SliceExpr(lower, upper, step):
            parts = (change_optional(lower), change_optional(upper), change_optional(step))
        case Infix(operator, left, right):
            parts = (operator, change(left), change(right))
        case Prefix(operator, operand):
            parts = (operator, change(operand))
        case Conditional(test, then, otherwise):
            parts = (change(test), change(then), change(otherwise))
        case TupleOf(items) | ListOf(items):
            parts = (map_parts(items, change),)
        case DictOf(pairs):
            return DictOf(tuple((change_optional(key), change(value)) for key, value in pairs))
        case Star(of):
            parts = (change(of),)
        case Generator(element, target, iterable) | ListComprehension(element, target, iterable):
            parts = (change(element), target, change(iterable))
        case _:
            return expr
    kind: type = type(expr)
    if all(getattr(expr, name) is part for name, part in zip(code_field_names(kind), parts, strict=True)):
        return expr
    copy: Expr = kind(*parts)
    return copy


def substitute_placeholders(expr: Expr, inputs: Sequence[Expr]) -> Expr:
    """Replace each `ValuePlaceholder(i)` by `inputs[i]`."""
    if isinstance(expr, ValuePlaceholder):
        return inputs[expr.index]
    return map_children(expr, lambda part: substitute_placeholders(part, inputs))
