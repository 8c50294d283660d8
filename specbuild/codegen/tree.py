"""The code tree: the subset of Python that an emitted file needs. Only `printer` turns it into text.

Nodes are frozen and hashable, so that code can be compared and used as a key. They are not validated here:
the printer checks names and texts.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

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
