"""The expression language of a spec, and numbers that remember the words they came from.

`evaluate` computes an expression and says its result in the words of the scope: with `x.C` told as `in_channels`,
`x.C // reduction` is 4 and "in_channels // reduction". Words are always true of the value and always a Python
expression over the author's names; where they cannot be kept, they are forgotten and the plain number stays.
Nothing here knows a file or a line: a `WordsError` carries what is wrong, and the caller adds the place.
"""

from __future__ import annotations

import ast
import copy
import difflib
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn, TypeAlias

Value: TypeAlias = "int | float | bool | str | list[Value] | tuple[Value, ...] | None"
Scope: TypeAlias = Mapping[str, "Value | Mapping[str, Value]"]

MAX_CHARACTERS = 1_000
MAX_NODES = 200
MAX_DEPTH = 32
MAX_INTEGER = 2**53
MAX_ITEMS = 10_000
MAX_WORDS = 80  # longer words no longer explain a number
MAX_TEXT = 4_096

# name -> fewest and most arguments
_ARITY = {
    **dict.fromkeys(("ceil", "floor", "round", "abs", "int", "sqrt", "log", "len", "sum"), (1, 1)),
    **dict.fromkeys(("min", "max"), (1, MAX_NODES)),
    **dict.fromkeys(("sin", "cos", "exp", "sign"), (1, 1)),
    **dict.fromkeys(("divisible", "minimum", "maximum"), (2, 2)),
    "where": (3, 3),
}
FUNCTIONS = frozenset("min max ceil floor round abs int sqrt log len sum divisible".split())
TABLE_FUNCTIONS = frozenset("sin cos exp sqrt log abs floor where minimum maximum sign".split())
_TELLABLE = frozenset("min max round abs int".split())  # Python's own: the emitted code needs no import


class WordsError(Exception):
    """What is wrong with an expression; the caller knows where it stands."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(code, message, hint)
        self.code, self.message, self.hint = code, message, hint

    def __str__(self) -> str:
        return self.message


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


def named(value: Value, text: str) -> Value:
    """`value`, to be told as `text`; the items of a list are told as `text[0]`, `text[1]` ..."""
    if isinstance(value, list):
        return [named(item, f"{text}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, tuple):
        return tuple(named(item, f"{text}[{i}]") for i, item in enumerate(value))
    return _tell(value, text)


def words(value: object) -> str | None:
    """The expression behind a number, if it still has one."""
    return value.words if isinstance(value, Named | NamedFloat) else None


def plain(value: Value) -> Value:
    """The same value without words, inside lists too."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return _tell(value, None)


def _tell(value: Value, text: str | None) -> Value:
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if text is None else Named(value, text)
    if isinstance(value, float):
        return float(value) if text is None else NamedFloat(value, text)
    return value


# ---------------------------------------------------------------------------------------------------- reading

_ALLOWED = (
    ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.List,
    ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call,
)  # fmt: skip
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_OPERATORS = (*_BINARY, *_ORDER, ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.USub, ast.UAdd, ast.Not)
_FOREIGN = {"&&": "and", "||": "or", "!": "not", "?": "a if condition else b", "=": "==", "^": "**"}
_BOOLEANS = {"true": True, "false": False}


@lru_cache(maxsize=8192)
def parse(text: str, functions: frozenset[str] = FUNCTIONS) -> ast.expr:
    """The tree of an expression, refused unless every node is of the language. Shared: do not change it."""
    if len(text) > MAX_CHARACTERS:
        raise WordsError("SB501", f"an expression has at most {MAX_CHARACTERS:,} characters; this has {len(text):,}")
    source = re.sub(r"[\r\n]", " ", text).strip()
    if not source:
        raise WordsError("SB301", "an expression is missing here")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source, mode="eval").body
        encoded = source.encode()
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        hint = next((f"write {ours}" for theirs, ours in _FOREIGN.items() if theirs in source), None)
        raise WordsError("SB301", f"{_quote(source)} is not an expression", hint) from None
    _validate(tree, encoded, functions)
    return _Booleans().visit(tree) if "true" in source or "false" in source else tree  # type: ignore[no-any-return]


