"""Numbers that remember their words, and how the words change as the number travels."""

from __future__ import annotations

import ast
import copy
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from specbuild.expressions.errors import WordsError, quote, unknown_name
from specbuild.expressions.evaluator import Scope, Value, compute
from specbuild.expressions.parser import LEAF, Expression, read

MAX_WORDS = 80  # longer words no longer explain a number
MAX_TEXT = 4_096
MAX_PRODUCT = 2**53

T = TypeVar("T")


class Named(int):
    """An int that remembers its expression; arithmetic on it forgets."""

    words: str

    def __new__(cls, value: int, words: str) -> Named:
        self = super().__new__(cls, value)
        self.words = words
        return self

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        return int(self), self.words

    def __repr__(self) -> str:
        return f"Named({int(self)}, {self.words!r})"

    def __str__(self) -> str:
        return int.__repr__(self)


class NamedFloat(float):
    """A float that remembers its expression; arithmetic on it forgets."""

    words: str

    def __new__(cls, value: float, words: str) -> NamedFloat:
        self = super().__new__(cls, value)
        self.words = words
        return self

    def __getnewargs__(self) -> tuple[float, str]:  # type: ignore[override]
        return float(self), self.words

    def __repr__(self) -> str:
        return f"NamedFloat({float(self)}, {self.words!r})"

    def __str__(self) -> str:
        return float.__repr__(self)


def named(value: T, text: str) -> T:
    """`value`, to be told as `text`; the items of a list are told as `text[0]`, `text[1]` ..."""
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(named(item, f"{text}[{i}]") for i, item in enumerate(value)))
    return _tell(value, text)


def words(value: object) -> str | None:
    """The expression behind a number, if it still has one."""
    return value.words if isinstance(value, (Named, NamedFloat)) else None


def plain(value: T) -> T:
    """The same value without words, inside lists too."""
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(map(plain, value)))
    return _tell(value, None)


def _tell(value: T, text: str | None) -> T:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return cast(T, int(value) if text is None else Named(value, text))
    if isinstance(value, float):
        return cast(T, float(value) if text is None else NamedFloat(value, text))
    return value


def evaluate(text: str, scope: Scope) -> Value:
    """The value of an expression, told in the words of what it reads."""
    expression = read(text)
    for name in expression.names:
        if name not in scope:
            raise unknown_name(name, scope)
    if expression.items is not None:
        return [evaluate(item, scope) for item in expression.items]
    value, leaves = compute(expression.tree, scope), expression.leaves
    if not leaves or leaves[0] is expression.tree:
        return value
    return _tell(value, retell(text, scope, own=True))


def translate(value: T, args: Mapping[str, Value]) -> T:
    """Retell a value over a block's own parameters in the words of the caller's `args`.

    Forgets the words where an argument has none. An argument that is the same wherever the block is used
    can keep them by telling itself as a literal: `Named(16, "16")`.
    """
    if isinstance(value, (list, tuple)):
        return cast(T, type(value)(translate(item, args) for item in value))
    text = words(value)
    return value if text is None or not read(text).leaves else _tell(value, retell(text, args))


def formula(text: str, /, **values: Value) -> Any:
    """Compute in our own code and keep the words: `formula("k // 2", k=kernel)`.

    Unlike in `evaluate`, a plain number is told as a literal if anything else has words.
    """
    value, expression = evaluate(text, values), read(text)
    leaves = _values(expression.leaves, values)
    if isinstance(value, list) or not any(map(words, leaves)):
        return value
    return _tell(value, _told(text, expression, [words(leaf) or _literal(leaf) for leaf in leaves]))


def retell(text: str, scope: Scope, own: bool = False) -> str | None:
    """An expression, of whatever value, in the words of what it reads; None where something has no words.

    `own` says that the scope's names are the emitted code's own, so that a flag, a word or a list is told by it.
    """
    expression = read(text)

    def told(leaf: ast.expr, value: Value) -> str | None:
        flag = own and isinstance(leaf, ast.Name) and isinstance(value, bool | str | list | tuple)
        return leaf.id if flag and isinstance(leaf, ast.Name) else words(value)

    pairs = zip(expression.leaves, _values(expression.leaves, scope), strict=True)
    return _told(text, expression, [told(leaf, value) for leaf, value in pairs])


def _literal(value: Value) -> str | None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return repr(value) if number else None