def _validate(tree: ast.expr, source: bytes, functions: frozenset[str]) -> None:
    """Refuse what is not of the language, without recursion: the tree may be as deep as it likes."""
    outside_text = bytearray(source)
    todo, count = [(tree, 1)], 0
    while todo:
        node, depth = todo.pop()
        count += 1
        if count > MAX_NODES:
            raise WordsError("SB501", f"an expression has at most {MAX_NODES} parts", "name a part of it as a parameter")
        if depth > MAX_DEPTH:
            raise WordsError("SB501", f"an expression is nested at most {MAX_DEPTH} deep")
        _check(node, source[node.col_offset : node.end_col_offset].decode(), functions)
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            start, end = node.col_offset, node.end_col_offset or 0
            outside_text[start:end] = b"'" * (end - start)
        todo += [(part, depth + 1) for part in _parts(node)]
    if not outside_text.isascii() or b"#" in outside_text:
        odd = "# begins no comment inside" if b"#" in outside_text else "letters beyond ASCII are for quoted text in"
        raise WordsError("SB301", f"{odd} an expression")


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The operands of a node; the name of a called function is none."""
    if isinstance(node, ast.Call):
        yield from node.args
    else:
        yield from (part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))


def _check(node: ast.expr, text: str, functions: frozenset[str]) -> None:
    """Refuse one node (not its operands)."""
    operators = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.operator | ast.unaryop | ast.cmpop)]
    if not isinstance(node, _ALLOWED) or not all(isinstance(part, _OPERATORS) for part in operators):
        hint = next((f"write {ours}" for theirs, ours in _FOREIGN.items() if theirs in text), None)
        raise WordsError("SB301", f"{_quote(text)} is not part of the expression language", hint)
    if isinstance(node, ast.Attribute) and not isinstance(node.value, ast.Name):
        raise WordsError("SB301", f"{_quote(text)} is not part of the expression language", "a size is read as x.C")
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice | ast.Tuple):
        raise WordsError("SB301", f"{_quote(text)} takes more than one item", "an item is read as depths[0]")
    if isinstance(node, ast.Constant):
        if not isinstance(node.value, bool | int | float | str):
            raise WordsError("SB301", f"{_quote(text)} is not part of the expression language")
        _bounded(node.value, text)
    if isinstance(node, ast.Call):
        _check_call(node, text, functions)


def _check_call(node: ast.Call, text: str, functions: frozenset[str]) -> None:
    if not isinstance(node.func, ast.Name) or node.func.id not in functions:
        name = node.func.id if isinstance(node.func, ast.Name) else text
        raise WordsError("SB306", f"there is no function {_quote(name)} in expressions", _nearest(name, functions))
    name, (fewest, most) = node.func.id, _ARITY[node.func.id]
    if node.keywords or not fewest <= len(node.args) <= most:
        takes = "1 argument" if most == 1 else f"{fewest} arguments" if fewest == most else "arguments"
        raise WordsError("SB306", f"{name} takes {takes}, by position")


class _Booleans(ast.NodeTransformer):
    """`true` and `false`, as YAML writes them, become Python's."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(_BOOLEANS[node.id]), node) if node.id in _BOOLEANS else node


@dataclass(frozen=True)
class _Expression:
    """A parsed expression and what is worth knowing about it once."""

    tree: ast.expr
    names: tuple[str, ...]  # in the order of reading
    leaves: tuple[ast.expr, ...]  # what is read from the scope: a, x.C, depths[0]
    tellable: bool  # whether the emitted code could say it without an import


@lru_cache(maxsize=8192)
def _read(text: str) -> _Expression:
    tree = parse(text)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return _Expression(tree, tuple(dict.fromkeys(_names(tree))), tuple(_leaves(tree)), called <= _TELLABLE)


def _names(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Name):
        yield node.id
    for part in _parts(node):
        yield from _names(part)


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        yield node
    else:
        for part in _parts(node):
            yield from _leaves(part)


def names(text: str) -> frozenset[str]:
    """The names that an expression reads; called functions are not among them."""
    return frozenset(_read(text).names)


# -------------------------------------------------------------------------------------------------- computing


def evaluate(text: str, scope: Scope) -> Value:
    """The value of an expression, told in the words of what it reads."""
    expression = _read(text)
    for name in expression.names:
        if name not in scope:
            raise _unknown_name(name, scope)
    tree = expression.tree
    if isinstance(tree, ast.List):
        return [evaluate(ast.unparse(item), scope) for item in tree.elts]
    value = _compute(tree, scope)
    if not expression.leaves or tree is expression.leaves[0]:
        return value
    return _tell(value, _told(text, [words(leaf) for leaf in _values(expression, scope)]))


def translate(value: Value, args: Scope) -> Value:
    """Retell a value over a block's own parameters in the words of the caller's `args`; forget where one has none.

    A number that is the same wherever the block is used can be kept by the words of a literal: `Named(16, "16")`.
    """
    if isinstance(value, list):
        return [translate(item, args) for item in value]
    if isinstance(value, tuple):
        return tuple(translate(item, args) for item in value)
    text = words(value)
    if text is None or not _read(text).leaves:
        return value
    return _tell(value, _told(text, [words(leaf) for leaf in _values(_read(text), args)]))


def formula(text: str, /, **values: Value) -> Value:
    """Compute in our own code and keep the words: `formula("k // 2", k=kernel)`.

    Unlike `evaluate`, a plain number is told as a literal, as long as anything else has words.
    """
    value, leaves = evaluate(text, values), _values(_read(text), values)
    if not isinstance(value, int | float) or all(words(leaf) is None for leaf in leaves):
        return plain(value)
    return _tell(value, _told(text, [words(leaf) or _literal(leaf) for leaf in leaves]))


def _literal(value: Value) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return repr(value) if number else None


def _values(expression: _Expression, scope: Scope) -> list[Value]:
    """What each leaf reads; None for one that cannot be read here, as in the branch not taken."""

    def value(leaf: ast.expr) -> Value:
        try:
            return _compute(leaf, scope)
        except WordsError:
            return None

    return [value(leaf) for leaf in expression.leaves]


def _told(text: str, leaves: Iterable[str | None]) -> str | None:
    if not _read(text).tellable:
        return None
    known = tuple(leaf for leaf in leaves if leaf is not None)
    return _substituted(text, known) if len(known) == len(_read(text).leaves) else None


@lru_cache(maxsize=8192)
def _substituted(text: str, told: tuple[str, ...]) -> str | None:
    """`text` with its leaves told otherwise; None when the result is too long, or says only literals."""
    tree = copy.deepcopy(_read(text).tree)
    result = _Substitution(iter(told)).visit(tree)
    result_text = ast.unparse(result)
    if len(result_text) > MAX_WORDS:
        return None
    try:
        return result_text if _read(result_text).leaves else None
    except WordsError:  # deeper than an expression may be
        return None


class _Substitution(ast.NodeTransformer):
    """Replace the leaves, in the order in which `_leaves` finds them, by trees: precedence is kept."""

    def __init__(self, told: Iterator[str]) -> None:
        self.told = told

    def _replace(self, node: ast.expr) -> ast.expr:
        return _read(next(self.told)).tree

    visit_Name = visit_Attribute = visit_Subscript = _replace

    def visit_Call(self, node: ast.Call) -> ast.expr:
        node.args = [self.visit(argument) for argument in node.args]
        return node


def _compute(node: ast.expr, scope: Scope) -> Value:
    return _COMPUTE[type(node)](node, scope)


def _constant(node: ast.Constant, scope: Scope) -> Value:
    return node.value  # type: ignore[return-value]


def _name(node: ast.Name, scope: Scope) -> Value:
    value = scope.get(node.id, scope)
    if isinstance(value, int | float | str | list | tuple | None):
        return value
    if node.id not in scope:
        raise _unknown_name(node.id, scope)
    assert isinstance(value, Mapping)
    hint = f"read one of its sizes: {', '.join(f'{node.id}.{axis}' for axis in value)}" if value else None
    raise WordsError("SB305", f"{node.id} is not a number; it has axes", hint)