def _values(leaves: Sequence[ast.expr], scope: Scope) -> list[Value]:
    """What each leaf reads; None for one that cannot be read here, as in a branch not taken."""
    values: list[Value] = []
    for leaf in leaves:
        try:
            values.append(compute(leaf, scope))
        except WordsError:
            values.append(None)
    return values


def _told(text: str, expression: Expression, leaves: Sequence[str | None]) -> str | None:
    known = tuple(leaf for leaf in leaves if leaf is not None)
    if not expression.tellable or len(known) < len(leaves) or sum(map(len, known)) > MAX_WORDS:
        return None
    return _substituted(text, known)


@lru_cache(maxsize=8192)
def _substituted(text: str, leaves: tuple[str, ...]) -> str | None:
    """`text` with its leaves told otherwise; None if that is too long, or says only literals."""
    told = ast.unparse(_Substitution(iter(leaves)).visit(copy.deepcopy(read(text).tree)))
    if len(told) > MAX_WORDS:
        return None
    try:
        return told if read(told).leaves else None
    except WordsError:  # nested deeper than an expression may be
        return None


class _Substitution(ast.NodeTransformer):
    """Put trees in the place of the leaves, in the order of `Expression.leaves`: precedence is kept."""

    def __init__(self, leaves: Iterator[str]) -> None:
        self.leaves = leaves

    def visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, LEAF):
            return copy.deepcopy(read(next(self.leaves)).tree)  # `unparse` takes each node to stand once
        if isinstance(node, ast.Call):  # its function is no leaf
            node.args = [cast(ast.expr, self.visit(argument)) for argument in node.args]
            return node
        return _product(self.generic_visit(node))


def _product(node: ast.AST) -> ast.AST:
    """`4 * (2 * width)` as `8 * width`, `2 * 2` as `4`."""
    match node:
        case ast.BinOp(ast.Constant(int() as left), ast.Mult(), ast.Constant(int() as right)) if (
            abs(left * right) <= MAX_PRODUCT
        ):
            return ast.Constant(left * right)
        case ast.BinOp(
            ast.Constant(int() as outer),
            ast.Mult(),
            ast.BinOp(ast.Constant(int() as inner), ast.Mult(), rest),
        ) if abs(outer * inner) <= MAX_PRODUCT:
            return ast.BinOp(ast.Constant(outer * inner), ast.Mult(), rest)
    return node


def settled(value: T, name: str, number: float) -> T:
    """A value told without one name, whose number is known: `width * 2 ** i` at i = 1 as `width * 2`."""
    text = words(value)
    if text is None or name not in read(text).names:
        return value
    told = ast.unparse(_Settled(name, number).visit(copy.deepcopy(read(text).tree)))
    return _tell(value, told if read(told).leaves else None)


class _Settled(ast.NodeTransformer):
    """Put a number for a name, and compute what then consists of numbers only."""

    def __init__(self, name: str, number: float) -> None:
        self.name, self.number = name, number

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Constant(self.number) if node.id == self.name else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        match node:
            case ast.IfExp(ast.Constant(test), then, otherwise):
                return then if test else otherwise
            case ast.IfExp(_, then, otherwise) if ast.unparse(then) == ast.unparse(otherwise):
                return then
            case ast.BinOp(rest, ast.Mult(), ast.Constant(1)) | ast.BinOp(ast.Constant(1), ast.Mult(), rest):
                return rest
            case ast.BinOp(rest, ast.Add(), ast.Constant(0)) | ast.BinOp(ast.Constant(0), ast.Add(), rest):
                return rest
            case ast.BinOp(ast.Constant(), _, ast.Constant()) | ast.Compare(
                ast.Constant(), [_], [ast.Constant()]
            ):
                try:
                    return ast.Constant(cast(float, compute(node, {})))
                except WordsError:
                    return node
        return node


_PLACE = re.compile(r"\$\$\{|\$\{(?P<expression>[^{}]*)(?P<end>\}?)")


def substitute(text: str, scope: Scope) -> str:
    """`text` with the value of every `${expression}` in its place; `$${` is a plain `${`."""

    def fill(place: re.Match[str]) -> str:
        if place["end"] is None:
            return "${"
        if not place["end"]:
            raise WordsError(
                "SB301", f"{quote(place[0])} is not closed by a brace", "a plain ${ is written $${"
            )
        return str(plain(evaluate(place["expression"], scope)))

    result = _PLACE.sub(fill, text)
    if len(result) > MAX_TEXT:
        raise WordsError("SB501", f"a text has at most {MAX_TEXT:,} characters; this becomes {len(result):,}")
    return result