def _axis(node: ast.Attribute, scope: Scope) -> Value:
    assert isinstance(node.value, ast.Name)
    name = node.value.id
    if name not in scope:
        raise _unknown_name(name, scope)
    axes = scope[name]
    if not isinstance(axes, Mapping):
        raise WordsError("SB305", f"{name} is {_kind(axes)} and has no axes")
    if node.attr not in axes:
        has = f"it has {', '.join(axes)}" if axes else "it has no axes"
        raise WordsError("SB304", f"{name} has no axis {_quote(node.attr)}", has)
    return axes[node.attr]


def _item(node: ast.Subscript, scope: Scope) -> Value:
    items, index = _compute(node.value, scope), _compute(node.slice, scope)
    if not isinstance(items, list | tuple):
        _wrong(node.value, items, "a list")
    if not isinstance(index, int) or isinstance(index, bool):
        _wrong(node.slice, index, "a whole number")
    if not -len(items) <= index < len(items):
        plural = "1 item" if len(items) == 1 else f"{len(items)} items"
        raise WordsError("SB307", f"{_source(node)} asks for item {int(index)} of {plural}", "items count from 0")
    return items[index]


def _list(node: ast.List, scope: Scope) -> Value:
    return [_compute(item, scope) for item in node.elts]


def _binary(node: ast.BinOp, scope: Scope) -> Value:
    left, right = _number(node.left, scope), _number(node.right, scope)
    if isinstance(node.op, ast.Pow) and isinstance(left, int) and abs(left) > 1 and right > 53:
        _too_large(_source(node))
    return _guarded(node, _BINARY[type(node.op)], left, right)


def _unary(node: ast.UnaryOp, scope: Scope) -> Value:
    if isinstance(node.op, ast.Not):
        return not _truth(node.operand, scope)
    value = _number(node.operand, scope)
    return -value if isinstance(node.op, ast.USub) else +value


def _boolean(node: ast.BoolOp, scope: Scope) -> Value:
    holds = all if isinstance(node.op, ast.And) else any
    return holds(_truth(part, scope) for part in node.values)


def _compare(node: ast.Compare, scope: Scope) -> Value:
    left_node, left = node.left, _compute(node.left, scope)
    for op, right_node in zip(node.ops, node.comparators, strict=True):
        right = _compute(right_node, scope)
        if isinstance(op, ast.Eq | ast.NotEq):
            holds = (left == right) is isinstance(op, ast.Eq)
        elif isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, list | tuple):
                _wrong(right_node, right, "a list")
            holds = (left in right) is isinstance(op, ast.In)
        else:
            for side_node, side in ((left_node, left), (right_node, right)):
                if not isinstance(side, int | float):
                    _wrong(side_node, side, "a number")
            holds = _ORDER[type(op)](left, right)
        if not holds:
            return False
        left_node, left = right_node, right
    return True


def _conditional(node: ast.IfExp, scope: Scope) -> Value:
    return _compute(node.body if _truth(node.test, scope) else node.orelse, scope)


def _call(node: ast.Call, scope: Scope) -> Value:
    assert isinstance(node.func, ast.Name)
    name = node.func.id
    if name == "len":
        return len(_items(node.args[0], scope))
    if name == "sum" or (name in ("min", "max") and len(node.args) == 1):
        numbers = _items(node.args[0], scope)
        for number in numbers:
            if not isinstance(number, int | float):
                _wrong(node.args[0], number, "a list of numbers", "a list that holds ")
        if name != "sum" and not numbers:
            raise WordsError("SB303", f"{_source(node)} is of an empty list")
        return _guarded(node, _CALLS[name], numbers)
    return _guarded(node, _CALLS[name], *(_number(argument, scope) for argument in node.args))


def divisible(value: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `value`, at least `divisor`, never below 0.9 `value` (MobileNet)."""
    nearest = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * value else nearest


_CALLS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "ceil": math.ceil,
    "floor": math.floor,
    "round": round,
    "abs": abs,
    "int": int,
    "sqrt": math.sqrt,
    "log": math.log,
    "sum": sum,
    "divisible": divisible,
}
_COMPUTE: dict[type[ast.expr], Callable[[Any, Scope], Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _axis,
    ast.Subscript: _item,
    ast.List: _list,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _boolean,
    ast.Compare: _compare,
    ast.IfExp: _conditional,
    ast.Call: _call,
}


def _guarded(node: ast.expr, function: Callable[..., Any], *operands: Any) -> Value:
    try:
        value = function(*operands)
    except ZeroDivisionError:
        raise WordsError("SB303", f"{_source(node)} divides by zero") from None
    except ValueError:
        raise WordsError("SB303", f"{_source(node)} has no value: its argument is {operands[0]}") from None
    except OverflowError:
        _too_large(_source(node))
    if isinstance(value, complex):
        raise WordsError("SB303", f"{_source(node)} has no real value")
    return _bounded(value, _source(node) if isinstance(value, int | float) else "")


def _bounded(value: Any, text: str) -> Value:
    if isinstance(value, int) and abs(value) > MAX_INTEGER or isinstance(value, float) and not math.isfinite(value):
        _too_large(_quote(text))
    return value  # type: ignore[no-any-return]


def _number(node: ast.expr, scope: Scope) -> int | float:
    value = _compute(node, scope)
    return value if isinstance(value, int | float) else _wrong(node, value, "a number")


def _truth(node: ast.expr, scope: Scope) -> bool:
    value = _compute(node, scope)
    if isinstance(value, str | list | tuple):
        _wrong(node, value, "true or false")
    return bool(value)


def _items(node: ast.expr, scope: Scope) -> list[Value] | tuple[Value, ...]:
    items = _compute(node, scope)
    if not isinstance(items, list | tuple):
        _wrong(node, items, "a list")
    if len(items) > MAX_ITEMS:
        raise WordsError("SB503", f"a list has at most {MAX_ITEMS:,} items; {_source(node)} has {len(items):,}")
    return items


# ------------------------------------------------------------------------------------------------------- text

_PLACE = re.compile(r"\$\$\{|\$\{(?P<expression>[^{}]*)(?P<end>\}?)")


def substitute(text: str, scope: Scope) -> str:
    """`text` with every `${expression}` replaced by its value; `$${` stands for `${`."""

    def fill(place: re.Match[str]) -> str:
        if place["end"] is None:
            return "${"
        if not place["end"]:
            raise WordsError("SB301", f"{_quote(place[0])} is not closed", "write $${ for a literal ${")
        return str(plain(evaluate(place["expression"], scope)))

    result = _PLACE.sub(fill, text)
    if len(result) > MAX_TEXT:
        raise WordsError("SB504", f"a text has at most {MAX_TEXT:,} characters; this becomes {len(result):,}")
    return result


# ---------------------------------------------------------------------------------------------------- refusals


def _wrong(node: ast.expr, value: Value, wanted: str, prefix: str = "") -> NoReturn:
    raise WordsError("SB305", f"{_source(node)} is {prefix}{_kind(value)}, not {wanted}")


def _too_large(text: str) -> NoReturn:
    raise WordsError("SB502", f"{text} is too large a number", "whole numbers go to 2^53")


def _unknown_name(name: str, scope: Scope) -> WordsError:
    return WordsError("SB302", f"nothing is named {_quote(name)} here", _nearest(name, scope))


def _nearest(name: str, known: Iterable[str]) -> str | None:
    known = sorted(known)
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there is {', '.join(known[:12])}" if known else None


def _kind(value: Value) -> str:
    kinds = {bool: "a bool", str: "text", list: "a list", tuple: "a list", type(None): "none"}
    return kinds.get(type(value), "a number")


def _source(node: ast.expr) -> str:
    return _quote(ast.unparse(node))


def _quote(text: str) -> str:
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"
